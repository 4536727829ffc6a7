//! Checks of a model's metadata.

use picodet_graph::{Graph, Role, Weights};
use picodet_weights::Metadata;

use crate::{MAX_CLASSES, MAX_INPUT_SIDE, ModelError};

/// Checks that every value of the metadata is in its range.
pub(crate) fn check_metadata(metadata: &Metadata) -> Result<(), ModelError> {
    let (height, width) = metadata.input_size;
    let is_valid_side = |side: usize| side > 0 && side <= MAX_INPUT_SIDE && side.is_multiple_of(32);
    let has_finite_mean = metadata.mean.iter().all(|value| value.is_finite());
    let has_positive_std = metadata.std.iter().all(|value| value.is_finite() && *value > 0.0);
    let problem = if metadata.classes.is_empty() || metadata.classes.len() > MAX_CLASSES {
        format!("{} classes, where 1 to {MAX_CLASSES} are possible", metadata.classes.len())
    } else if metadata.category_ids.len() != metadata.classes.len() {
        format!("{} category ids for {} classes", metadata.category_ids.len(), metadata.classes.len())
    } else if !is_valid_side(height) || !is_valid_side(width) {
        format!(
            "an input of {height}x{width} pixels, where multiples of 32 up to {MAX_INPUT_SIDE} are possible"
        )
    } else if !has_finite_mean || !has_positive_std {
        "a mean or standard deviation that is NaN, infinite, or not positive".to_owned()
    } else {
        return Ok(());
    };
    Err(ModelError::Metadata(problem))
}

/// Values of 0 in a row that only an incomplete copy has.
const ZEROS: usize = 4096;

/// Checks that all weights are finite and not a long run of zeros, and variances not negative; returns the name of a damaged
/// parameter and the kind of its value.
pub(crate) fn check_weights(graph: &Graph, weights: &Weights) -> Result<(), (String, &'static str)> {
    for param in &graph.params {
        let Some(tensor) = weights.get(&param.name) else { continue };
        let damaged = |what| Err((param.name.clone(), what));
        if !tensor.data.iter().all(|value| value.is_finite()) {
            return damaged("NaN or infinite");
        }
        let can_be_zero = !matches!(param.role, Role::Weight | Role::RunningVariance);
        if !can_be_zero && is_zero(&tensor.data) {
            return damaged("0, like all those next to it, as in an incomplete copy");
        }
        if param.role == Role::RunningVariance && tensor.data.iter().any(|&value| value < 0.0) {
            return damaged("a negative variance");
        }
    }
    Ok(())
}

/// Whether all values are 0, or [`ZEROS`] in a row.
fn is_zero(values: &[f32]) -> bool {
    // Such a run has a value at a multiple of half its length; few weights are 0, so that this is usually all.
    if values.iter().step_by(ZEROS / 2).all(|value| *value != 0.0) {
        return false;
    }
    let mut zeros = 0;
    let mut longest = 0;
    for value in values {
        zeros = if *value == 0.0 { zeros + 1 } else { 0 };
        longest = longest.max(zeros);
    }
    longest >= ZEROS.min(values.len())
}

#[cfg(test)]
mod tests {
    use picodet_testing::Cases;

    use super::*;

    #[test]
    fn values_out_of_range_are_refused() {
        let sound = Metadata {
            classes: vec!["a".to_owned(), "b".to_owned()],
            category_ids: vec![1, 2],
            input_size: (320, 416),
            mean: [0.5; 3],
            std: [0.2; 3],
            ..Metadata::default()
        };
        assert!(check_metadata(&sound).is_ok());
        let mut cases = Cases::new();
        let mut refused = |name: &str, change: fn(&mut Metadata)| {
            let mut metadata = sound.clone();
            change(&mut metadata);
            cases.check(name, check_metadata(&metadata).is_err());
        };
        refused("no class", |metadata| metadata.classes.clear());
        refused("a missing category id", |metadata| metadata.category_ids.truncate(1));
        refused("an empty input", |metadata| metadata.input_size = (0, 320));
        refused("a height of 33", |metadata| metadata.input_size = (33, 320));
        refused("a width of 4128", |metadata| metadata.input_size = (320, 4128));
        refused("an infinite mean", |metadata| metadata.mean[1] = f32::INFINITY);
        refused("a deviation of 0", |metadata| metadata.std[2] = 0.0);
        refused("a deviation that is NaN", |metadata| metadata.std[0] = f32::NAN);
        cases.finish();
    }
}
