//! Ranges of maps, and how far the quantised network is from the float one.

use picodet_graph::MapQuantisation;

use crate::stream::Values;

/// The smallest value of hard-swish, -0.375, and some rounding.
const DIP: f32 = -0.3751;

/// The smallest and the largest value of each channel.
#[derive(Clone, Debug)]
pub(crate) struct Ranges {
    lowest: Vec<f32>,
    highest: Vec<f32>,
}

impl Ranges {
    pub(crate) fn new(channels: usize) -> Self {
        Self { lowest: vec![0.0; channels], highest: vec![0.0; channels] }
    }

    pub(crate) fn add(&mut self, values: &Values) {
        for pixel in values.data.chunks_exact(values.channels) {
            self.lowest.iter_mut().zip(pixel).for_each(|(lowest, &value)| *lowest = lowest.min(value));
            self.highest.iter_mut().zip(pixel).for_each(|(highest, &value)| *highest = highest.max(value));
        }
    }

    pub(crate) fn merge(channels: usize, parts: &[Self]) -> Self {
        let mut all = Self::new(channels);
        for part in parts {
            all.lowest.iter_mut().zip(&part.lowest).for_each(|(to, &from)| *to = to.min(from));
            all.highest.iter_mut().zip(&part.highest).for_each(|(to, &from)| *to = to.max(from));
        }
        all
    }

    /// Returns scales for the ranges, widened by the share `margin`. Negative values are not where they are those of hard-swish's dip,
    /// which most images reach.
    pub(crate) fn map(&self, margin: f32) -> MapQuantisation {
        let widened = |value: &f32| if (DIP..0.0).contains(value) { *value } else { value * (1.0 + margin) };
        let [lowest, highest] =
            [&self.lowest, &self.highest].map(|values| values.iter().map(widened).collect::<Vec<f32>>());
        MapQuantisation::of_ranges(&lowest, &highest)
    }
}

/// The number that a byte of a channel stands for, [`MapQuantisation::dequantise`] of an integer that is stored as f32.
pub(crate) fn number_of(map: &MapQuantisation, c: usize, byte: f32) -> f32 {
    (byte - f32::from(map.zero[c])) * map.scale[c]
}

/// Energy of the float values and of the difference.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Decibels {
    signal: f64,
    noise: f64,
}

impl Decibels {
    pub(crate) fn add(&mut self, float: &Values, quantised: &Values, map: Option<&MapQuantisation>) {
        for (float, quantised) in
            float.data.chunks_exact(float.channels).zip(quantised.data.chunks_exact(float.channels))
        {
            for (c, (&float, &value)) in float.iter().zip(quantised).enumerate() {
                let value = map.map_or(value, |map| number_of(map, c, value));
                self.signal += f64::from(float).powi(2);
                self.noise += f64::from(float - value).powi(2);
            }
        }
    }

    /// The ratio of signal to noise in decibels.
    pub(crate) fn value(self) -> f64 {
        10.0 * (self.signal / self.noise.max(f64::MIN_POSITIVE)).log10()
    }

    pub(crate) fn is_finite(self) -> bool {
        self.signal.is_finite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_widened_but_for_the_dip_of_hard_swish() {
        let mut ranges = Ranges::new(2);
        ranges.add(&Values { data: vec![-0.3, 2.0, 1.0, -4.0], channels: 2, size: [1, 2] });
        let map = ranges.map(0.5);
        let bounds = [0, 1].map(|c| [map.dequantise(0, c), map.dequantise(255, c)]);
        for (found, expected) in bounds.as_flattened().iter().zip([-0.3, 1.5, -6.0, 3.0]) {
            assert!((found - expected).abs() < 0.02, "{bounds:?}");
        }
    }
}
