//! Reproducible pseudo-random numbers for tests, benchmarks and examples.

use std::f64::consts::TAU;

/// A stream of pseudo-random numbers (SplitMix64): the same seed gives the same numbers on every platform.
#[derive(Clone, Debug)]
pub struct Noise(u64);

impl Noise {
    /// Starts a stream.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Returns a value of the uniform distribution on `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns a value of the uniform distribution on `low..high`, a multiple of 2⁻²⁴ of the width of the range.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.bits() >> 40) as f32 / (1u64 << 24) as f32;
        low + unit * (high - low)
    }

    /// Returns a value of the standard normal distribution (Box–Muller).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        (radius * (TAU * self.unit()).cos()) as f32
    }

    /// Returns an index below `count`, 0 if `count` is 0.
    pub fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }

    /// Returns `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.bits() >> 56) as u8).collect()
    }
}

/// Returns `count` values of the uniform distribution on `-1.0..1.0`.
pub fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut noise = Noise::new(seed);
    (0..count).map(|_| noise.uniform(-1.0, 1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_cover_their_range() {
        assert_eq!(noise(50, 3), noise(50, 3));
        assert_ne!(noise(50, 3), noise(50, 4));
        let mut stream = Noise::new(1);
        let values: Vec<f32> = (0..10_000).map(|_| stream.uniform(2.0, 4.0)).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!(values.iter().all(|value| (2.0..4.0).contains(value)) && (mean - 3.0).abs() < 0.05);
        let normal: Vec<f32> = (0..10_000).map(|_| stream.normal()).collect();
        let variance = normal.iter().map(|value| value * value).sum::<f32>() / normal.len() as f32;
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
        let mut seen = [false; 7];
        (0..200).for_each(|_| seen[stream.below(7)] = true);
        assert!(seen.iter().all(|seen| *seen));
        assert_eq!(stream.below(0), 0);
    }
}
