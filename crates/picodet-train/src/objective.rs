//! What a batch is judged by: the head's maps → predictions → assignments → loss → gradients of the maps.

use picodet_graph::{Graph, pass};
use picodet_zoo::{Head, HeadMap};
use serde::{Deserialize, Serialize};

use crate::assign::{SimOta, SimOtaCost, atss, loader_atss, task_aligned};
use crate::group::ProcessGroup;
use crate::loss::{Loss, base, paper, scores, second_generation};
use crate::{Assignment, LevelMaps, Map, Predictions, Truth};

/// Cells a level that the second generation's ATSS looks at (SPEC §5.2).
const ATSS_NEAREST: usize = 9;
/// The head's outputs that losses read.
const MAPS: [HeadMap; 3] = [HeadMap::ClassLogit, HeadMap::Box, HeadMap::AlignLogit];

/// Which cells learn which objects.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Assigner {
    /// The paper's SimOTA (SPEC §5.1).
    SimOta {
        /// What makes a cell expensive.
        #[serde(default)]
        cost: SimOtaCost,
        /// Weight of the overlap in the cost.
        #[serde(default = "lambda")]
        lambda: f64,
    },
    /// The first recipe's ATSS on cells alone (SPEC §5.4).
    Atss,
    /// The second generation's: ATSS first, task-aligned from an epoch on (SPEC §5.2, §5.3).
    AtssThenTaskAligned {
        /// Epochs of ATSS.
        static_epochs: usize,
    },
}

fn lambda() -> f64 {
    6.0
}

/// The sum of losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// Varifocal, GIoU, DFL.
    Paper,
    /// Quality focal, GIoU, DFL.
    Base,
    /// Varifocal on probabilities, GIoU, DFL by alignment.
    SecondGeneration,
}

/// Assigner and loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// Which cells learn which objects.
    pub assigner: Assigner,
    /// How wrong they are.
    pub loss: LossKind,
}

/// A batch judged.
#[derive(Clone, Debug)]
pub struct LossOutput {
    /// The loss and its gradients.
    pub loss: Loss,
    /// What the cells of each image learn.
    pub assignments: Vec<Assignment>,
    /// The cells.
    pub predictions: Predictions,
    /// The gradient of each of the head's maps, `[n, c, h, w]`, by the graph's names.
    pub gradients: Vec<(String, Vec<f32>)>,
}

/// One of the head's maps as the network gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct MapData {
    /// Batch, channels, height, width.
    pub shape: [usize; 4],
    /// The values, row-major.
    pub data: Vec<f32>,
}

impl MapData {
    /// The map as a slice with its shape.
    pub fn as_map(&self) -> Map<'_> {
        Map { shape: self.shape, data: &self.data }
    }
}

impl Objective {
    /// The part of a network's graph that training needs: everything up to the head's maps.
    pub fn graph(graph: &Graph) -> Graph {
        pass::keep_outputs(graph, Head::is_training_output)
    }

    /// Judges a batch by the maps that `output` gives for the names of [`Objective::graph`]'s outputs; `strides` are those
    /// of the levels in pixels of the network input. The batch may be a member's share of that of a group. Images are assigned
    /// on so many `threads`, which changes no number.
    pub fn compute_loss(
        &self,
        mut output: impl FnMut(&str) -> Option<MapData>,
        strides: &[usize],
        truths: &[Truth],
        epoch: usize,
        group: &dyn ProcessGroup,
        threads: usize,
    ) -> LossOutput {
        let mut read = |map: HeadMap| -> Vec<MapData> {
            (0..strides.len()).filter_map(|level| output(&map.name(level))).collect()
        };
        let [cls, reg, align] = MAPS.map(&mut read);
        let levels: Vec<LevelMaps<'_>> = (0..strides.len())
            .map(|level| LevelMaps {
                cls: cls[level].as_map(),
                reg: reg[level].as_map(),
                align: align.get(level).map(MapData::as_map),
                stride: strides[level],
            })
            .collect();
        let mut predictions = Predictions::new(&levels);
        predictions.threads = threads;
        let assignments = self.assign(&predictions, truths, epoch, threads);
        let loss = match self.loss {
            LossKind::Paper => paper(&predictions, truths, &assignments, group),
            LossKind::Base => base(&predictions, truths, &assignments, group),
            LossKind::SecondGeneration => second_generation(&predictions, truths, &assignments, group),
        };
        let sizes: Vec<_> = cls.iter().map(|map| (map.shape[2], map.shape[3])).collect();
        let by_kind = [Some(&loss.gradients.cls), Some(&loss.gradients.reg), loss.gradients.align.as_ref()];
        let mut gradients = Vec::new();
        for (kind, values) in MAPS.iter().zip(by_kind) {
            let maps = values.map(|values| predictions.to_maps(values, &sizes)).unwrap_or_default();
            gradients.extend(maps.into_iter().enumerate().map(|(level, map)| (kind.name(level), map)));
        }
        LossOutput { loss, assignments, predictions, gradients }
    }

