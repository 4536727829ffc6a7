//! Scores and boxes from the head's maps as the fast engine has them: channels last, scores before their sigmoid.
//!
//! The same numbers as [`crate::decode`] finds in copied maps, up to rounding of the sigmoid, which is computed only for
//! the few scores that are high enough.

use picodet_engine::CellMap;
use picodet_graph::Activation;
use picodet_zoo::{BINS, REG_CHANNELS};

use crate::decode::{Candidate, box_around};

/// The maps of one pyramid level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CellLevel<'a> {
    score: CellMap<'a>,
    reg: CellMap<'a>,
    /// Pixels of the network input a cell.
    stride: usize,
}

/// The levels among lent outputs; `None` where they do not lie as this module reads them.
pub(crate) fn levels<'a>(maps: &[CellMap<'a>], strides: &[usize]) -> Option<Vec<CellLevel<'a>>> {
    let find = |name: String| maps.iter().find(|map| map.name == name).copied();
    let level = |(level, &stride): (usize, &usize)| {
        let (score, reg) = (find(format!("score.{level}"))?, find(format!("reg.{level}"))?);
        let readable = matches!(score.pending, None | Some(Activation::Sigmoid))
            && reg.pending.is_none()
            && reg.channels() == REG_CHANNELS
            && reg.size == score.size
            && score.cell(0).is_some()
            && reg.cell(0).is_some();
        readable.then_some(CellLevel { score, reg, stride })
    };
    strides.iter().enumerate().map(level).collect()
}

