//! The source pixels of each target pixel along an axis, and their weights.

use std::f64::consts::PI;

/// The interpolations that weight a few neighbouring pixels along each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    /// Linear for bytes.
    Linear,
    /// Linear for floats.
    ExactLinear,
    /// OpenCV's `INTER_AREA` when a side grows.
    AreaEnlarging,
    Cubic,
    Lanczos4,
}

impl Kernel {
    /// Number of pixels along an axis.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Linear | Self::ExactLinear | Self::AreaEnlarging => 2,
            Self::Cubic => 4,
            Self::Lanczos4 => 8,
        }
    }

    /// Whether positions keep the precision of f64 until their whole part is gone. OpenCV runs these kernels through
    /// its vendor library, which does so; its own code rounds to f32 first.
    fn is_exact(self) -> bool {
        matches!(self, Self::ExactLinear | Self::Cubic)
    }
}

/// The source pixels of one target pixel along an axis.
pub(super) struct Coefficients {
    /// The first pixel, before clamping to the border.
    pub(super) first: isize,
    /// Source pixels, the border repeated.
    pub(super) pixels: [usize; 8],
    /// Their weights; the first [`Kernel::len`] are used.
    pub(super) weights: [f32; 8],
}

/// The axis; OpenCV treats the border differently along each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    /// At the border the weight of the pixel outside is dropped.
    Columns,
    /// At the border the pixel outside repeats the last one, which rounds differently.
    Rows,
}

/// The coefficients of every target pixel along an axis of `from` pixels that is resized to `to` pixels.
pub(super) fn coefficients(kernel: Kernel, axis: Axis, from: usize, to: usize) -> Vec<Coefficients> {
    let inverse = to as f64 / from as f64;
    let scale = 1.0 / inverse;
    (0..to)
        .map(|target| {
            let (mut first, mut fraction) = if kernel == Kernel::AreaEnlarging {
                let first = (target as f64 * scale).floor();
                let fraction = f64::from(((target + 1) as f64 - (first + 1.0) * inverse) as f32);
                (first as isize, if fraction <= 0.0 { 0.0 } else { fraction - fraction.floor() })
            } else {
                let position = (target as f64 + 0.5) * scale - 0.5;
                if kernel.is_exact() {
                    (position.floor() as isize, position - position.floor())
                } else {
                    let position = position as f32;
                    (position.floor() as isize, f64::from(position - position.floor()))
                }
            };
            if kernel.len() == 2 && axis == Axis::Columns {
                if first < 0 {
                    (first, fraction) = (0, 0.0);
                }
                if first >= from as isize - 1 {
                    (first, fraction) = (from as isize - 1, 0.0);
                }
            }
            first -= kernel.len() as isize / 2 - 1;
            let mut coefficients = Coefficients { first, pixels: [0; 8], weights: [0.0; 8] };
            for (index, pixel) in coefficients.pixels[..kernel.len()].iter_mut().enumerate() {
                *pixel = (first + index as isize).clamp(0, from as isize - 1) as usize;
            }
            match kernel {
                Kernel::Linear | Kernel::ExactLinear | Kernel::AreaEnlarging => {
                    coefficients.weights[..2].copy_from_slice(&[(1.0 - fraction) as f32, fraction as f32]);
                }
                Kernel::Cubic => coefficients.weights[..4].copy_from_slice(&cubic(fraction)),
                Kernel::Lanczos4 => coefficients.weights = lanczos4(fraction as f32),
            }
            coefficients
        })
        .collect()
}

/// Keys' cubic with a = -0.75.
fn cubic(x: f64) -> [f32; 4] {
    const A: f64 = -0.75;
    let outer = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let inner = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    [outer(x + 1.0), inner(x), inner(1.0 - x), outer(2.0 - x)].map(|weight| weight as f32)
}

/// `sinc(x) · sinc(x / 4)` at eight pixels, scaled to a sum of 1.
fn lanczos4(x: f32) -> [f32; 8] {
    let mut weights = [0.0f32; 8];
    for (index, weight) in weights.iter_mut().enumerate() {
        let distance = x + 3.0 - index as f32;
        *weight = if distance.abs() < 1e-6 {
            1e30
        } else {
            let angle = f64::from(distance) * PI * 0.25;
            // sin(πd) · sin(πd/4) / (πd/4)², whose first factor is the same for all pixels except for its sign.
            let sign = if index % 2 == 0 { 1.0 } else { -1.0 };
            (sign * angle.sin() / (angle * angle)) as f32
        };
    }
    let sum: f32 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}
