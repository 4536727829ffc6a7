//! Random numbers by purpose and position, independent of previous draws: a resumed run, or one with another number of
//! processes, draws the same numbers.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The purpose of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The order of the images in an epoch.
    Order = 1,
    /// The augmentation of one image.
    Image = 2,
    /// The size and interpolation of one batch.
    Batch = 3,
    /// Initial values of parameters.
    Initialisation = 4,
    /// Dropout.
    Dropout = 5,
    /// Candidates of an architecture search.
    Search = 6,
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// Returns the stream of a purpose and position: the same four values always give the same stream.
    #[must_use]
    pub fn new(seed: u64, purpose: Purpose, first: u64, second: u64) -> Self {
        let mut bytes = [0; 32];
        for (target, part) in
            bytes.as_chunks_mut::<8>().0.iter_mut().zip([seed, purpose as u64, first, second])
        {
            *target = part.to_le_bytes();
        }
        Self(ChaCha8Rng::from_seed(bytes))
    }

    /// Returns a value of the uniform distribution on `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns a value of the uniform distribution on `low..high`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Returns an index below `count`, 0 if `count` is 0.
    pub fn index(&mut self, count: usize) -> usize {
        ((self.unit() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Returns `true` with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Returns a value of the standard normal distribution (Box–Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Shuffles values (Fisher–Yates).
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
    fn a_stream_depends_on_its_four_values_alone() {
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
