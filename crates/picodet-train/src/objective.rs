//! The training objective: the head's outputs → predictions → assignments → loss → gradients of the outputs.

use picodet_graph::{Graph, TensorView, pass};
use picodet_zoo::{Head, HeadMap};
use serde::{Deserialize, Serialize};

use crate::assign::{SimOta, SimOtaCost, atss, loader_atss, task_aligned};
use crate::group::ProcessGroup;
use crate::loss::{Assigned, Loss, base, paper, second_generation};
use crate::{Anchors, Assignment, HeadGradients, LevelMaps, Predictions, Truth};

/// Anchors per level that the second generation's ATSS considers (SPEC §5.2).
const ATSS_NEAREST: usize = 9;

/// The rule that assigns objects to anchors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Assigner {
    /// The paper's SimOTA (SPEC §5.1).
    SimOta {
        /// The cost of assigning an object to an anchor.
        #[serde(default)]
        cost: SimOtaCost,
        /// Weight of the overlap in the cost.
        #[serde(default = "lambda")]
        lambda: f64,
    },
    /// The first recipe's ATSS, which needs no predictions (SPEC §5.4).
    Atss,
    /// The second generation's: ATSS first, then task-aligned (SPEC §5.2, §5.3).
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
    /// The rule that assigns objects to anchors.
    pub assigner: Assigner,
    /// The sum of losses.
    pub loss: LossKind,
}

/// The loss of a batch. Its gradients are in the [`HeadGradients`] that [`Objective::compute_loss`] fills.
#[derive(Clone, Debug)]
pub struct LossOutput {
    /// The terms of the loss.
    pub loss: Loss,
    /// The assignment of each image.
    pub assignments: Vec<Assignment>,
    /// The anchors of one image.
    pub anchors: Anchors,
}

impl Objective {
    /// Returns the part of a network's graph that training needs: everything up to the head's training outputs.
    pub fn graph(graph: &Graph) -> Graph {
        pass::keep_outputs(graph, Head::is_training_output)
    }

    /// Computes the loss of a batch from the head's outputs, and its gradients by them.
    ///
    /// `output` returns the outputs of [`Objective::graph`] by name; `strides` are those of the pyramid levels in pixels of the
    /// network input. The batch may be one rank's shard of the batch of `group`. The result does not depend on the number of
    /// `threads`. `gradients` keeps its memory from step to step.
    ///
    /// # Panics
    /// When a level lacks an output, or the outputs of a level have different shapes.
    pub fn compute_loss<'a>(
        &self,
        output: impl Fn(&str) -> Option<TensorView<'a>>,
        strides: &[usize],
        truths: &[Truth],
        epoch: usize,
        (group, threads): (&dyn ProcessGroup, usize),
        gradients: &mut HeadGradients,
    ) -> LossOutput {
        let levels = level_maps(output, strides);
        let predictions = Predictions::new(&levels);
        gradients.reset(&predictions);
        let assignments = self.assign(&predictions, truths, epoch, threads);
        let assigned =
            Assigned { predictions: &predictions, truths, assignments: &assignments, group, threads };
        let loss = match self.loss {
            LossKind::Paper => paper(&assigned, gradients),
            LossKind::Base => base(&assigned, gradients),
            LossKind::SecondGeneration => second_generation(&assigned, gradients),
        };
        LossOutput { loss, assignments, anchors: predictions.anchors }
    }

    /// Assigns the objects of every image.
    fn assign(
        &self,
        predictions: &Predictions<'_>,
        truths: &[Truth],
        epoch: usize,
        threads: usize,
    ) -> Vec<Assignment> {
        let assign = |(image, truth): (usize, &Truth)| match self.assigner {
            Assigner::SimOta { cost, lambda } => SimOta { cost, lambda }.assign(predictions, image, truth),
            Assigner::Atss => loader_atss(&predictions.anchors, truth),
            Assigner::AtssThenTaskAligned { static_epochs } if epoch < static_epochs => {
                atss(predictions, image, truth, ATSS_NEAREST)
            }
            Assigner::AtssThenTaskAligned { .. } => task_aligned(predictions, image, truth),
        };
        picodet_parallel::map(truths.iter().enumerate(), threads.max(1), assign)
    }
}

/// Returns the head's training outputs of all levels, by the names of a graph.
///
/// # Panics
/// When a level lacks an output.
pub fn level_maps<'a>(
    output: impl Fn(&str) -> Option<TensorView<'a>>,
    strides: &[usize],
) -> Vec<LevelMaps<'a>> {
    let required = |map: HeadMap, level: usize| {
        let name = map.name(level);
        output(&name).unwrap_or_else(|| panic!("the network has no output `{name}`"))
    };
    let level = |(level, &stride): (usize, &usize)| LevelMaps {
        cls: required(HeadMap::ClassLogit, level),
        reg: required(HeadMap::Box, level),
        align: output(&HeadMap::AlignLogit.name(level)),
        stride,
    };
    strides.iter().enumerate().map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::SingleProcess;

    #[test]
    fn any_number_of_threads_computes_the_same_loss() {
        let strides = [8, 16];
        let noise = |count: usize| -> Vec<f32> {
            (0..count).map(|i| ((i * 7919) % 2003) as f32 / 400.0 - 2.5).collect()
        };
        let data = noise(5 * 32 * 144);
        let output = |name: &str| {
            let channels = if name.starts_with("cls") { 3 } else { 32 };
            let side = if name.ends_with('0') { 12 } else { 6 };
            let view = TensorView::channels_first(&data, [5, channels, side, side]);
            view.filter(|_| !name.starts_with("align"))
        };
        let truth = |image: usize| Truth {
            boxes: vec![[4.0 + image as f64, 8.0, 60.0, 70.0 + image as f64], [30.0, 20.0, 90.0, 88.0]],
            classes: vec![image % 3, 2],
        };
        let truths: Vec<Truth> = (0..5).map(truth).collect();
        let assigner = Assigner::SimOta { cost: SimOtaCost::Modified, lambda: 6.0 };
        let objective = Objective { assigner, loss: LossKind::Paper };
        let compute = |threads: usize| {
            let mut gradients = HeadGradients::default();
            let found = objective.compute_loss(
                output,
                &strides,
                &truths,
                0,
                (&SingleProcess, threads),
                &mut gradients,
            );
            (found, gradients)
        };
        let (expected, expected_gradients) = compute(1);
        assert!(expected.assignments.iter().all(|assignment| assignment.positives() > 1));
        for threads in [0, 2, 3, 5, 9] {
            let (found, gradients) = compute(threads);
            assert_eq!(found.assignments, expected.assignments, "{threads} threads");
            assert_eq!(found.loss, expected.loss, "{threads} threads");
            assert_eq!(gradients, expected_gradients, "{threads} threads");
        }
    }
}
