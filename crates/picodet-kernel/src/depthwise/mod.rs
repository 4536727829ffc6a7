//! Depthwise convolution with bias and activation, channels last.
//!
//! `direct` reads the map in place, for every instruction set; where vectors are long and registers many,
//! `strips` copies strips of columns first. [`bf16`] multiplies pairs of rows.

pub mod bf16;
mod direct;
mod strips;

use std::ops::Range;

use picodet_graph::Activation;
use picodet_simd::{Isa, Kernel, Simd, dispatch};

use crate::map::Run;
use crate::tuning;

/// Arguments of [`depthwise`].
#[derive(Clone, Debug)]
pub struct Depthwise<'a> {
    /// First pixel of the source map.
    pub source: *const f32,
    /// Elements from one source pixel to the next.
    pub source_stride: usize,
    /// Height and width of the source.
    pub size: (usize, usize),
    /// The address of the first pixel of the result; only `rows` need exist.
    pub out: *mut f32,
    /// Elements from one result pixel to the next.
    pub out_stride: usize,
    /// Width of the result.
    pub out_width: usize,
    /// Rows of the result to compute.
    pub rows: Range<usize>,
    /// At least `source_stride` zeros.
    pub zeros: *const f32,
    /// Side of the kernel window: any odd number; 3 and 5 are fast.
    pub kernel: usize,
    /// Stride of the kernel window.
    pub stride: usize,
    /// The channels; `destination` counts from the first channel of `weights` as well as of `out`.
    pub runs: &'a [Run],
    /// `[kernel²][channels]`.
    pub weights: &'a [f32],
    /// One value per channel.
    pub bias: &'a [f32],
    /// Applied last.
    pub act: Option<Activation>,
}

impl Depthwise<'_> {
    /// Whether weights and bias have the channels of the runs, and the rows a window in the source.
    fn is_consistent(&self, weights: bool) -> bool {
        let runs = self.runs.iter().all(|run| run.destination + run.len <= self.bias.len());
        let rows = self.rows.end <= self.size.0.div_ceil(self.stride);
        let weights = !weights || self.weights.len() >= self.kernel * self.kernel * self.bias.len();
        runs && rows && weights && self.out_width <= self.size.1.div_ceil(self.stride)
    }
}

/// Convolves each channel of an f32 map.
///
/// # Safety
/// * `source` is valid for reads of the runs in all pixels of the map, `zeros` for reads of `source_stride`
///   zeros,
/// * `out` is valid for writes of the runs in `rows` of the result,
/// * no other thread writes what is read or accesses what is written.
///
/// # Panics
/// If weights, bias or sizes do not agree.
pub unsafe fn depthwise(isa: Isa, args: &Depthwise<'_>) {
    assert!(args.is_consistent(true), "weights, bias, runs and sizes agree");
    dispatch(isa, args);
}

impl Kernel for &Depthwise<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // SAFETY: the caller of `depthwise` vouches for the pointers, and `depthwise` has checked weights and
        // bias.
        unsafe {
            if tuning::strips::<S>() && strips::fits(self.kernel, self.stride, self.out_width) {
                strips::strips(s, self);
                return;
            }
            match (self.kernel, self.stride) {
                (3, 1) if !tuning::strips::<S>() => direct::rows::<S, 3, 1, 10>(s, self),
                (3, 2) => direct::rows::<S, 3, 2, 17>(s, self),
                (5, 1) if !tuning::strips::<S>() => direct::rows::<S, 5, 1, 12>(s, self),
                (5, 2) => direct::rows::<S, 5, 2, 19>(s, self),
                _ => direct::any_window(s, self),
            }
        }
    }
}

/// Returns the size of `sizes` whose tiles, the last one reaching back, compute as little as possible of
/// `width` twice.
fn tile_width(sizes: &[usize], width: usize) -> Option<usize> {
    let fitting = sizes.iter().copied().filter(|&pixels| pixels <= width);
    fitting.min_by_key(|pixels| width.next_multiple_of(*pixels))
}
