//! The integers of a quantised network: bytes with a scale and a zero point per channel, and 8-bit weights.

mod arithmetic;
mod check;
mod maps;
mod restrict;
mod symmetric;

use std::collections::BTreeMap;

use crate::Activation;

pub use arithmetic::{ByteStore, activate, to_byte};
pub use maps::{byte_nodes, is_quantisable, maps_of, moved_map};

/// Smallest scale of a channel as a share of the largest scale of its map.
const SMALLEST_SCALE: f32 = 1e-8;
/// Largest byte.
const LARGEST: f32 = 255.0;

/// Weights of a convolution in 8 bits, one scale per output channel.
///
/// The columns contain the scales of the input map: with `s[c]` the scale of channel `c` of the input, the float weight
/// is `weight[o, c, ky, kx] * scale[o] / s[c]`. For a depthwise convolution `c` is `o`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuantisedConvolution {
    /// Integers from -127 to 127, `[out, in / groups, k, k]`.
    pub weight: Vec<i8>,
    /// Scale of each output channel, `[out]`.
    pub scale: Vec<f32>,
    /// Bias in units of the result, `[out]`, before the zero points of the input are taken into account.
    pub bias: Vec<f32>,
}

/// Scale and zero point of each channel of a map of bytes: `real = (q - zero) * scale`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MapQuantisation {
    /// Scale of each channel; positive.
    pub scale: Vec<f32>,
    /// The byte that stands for zero.
    pub zero: Vec<u8>,
}

/// All that a folded float network lacks to be computed in bytes.
///
/// A convolution that is absent from `convolutions` is computed in f32, and so is every value that is absent from
/// [`maps_of`]. The result of a quantised convolution without a map is f32.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quantisation {
    /// Mean of each channel of the image, for pixel values from 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of each channel of the image.
    pub std: [f32; 3],
    /// The quantised convolutions by the scope of their node.
    pub convolutions: BTreeMap<String, QuantisedConvolution>,
    /// The maps by the scope of the node that computes them: the last node of a block, a scale, an add, …. Maps of nodes
    /// that only move bytes are not stored: [`maps_of`] derives them.
    pub maps: BTreeMap<String, MapQuantisation>,
}

impl MapQuantisation {
    /// Returns scales and zero points for channels whose values are in `lowest[c] ..= highest[c]`.
    ///
    /// Ranges are extended to contain zero. Values that are not finite count as zero.
    #[must_use]
    pub fn of_ranges(lowest: &[f32], highest: &[f32]) -> Self {
        let finite = |value: f32| if value.is_finite() { value } else { 0.0 };
        let ranges: Vec<(f32, f32)> = lowest
            .iter()
            .zip(highest)
            .map(|(&low, &high)| (finite(low).min(0.0), finite(high).max(0.0)))
            .collect();
        let step = |&(low, high): &(f32, f32)| high / LARGEST - low / LARGEST;
        let largest = ranges.iter().map(step).fold(f32::MIN_POSITIVE / SMALLEST_SCALE, f32::max);
        let scale: Vec<f32> = ranges.iter().map(|range| step(range).max(SMALLEST_SCALE * largest)).collect();
        let zero = ranges.iter().zip(&scale).map(|(&(low, _), &scale)| {
            // Between 0 and 255 by the clamp.
            (-low / scale).round_ties_even().clamp(0.0, LARGEST) as u8
        });
        Self { zero: zero.collect(), scale }
    }

    /// Returns the number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.scale.len()
    }

    /// Returns the activation and rounding of each channel.
    #[must_use]
    pub fn stores(&self, activation: Option<Activation>) -> Vec<ByteStore> {
        let channels = self.scale.iter().zip(&self.zero);
        channels.map(|(&scale, &zero)| ByteStore::new(activation, scale, zero)).collect()
    }

    /// Returns the byte nearest to `value` in channel `c`.
    ///
    /// # Panics
    /// If there is no channel `c`.
    #[must_use]
    pub fn quantise(&self, value: f32, c: usize) -> u8 {
        to_byte(value.mul_add(1.0 / self.scale[c], f32::from(self.zero[c])))
    }

    /// Returns the value of byte `q` in channel `c`.
    ///
    /// # Panics
    /// If there is no channel `c`.
    #[must_use]
    pub fn dequantise(&self, q: u8, c: usize) -> f32 {
        f32::from(i16::from(q) - i16::from(self.zero[c])) * self.scale[c]
    }
}

/// Returns the values of the image's bytes per step, `1 / (255 std)`: the scales of the input of the first convolution.
#[must_use]
pub fn image_scales(std: [f32; 3]) -> [f32; 3] {
    std.map(|std| 1.0 / (LARGEST * std))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_contain_zero_and_dead_channels_keep_a_scale() {
        let map = MapQuantisation::of_ranges(&[-0.375, 1.0, 0.0, -2.0], &[5.0, 3.0, 0.0, -1.0]);
        assert_eq!(map.zero, [18, 0, 0, 255]);
        assert_eq!(map.scale[1], 3.0 / 255.0);
        assert_eq!(map.scale[2], map.scale[0] * 1e-8);
        let values = [map.dequantise(map.quantise(1.23, 0), 0), map.dequantise(255, 1)];
        assert!((values[0] - 1.23).abs() < map.scale[0] / 2.0 && (values[1] - 3.0).abs() < 1e-6);
        assert_eq!((map.quantise(f32::INFINITY, 0), map.quantise(-1e9, 3)), (255, 0));
        let empty = MapQuantisation::of_ranges(&[f32::NAN, 0.0], &[f32::INFINITY, 0.0]);
        assert!(empty.scale.iter().all(|&scale| scale > 0.0), "{empty:?}");
    }

    #[test]
    fn bytes_are_rounded_to_even() {
        let bytes = [0.5, 1.5, 2.5, 254.5, 255.5, -0.5, f32::NAN].map(to_byte);
        assert_eq!(bytes, [0, 2, 2, 254, 255, 0, 0]);
    }
}
