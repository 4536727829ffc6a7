//! Evaluations of a run and the choice of its final model.

use serde::{Deserialize, Serialize};

/// The accuracy of the averaged model after an epoch, on the validation images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// mAP over IoU thresholds from 0.5 to 0.95; `None` if it is undefined.
    pub map: Option<f64>,
    /// mAP at IoU threshold 0.5; `None` if it is undefined.
    pub map50: Option<f64>,
}

/// An evaluated model of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalModel {
    /// The model of the best evaluation.
    Best,
    /// The averaged model of the last evaluation.
    Last,
}

impl FinalModel {
    /// Chooses the model with the higher mAP, the last one if both are equal. An undefined mAP is lower than any other.
    /// Returns `None` without an evaluation.
    #[must_use]
    pub fn choose(best: Option<Evaluation>, last: Option<Evaluation>) -> Option<Self> {
        let map = |evaluation: Option<Evaluation>| evaluation.and_then(|evaluation| evaluation.map);
        match (map(best), map(last)) {
            (Some(best), Some(last)) if last >= best => Some(Self::Last),
            (Some(_), _) => Some(Self::Best),
            (None, _) => last.map(|_| Self::Last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_higher_map_wins_and_an_undefined_one_never() {
        let with = |map: Option<f64>| Some(Evaluation { epoch: 5, map, map50: map });
        let undefined = with(None);
        let cases = [
            (with(Some(0.670)), with(Some(0.625)), Some(FinalModel::Best)),
            (with(Some(0.4)), with(Some(0.5)), Some(FinalModel::Last)),
            (with(Some(0.5)), with(Some(0.5)), Some(FinalModel::Last)),
            (with(Some(0.0)), undefined, Some(FinalModel::Best)),
            (with(Some(0.0)), with(Some(f64::NAN)), Some(FinalModel::Best)),
            (with(Some(0.1)), None, Some(FinalModel::Best)),
            (undefined, with(Some(0.0)), Some(FinalModel::Last)),
            (None, undefined, Some(FinalModel::Last)),
            (None, None, None),
        ];
        for (best, last, expected) in cases {
            assert_eq!(FinalModel::choose(best, last), expected, "{best:?} {last:?}");
        }
    }
}
