//! Resizing with the values of OpenCV, so that a model sees the pixels it was trained on.
//!
//! `coefficients` computes the source pixels and weights of each target pixel, `fixed` and `float` apply them to bytes and
//! floats, `cubic` and `planes` are the fast paths of RGB images, and `area` averages the covered pixels.

mod area;
mod coefficients;
mod cubic;
mod fixed;
mod float;
mod kernel;
#[cfg(target_arch = "x86_64")]
mod planes;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use coefficients::Kernel;

/// How values between pixels are interpolated; the names are OpenCV's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interpolation {
    /// The nearest pixel.
    Nearest,
    /// Between 2×2 pixels.
    Linear,
    /// Between 4×4 pixels (a = -0.75); PicoDet is trained and evaluated with it.
    #[default]
    Cubic,
    /// The mean of the covered pixels when shrinking; a variant of linear when enlarging.
    Area,
    /// Between 8×8 pixels.
    Lanczos4,
}

impl Interpolation {
    /// All interpolations.
    pub const ALL: [Self; 5] = [Self::Nearest, Self::Linear, Self::Cubic, Self::Area, Self::Lanczos4];
}

impl fmt::Display for Interpolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nearest => "nearest",
            Self::Linear => "linear",
            Self::Cubic => "cubic",
            Self::Area => "area",
            Self::Lanczos4 => "lanczos4",
        })
    }
}

/// An unknown name of an interpolation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown interpolation `{0}`; expected nearest, linear, cubic, area or lanczos4")]
pub struct UnknownInterpolation(String);

impl FromStr for Interpolation {
    type Err = UnknownInterpolation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|interpolation| interpolation.to_string() == text);
        found.ok_or_else(|| UnknownInterpolation(text.to_owned()))
    }
}

/// The computation of a resize of known sizes.
enum Plan {
    Nearest,
    AreaMean,
    Weighted(Kernel),
}

fn plan(interpolation: Interpolation, from: (usize, usize), to: (usize, usize)) -> Plan {
    let shrinks = from.0 >= to.0 && from.1 >= to.1;
    let halves = from.0 == 2 * to.0 && from.1 == 2 * to.1;
    match interpolation {
        Interpolation::Nearest => Plan::Nearest,
        Interpolation::Linear if halves => Plan::AreaMean,
        Interpolation::Linear => Plan::Weighted(Kernel::Linear),
        Interpolation::Cubic => Plan::Weighted(Kernel::Cubic),
        Interpolation::Area if shrinks => Plan::AreaMean,
        Interpolation::Area => Plan::Weighted(Kernel::AreaEnlarging),
        Interpolation::Lanczos4 => Plan::Weighted(Kernel::Lanczos4),
    }
}

/// Resizes rows of pixels of `channels` bytes each from `from` to `to`, both (height, width) and positive.
///
/// # Panics
/// When `source` does not hold height · width · channels bytes, or a size is 0.
#[must_use]
pub fn resize_u8(
    source: &[u8],
    from: (usize, usize),
    channels: usize,
    to: (usize, usize),
    interpolation: Interpolation,
) -> Vec<u8> {
    check(source.len(), from, channels, to);
    if from == to {
        return source.to_vec();
    }
    match plan(interpolation, from, to) {
        Plan::Nearest => nearest(source, from, channels, to),
        Plan::AreaMean => area::mean_u8(source, from, channels, to),
        Plan::Weighted(Kernel::Cubic) if channels == 3 => {
            let mut target = Vec::with_capacity(to.0 * to.1 * 3);
            cubic::resize(source, from, to, |_, row| target.extend_from_slice(row));
            target
        }
        // OpenCV shrinks and enlarges bytes by cubic in floats and rounds once.
        Plan::Weighted(Kernel::Cubic) => float::resize(source, from, channels, to, Kernel::Cubic)
            .into_iter()
            .map(|value| value.round_ties_even().clamp(0.0, 255.0) as u8)
            .collect(),
        Plan::Weighted(kernel) => fixed::resize(source, from, channels, to, kernel),
    }
}

/// As [`resize_u8`] for floats: no rounding, and values may overshoot.
///
/// # Panics
/// As [`resize_u8`].
#[must_use]
pub fn resize_f32(
    source: &[f32],
    from: (usize, usize),
    channels: usize,
    to: (usize, usize),
    interpolation: Interpolation,
) -> Vec<f32> {
    check(source.len(), from, channels, to);
    if from == to {
        return source.to_vec();
    }
    match plan(interpolation, from, to) {
        Plan::Nearest => nearest(source, from, channels, to),
        Plan::AreaMean => area::mean_f32(source, from, channels, to),
        Plan::Weighted(Kernel::Linear) => float::resize(source, from, channels, to, Kernel::ExactLinear),
        Plan::Weighted(kernel) => float::resize(source, from, channels, to, kernel),
    }
}

/// Resizes `[height, width, 3]` bytes and writes the values of red, green and blue by `tables` to `tensor`,
/// `[3, height, width]`.
///
/// # Panics
/// As [`resize_u8`], and when `tensor` is of another size.
pub(crate) fn resize_into_planes(
    source: &[u8],
    from: (usize, usize),
    to: (usize, usize),
    interpolation: Interpolation,
    tables: &[[f32; 256]; 3],
    tensor: &mut [f32],
) {
    check(source.len(), from, 3, to);
    assert_eq!(tensor.len(), 3 * to.0 * to.1, "the tensor has not three planes of {to:?}");
    if interpolation != Interpolation::Cubic || from == to {
        let resized: Cow<'_, [u8]> =
            if from == to { source.into() } else { resize_u8(source, from, 3, to, interpolation).into() };
        return look_up(&resized, tables, tensor, 0);
    }
    #[cfg(target_arch = "x86_64")]
    if planes::resize(source, from, to, tables, tensor) {
        return;
    }
    cubic::resize(source, from, to, |y, row| look_up(row, tables, tensor, y * to.1));
}

