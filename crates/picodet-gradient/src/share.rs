//! A tape that works on a share of a batch, while others work on the rest.

use std::sync::Arc;

/// Adds the numbers of all members of a group up: every member calls it at the same places of its work with as many
/// numbers, and finds the sums where its own numbers were.
pub type GroupSum = Arc<dyn Fn(&mut [f64]) + Send + Sync>;

/// Which part of a batch a tape works on.
#[derive(Clone)]
pub(crate) struct Share {
    /// The place of its first image in the whole batch.
    pub(crate) first_image: usize,
    pub(crate) sum: GroupSum,
}

/// Moments of one channel that can be added up over members: Σ 1, Σ x, Σ x².
///
/// The squares are around zero, not around the mean, so that one exchange is enough. What is lost by that in f64 is
/// (mean / deviation)² roundings of 1e-16: nothing against the f32 of the values, until the deviation is 1e-4 of the
/// mean.
pub(crate) fn whole_moments(share: &Share, cells: usize, mean: &mut [f64], variance: &mut [f64]) -> f64 {
    let own = cells as f64;
    let channels = mean.len();
    let mut sums = vec![own; 2 * channels + 1];
    for c in 0..channels {
        sums[c] = own * mean[c];
        sums[channels + c] = own * (variance[c] + mean[c] * mean[c]);
    }
    (share.sum)(&mut sums);
    let all = sums[2 * channels];
    for c in 0..channels {
        mean[c] = sums[c] / all;
        // A value that is no number stays one.
        let spread = sums[channels + c] / all - mean[c] * mean[c];
        variance[c] = if spread < 0.0 { 0.0 } else { spread };
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The other member has 3 cells of 1, 2, 6 (mean 3, variance 14/3); this one has 1 cell of 7.
    #[test]
    fn moments_of_two_members_are_those_of_all_cells() {
        let sum: GroupSum = Arc::new(|values: &mut [f64]| {
            for (value, other) in values.iter_mut().zip([9.0, 41.0, 3.0]) {
                *value += other;
            }
        });
        let (mut mean, mut variance) = ([7.0], [0.0]);
        let all = whole_moments(&Share { first_image: 0, sum }, 1, &mut mean, &mut variance);
        assert_eq!((all, mean, variance), (4.0, [4.0], [6.5]));
    }

    #[test]
    fn a_value_that_is_no_number_is_not_hidden() {
        let share = Share { first_image: 0, sum: Arc::new(|_: &mut [f64]| ()) };
        let (mut mean, mut variance) = ([1.0], [f64::NAN]);
        whole_moments(&share, 4, &mut mean, &mut variance);
        assert!(variance[0].is_nan());
    }
}
