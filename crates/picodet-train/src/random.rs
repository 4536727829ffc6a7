//! Random numbers that depend on what they are for, not on what was drawn before: a run that is picked up again, or
//! spread over other processes, draws the same.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// What a stream of random numbers is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The order of the images in an epoch.
    Order = 1,
    /// The augmentation of one image.
    Image = 2,
    /// The size and interpolation of one batch.
    Batch = 3,
    /// First values of parameters.
    Initialisation = 4,
    /// Dropout.
    Dropout = 5,
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of one purpose in one place: the same four numbers always give the same stream.
    pub fn new(seed: u64, purpose: Purpose, first: u64, second: u64) -> Self {
        let mut bytes = [0; 32];
        for (target, part) in
            bytes.as_chunks_mut::<8>().0.iter_mut().zip([seed, purpose as u64, first, second])
        {
            *target = part.to_le_bytes();
        }
        Self(ChaCha8Rng::from_seed(bytes))
    }

    /// A number of [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number of [low, high).
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number of 0..count; 0 when `count` is 0.
    pub fn index(&mut self, count: usize) -> usize {
        ((self.unit() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A number of the normal distribution of mean 0 and deviation 1.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Puts values into a random order.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.index(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_all_that_names_it_and_on_nothing_else() {
        let draw = |seed, purpose, first, second| Stream::new(seed, purpose, first, second).unit();
        let one = draw(1, Purpose::Order, 2, 3);
        assert_eq!(one, draw(1, Purpose::Order, 2, 3));
        for other in [
            (0, Purpose::Order, 2, 3),
            (1, Purpose::Image, 2, 3),
            (1, Purpose::Order, 0, 3),
            (1, Purpose::Order, 2, 0),
        ] {
            assert_ne!(one, draw(other.0, other.1, other.2, other.3), "{other:?}");
        }
    }

    #[test]
    fn draws_have_the_moments_of_their_distributions() {
        let mut stream = Stream::new(7, Purpose::Initialisation, 0, 0);
        let count = 20_000;
        let normal: Vec<f64> = (0..count).map(|_| stream.normal()).collect();
        let mean = normal.iter().sum::<f64>() / f64::from(count);
        let variance = normal.iter().map(|value| value * value).sum::<f64>() / f64::from(count);
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "mean {mean}, variance {variance}");
        let mut seen = [0; 6];
        (0..count).for_each(|_| seen[stream.index(6)] += 1);
        assert!(seen.iter().all(|&seen| (2_900..3_800).contains(&seen)), "{seen:?}");
    }

    #[test]
    fn a_shuffle_keeps_every_value() {
        let mut values: Vec<usize> = (0..100).collect();
        Stream::new(1, Purpose::Order, 0, 0).shuffle(&mut values);
        assert_ne!(values, (0..100).collect::<Vec<_>>());
        values.sort_unstable();
        assert_eq!(values, (0..100).collect::<Vec<_>>());
    }
}