/// The anchors that score above `threshold`, by class, then by anchor, as [`crate::decode::candidates`] lists them.
pub(crate) fn candidates(levels: &[CellLevel<'_>], threshold: f32) -> Vec<Candidate> {
    /// So many scores are looked at together; mostly none of them is high.
    const BLOCK: usize = 16;
    let mut found: Vec<Candidate> = Vec::with_capacity(1024);
    let mut anchor = 0u32;
    for level in levels {
        let pending = level.score.pending.is_some();
        let least = if pending { below_logit(threshold) } else { threshold };
        for cell in 0..level.score.size.0 * level.score.size.1 {
            let scores = level.score.cell(cell).unwrap_or_default();
            for (block, values) in scores.chunks(BLOCK).enumerate() {
                if !values.iter().fold(false, |any, value| any | (*value > least)) {
                    continue;
                }
                for (class, &value) in values.iter().enumerate() {
                    let score = if pending { sigmoid(value) } else { value };
                    if value > least && score > threshold {
                        found.push(Candidate { class: (block * BLOCK + class) as u32, anchor, score });
                    }
                }
            }
            anchor += 1;
        }
    }
    by_class(&found)
}

/// The box of an anchor, `[x1, y1, x2, y2]` in pixels of the network input; `None` when there is no such anchor.
pub(crate) fn box_of(levels: &[CellLevel<'_>], anchor: usize) -> Option<[f32; 4]> {
    let mut cell = anchor;
    for level in levels {
        let (height, width) = level.reg.size;
        if cell < height * width {
            let logits = level.reg.cell(cell)?;
            let side = |side: usize| std::array::from_fn(|bin| logits[side * BINS + bin]);
            return Some(box_around((cell / width, cell % width), level.stride, side));
        }
        cell -= height * width;
    }
    None
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// A logit a little below that of a probability, so that rounding loses none that lies above; minus infinity where there
/// is none.
fn below_logit(probability: f32) -> f32 {
    if probability <= 0.0 {
        return f32::NEG_INFINITY;
    }
    let probability = f64::from(probability.min(1.0 - f32::EPSILON));
    ((probability / (1.0 - probability)).ln() - 1e-3) as f32
}

/// Sorts by class and keeps the order within a class: each goes to the place that counting gives it.
fn by_class(found: &[Candidate]) -> Vec<Candidate> {
    let classes = found.iter().map(|candidate| candidate.class as usize + 1).max().unwrap_or(0);
    let mut next = vec![0; classes + 1];
    found.iter().for_each(|candidate| next[candidate.class as usize + 1] += 1);
    (0..classes).for_each(|class| next[class + 1] += next[class]);
    let mut sorted = vec![Candidate { class: 0, anchor: 0, score: 0.0 }; found.len()];
    for &candidate in found {
        let place = &mut next[candidate.class as usize];
        sorted[*place] = candidate;
        *place += 1;
    }
    sorted
}

#[cfg(test)]
mod tests {
    use picodet_engine::{Fast, Feature, Plan};
    use picodet_graph::pass;
    use picodet_zoo::variant;

    use super::*;
    use crate::{decode, graph_of, level_maps};

    /// Weights that make scores of all heights.
    fn weights(graph: &picodet_graph::Graph) -> picodet_graph::Weights {
        let mut state = 5u32;
        let mut random = |limit: f32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * limit
        };
        let params = graph.params.iter().map(|param| {
            let limit = (3.0 / param.shape.iter().skip(1).product::<usize>().max(1) as f32).sqrt();
            let data = (0..param.shape.iter().product()).map(|_| match param.role {
                picodet_graph::Role::Gamma | picodet_graph::Role::RunningVariance => 1.0,
                picodet_graph::Role::Weight => random(limit),
                _ => random(0.1),
            });
            (param.name.clone(), picodet_graph::Tensor { shape: param.shape.clone(), data: data.collect() })
        });
        params.collect()
    }

    #[test]
    fn lent_maps_give_what_copied_ones_give() {
        for name in ["legacy_s_320", "v2_xs_320"] {
            let variant = variant(name).expect("a published network");
            let graph = graph_of(&variant.architecture, 7, true);
            let graph =
                pass::keep_outputs(&graph, |name| name.starts_with("score.") || name.starts_with("reg."));
            let mut plan = Fast::new().prepare(&graph, &weights(&graph), (64, 96)).expect("a sound network");
            let data = (0..3 * 64 * 96).map(|i| ((i * 37 % 255) as f32 / 255.0 - 0.5) * 4.0).collect();
            let image = Feature { shape: [1, 3, 64, 96], data };
            let outputs = plan.run(&image).expect("the image fits");
            let strides = variant.architecture.strides();
            let copied = level_maps(&outputs, &strides);
            let maps = plan.run_cells(&image).expect("the image fits").expect("maps to lend");
            let lent = levels(&maps, &strides).expect("maps that can be read");
            let mut some = 0;
            for threshold in [0.0, 0.3, 0.45, 0.5, 0.55, 0.7, 1.0] {
                let expected = decode::candidates(&copied, 0, threshold);
                let found = candidates(&lent, threshold);
                // A score may lie on either side of the threshold by rounding.
                let near = |list: &[Candidate], other: &[Candidate]| {
                    list.iter().all(|one| {
                        let same = |two: &&Candidate| (two.class, two.anchor) == (one.class, one.anchor);
                        let close = |two: &Candidate| (two.score - one.score).abs() < 1e-6;
                        other.iter().find(same).map_or((one.score - threshold).abs() < 1e-6, close)
                    })
                };
                assert!(near(&expected, &found) && near(&found, &expected), "{name} above {threshold}");
                assert!(found.is_sorted_by_key(|candidate| (candidate.class, candidate.anchor)));
                some += found.len();
            }
            assert!(some > 100, "{name}: only {some} candidates");
            for anchor in 0..decode::anchor_count(&copied) + 2 {
                let (expected, found) = (decode::box_of(&copied, 0, anchor), box_of(&lent, anchor));
                assert_eq!(expected, found, "{name}, anchor {anchor}");
            }
        }
    }

    #[test]
    fn values_that_are_no_numbers_score_nothing() {
        assert!(sigmoid(f32::NAN).is_nan());
        assert_eq!(below_logit(0.0), f32::NEG_INFINITY);
        assert!(below_logit(1.0).is_finite());
        assert!((below_logit(0.5) + 1e-3).abs() < 1e-6);
    }
}
