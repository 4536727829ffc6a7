//! Assigners: which cell learns which object (SPEC §5).

mod atss;
mod simota;
mod task_aligned;

use crate::Box4;

pub use atss::{atss, loader_atss};
pub use simota::{SimOta, SimOtaCost};
pub use task_aligned::task_aligned;

/// The objects of one image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// Boxes in pixels of the network input.
    pub boxes: Vec<Box4>,
    /// Class of each box.
    pub classes: Vec<usize>,
}

/// The assignment of objects to the anchors of one image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assignment {
    /// The object of each cell, by index; `None` is background.
    pub object: Vec<Option<usize>>,
    /// How good the prediction of each cell is for its object: the class target of the second generation; 0 elsewhere.
    pub quality: Vec<f64>,
}

impl Assignment {
    pub(crate) fn background(anchors: usize) -> Self {
        Self { object: vec![None; anchors], quality: vec![0.0; anchors] }
    }

    /// Number of cells that learn an object.
    pub fn positives(&self) -> usize {
        self.object.iter().flatten().count()
    }
}

/// The places of the `count` largest keys, ties by lower place.
pub(crate) fn largest(keys: &[f64], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..keys.len()).collect();
    places.sort_unstable_by(|&a, &b| keys[b].total_cmp(&keys[a]).then(a.cmp(&b)));
    places.truncate(count);
    places
}

/// The first place of the largest key.
pub(crate) fn first_largest(keys: impl Iterator<Item = f64>) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (place, key) in keys.enumerate() {
        if best.is_none_or(|(_, largest)| key > largest) {
            best = Some((place, key));
        }
    }
    best.map(|(place, _)| place)
}