/// Writes rows of pixels to three planes, `first` values after their beginnings.
fn look_up(row: &[u8], [red, green, blue]: &[[f32; 256]; 3], tensor: &mut [f32], first: usize) {
    let plane = tensor.len() / 3;
    let (reds, rest) = tensor.split_at_mut(plane);
    let (greens, blues) = rest.split_at_mut(plane);
    let targets = reds[first..].iter_mut().zip(&mut greens[first..]).zip(&mut blues[first..]);
    for (&[r, g, b], ((to_red, to_green), to_blue)) in row.as_chunks::<3>().0.iter().zip(targets) {
        *to_red = red[usize::from(r)];
        *to_green = green[usize::from(g)];
        *to_blue = blue[usize::from(b)];
    }
}

fn check(len: usize, from: (usize, usize), channels: usize, to: (usize, usize)) {
    assert_eq!(len, from.0 * from.1 * channels, "the pixels do not fill {from:?} of {channels} channels");
    assert!(len > 0 && to.0 > 0 && to.1 > 0, "an image without pixels cannot be resized");
}

fn nearest<T: Copy>(source: &[T], from: (usize, usize), channels: usize, to: (usize, usize)) -> Vec<T> {
    let pick = |target: usize, from: usize, to: usize| {
        let scale = 1.0 / (to as f64 / from as f64);
        ((target as f64 * scale).floor() as usize).min(from - 1)
    };
    let columns: Vec<usize> = (0..to.1).map(|x| pick(x, from.1, to.1)).collect();
    let mut target = Vec::with_capacity(to.0 * to.1 * channels);
    for y in 0..to.0 {
        let row = pick(y, from.0, to.0) * from.1;
        for &x in &columns {
            target.extend_from_slice(&source[(row + x) * channels..][..channels]);
        }
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        let lost: Vec<_> =
            Interpolation::ALL.into_iter().filter(|i| i.to_string().parse() != Ok(*i)).collect();
        assert!(lost.is_empty(), "{lost:?}");
        assert!("bicubic".parse::<Interpolation>().is_err());
    }

    #[test]
    fn a_flat_image_stays_flat_in_every_size() {
        let mut wrong = Vec::new();
        for interpolation in Interpolation::ALL {
            for from in [(1, 1), (1, 9), (7, 3), (16, 16)] {
                for to in [(1, 1), (2, 5), (8, 8), (13, 31), (32, 6)] {
                    let bytes = resize_u8(&vec![77; from.0 * from.1], from, 1, to, interpolation);
                    let floats = resize_f32(&vec![77.0; from.0 * from.1], from, 1, to, interpolation);
                    let flat =
                        bytes.iter().all(|v| *v == 77) && floats.iter().all(|v| (v - 77.0).abs() < 1e-3);
                    if !flat || bytes.len() != to.0 * to.1 {
                        wrong.push(format!("{interpolation} {from:?} to {to:?}: {bytes:?}"));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn the_fast_path_of_images_equals_the_plain_one() {
        let mut wrong = Vec::new();
        let sides = [1, 2, 3, 4, 5, 7, 8, 13, 16, 29, 40, 67];
        for from in sides.into_iter().flat_map(|h| sides.map(|w| (h, w))) {
            let source: Vec<u8> = (0..from.0 * from.1 * 3)
                .map(|i| ((i * 7919 + i * i * 31) >> 3) as u8 | ((i % 3 == 0) as u8 * 0xf0))
                .collect();
            for to in [(1, 1), (2, 5), (8, 8), (13, 31), (32, 6), (41, 67)] {
                if from == to {
                    continue;
                }
                let plain: Vec<u8> = float::resize(&source, from, 3, to, Kernel::Cubic)
                    .into_iter()
                    .map(|value| value.round_ties_even().clamp(0.0, 255.0) as u8)
                    .collect();
                if resize_u8(&source, from, 3, to, Interpolation::Cubic) != plain {
                    wrong.push((from, to));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn planes_hold_the_values_of_the_resized_image() {
        // Different in every channel and for every byte.
        let tables: [[f32; 256]; 3] =
            std::array::from_fn(|channel| std::array::from_fn(|value| (value * 3 + channel) as f32));
        let mut wrong = Vec::new();
        let froms = [(1, 1), (2, 3), (5, 64), (7, 65), (9, 200), (61, 130), (4, 1000), (300, 2)];
        let tos = [(1, 1), (3, 15), (8, 16), (13, 31), (32, 100), (41, 167), (2, 300)];
        for (from, to) in froms.into_iter().flat_map(|from| tos.map(|to| (from, to))) {
            let source: Vec<u8> =
                (0..from.0 * from.1 * 3).map(|i| ((i * 7919 + i * i * 31) >> 3) as u8).collect();
            for interpolation in Interpolation::ALL {
                let mut tensor = vec![f32::NAN; 3 * to.0 * to.1];
                resize_into_planes(&source, from, to, interpolation, &tables, &mut tensor);
                let resized = resize_u8(&source, from, 3, to, interpolation);
                let plane = to.0 * to.1;
                let expected = (0..3 * plane).map(|i| {
                    let (channel, pixel) = (i / plane, i % plane);
                    tables[channel][usize::from(resized[pixel * 3 + channel])]
                });
                if !tensor.into_iter().eq(expected) {
                    wrong.push((from, to, interpolation));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
