//! Data-parallel training: a tape that processes one shard of a batch.

use std::sync::Arc;

/// Sums a vector over all ranks of a group, element by element, in place. Every rank calls it in the same order with
/// vectors of the same length.
pub type AllReduce = Arc<dyn Fn(&mut [f64]) + Send + Sync>;

/// The part of a batch that a tape processes.
#[derive(Clone)]
pub(crate) struct Shard {
    /// Index of its first image in the whole batch.
    pub(crate) first_image: usize,
    pub(crate) all_reduce: AllReduce,
}

/// Replaces mean and biased variance of the `pixels` of this shard, per channel, by those of the whole batch, and
/// returns the number of pixels of the whole batch.
///
/// Exchanges Σ 1, Σ x and Σ x² in one all-reduce. The squares are around zero, which costs (mean / deviation)² roundings
/// of 1e-16 in f64: less than the f32 of the values until the deviation is 1e-4 of the mean.
pub(crate) fn whole_moments(shard: &Shard, pixels: usize, mean: &mut [f64], variance: &mut [f64]) -> f64 {
    let own = pixels as f64;
    let channels = mean.len();
    let mut sums = vec![own; 2 * channels + 1];
    for c in 0..channels {
        sums[c] = own * mean[c];
        sums[channels + c] = own * (variance[c] + mean[c] * mean[c]);
    }
    (shard.all_reduce)(&mut sums);
    let all = sums[2 * channels];
    for c in 0..channels {
        mean[c] = sums[c] / all;
        // NaN is preserved, which `max` would not do.
        let spread = sums[channels + c] / all - mean[c] * mean[c];
        variance[c] = if spread < 0.0 { 0.0 } else { spread };
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The other rank has 3 pixels of 1, 2, 6 (mean 3, variance 14/3); this one has 1 pixel of 7.
    #[test]
    fn moments_of_two_ranks_are_those_of_all_pixels() {
        let all_reduce: AllReduce = Arc::new(|values: &mut [f64]| {
            for (value, other) in values.iter_mut().zip([9.0, 41.0, 3.0]) {
                *value += other;
            }
        });
        let (mut mean, mut variance) = ([7.0], [0.0]);
        let all = whole_moments(&Shard { first_image: 0, all_reduce }, 1, &mut mean, &mut variance);
        assert_eq!((all, mean, variance), (4.0, [4.0], [6.5]));
    }

    #[test]
    fn nan_is_preserved() {
        let shard = Shard { first_image: 0, all_reduce: Arc::new(|_: &mut [f64]| ()) };
        let (mut mean, mut variance) = ([1.0], [f64::NAN]);
        whole_moments(&shard, 4, &mut mean, &mut variance);
        assert!(variance[0].is_nan());
    }
}
