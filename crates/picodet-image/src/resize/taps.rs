//! Which source cells make a target cell, and in what shares.

use std::f64::consts::PI;

/// The interpolations that weigh a few neighbouring cells along each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    /// Linear for bytes.
    Linear,
    /// Linear for floats.
    ExactLinear,
    /// What OpenCV does for `INTER_AREA` when a side grows.
    AreaEnlarging,
    Cubic,
    Lanczos4,
}

impl Kernel {
    /// Number of cells along an axis.
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

/// The source cells of one target cell along an axis.
pub(super) struct Taps {
    /// The first cell as if there were no border.
    pub(super) first: isize,
    /// Source cells, the border repeated.
    pub(super) cells: [usize; 8],
    /// Their shares; the first [`Kernel::len`] count.
    pub(super) shares: [f32; 8],
}

/// Along which axis; OpenCV treats the border differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    /// At the border the share of the cell outside is dropped.
    Columns,
    /// At the border the cell outside repeats the last one, which rounds differently.
    Rows,
}

/// The taps of every target cell along an axis of `from` cells that becomes `to` cells.
pub(super) fn taps(kernel: Kernel, axis: Axis, from: usize, to: usize) -> Vec<Taps> {
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
            let mut taps = Taps { first, cells: [0; 8], shares: [0.0; 8] };
            for (index, cell) in taps.cells[..kernel.len()].iter_mut().enumerate() {
                *cell = (first + index as isize).clamp(0, from as isize - 1) as usize;
            }
            match kernel {
                Kernel::Linear | Kernel::ExactLinear | Kernel::AreaEnlarging => {
                    taps.shares[..2].copy_from_slice(&[(1.0 - fraction) as f32, fraction as f32]);
                }
                Kernel::Cubic => taps.shares[..4].copy_from_slice(&cubic(fraction)),
                Kernel::Lanczos4 => taps.shares = lanczos4(fraction as f32),
            }
            taps
        })
        .collect()
}

/// Keys' cubic with a = -0.75.
fn cubic(x: f64) -> [f32; 4] {
    const A: f64 = -0.75;
    let outer = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let inner = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    [outer(x + 1.0), inner(x), inner(1.0 - x), outer(2.0 - x)].map(|share| share as f32)
}

/// `sinc(x) · sinc(x / 4)` at eight cells, scaled to a sum of 1.
fn lanczos4(x: f32) -> [f32; 8] {
    let mut shares = [0.0f32; 8];
    for (index, share) in shares.iter_mut().enumerate() {
        let distance = x + 3.0 - index as f32;
        *share = if distance.abs() < 1e-6 {
            1e30
        } else {
            let angle = f64::from(distance) * PI * 0.25;
            // sin(πd) · sin(πd/4) / (πd/4)², whose first factor is the same for all cells but for its sign.
            let sign = if index % 2 == 0 { 1.0 } else { -1.0 };
            (sign * angle.sin() / (angle * angle)) as f32
        };
    }
    let sum: f32 = shares.iter().sum();
    shares.map(|share| share / sum)
}