    /// Images are independent: each thread takes its share of them.
    fn assign(
        &self,
        predictions: &Predictions,
        truths: &[Truth],
        epoch: usize,
        threads: usize,
    ) -> Vec<Assignment> {
        let one = |image: usize, truth: &Truth| match self.assigner {
            Assigner::SimOta { cost, lambda } => SimOta { cost, lambda }.assign(predictions, image, truth),
            Assigner::Atss => loader_atss(&predictions.anchors, truth),
            Assigner::AtssThenTaskAligned { static_epochs } if epoch < static_epochs => {
                atss(predictions, image, truth, ATSS_NEAREST)
            }
            Assigner::AtssThenTaskAligned { .. } => {
                task_aligned(predictions, &scores(predictions, image), image, truth)
            }
        };
        let of = |from: usize, part: &[Truth]| -> Vec<Assignment> {
            part.iter().enumerate().map(|(index, truth)| one(from + index, truth)).collect()
        };
        let share = truths.len().div_ceil(threads.max(1)).max(1);
        let (first, rest) = truths.split_at(share.min(truths.len()));
        std::thread::scope(|scope| {
            let of = &of;
            let parts = rest.chunks(share).enumerate();
            let others: Vec<_> =
                parts.map(|(index, part)| scope.spawn(move || of((index + 1) * share, part))).collect();
            let mut assignments = of(0, first);
            for other in others {
                match other.join() {
                    Ok(others) => assignments.extend(others),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            assignments
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::SingleProcess;

    #[test]
    fn any_number_of_threads_judges_alike() {
        let strides = [8, 16];
        let noise = |count: usize| (0..count).map(|i| ((i * 7919) % 2003) as f32 / 400.0 - 2.5).collect();
        let output = |name: &str| {
            let channels = if name.starts_with("cls") { 3 } else { 32 };
            let side = if name.ends_with('0') { 12 } else { 6 };
            let data = noise(5 * channels * side * side);
            (!name.starts_with("align")).then_some(MapData { shape: [5, channels, side, side], data })
        };
        let truth = |image: usize| Truth {
            boxes: vec![[4.0 + image as f64, 8.0, 60.0, 70.0 + image as f64], [30.0, 20.0, 90.0, 88.0]],
            classes: vec![image % 3, 2],
        };
        let truths: Vec<Truth> = (0..5).map(truth).collect();
        let assigner = Assigner::SimOta { cost: SimOtaCost::Modified, lambda: 6.0 };
        let objective = Objective { assigner, loss: LossKind::Paper };
        let judge =
            |threads: usize| objective.compute_loss(output, &strides, &truths, 0, &SingleProcess, threads);
        let expected = judge(1);
        assert!(expected.assignments.iter().all(|assignment| assignment.positives() > 1));
        for threads in [0, 2, 3, 5, 9] {
            let found = judge(threads);
            assert_eq!(found.assignments, expected.assignments, "{threads} threads");
            assert_eq!(found.gradients, expected.gradients, "{threads} threads");
        }
    }
}
