//! The arguments of depthwise convolutions.

use std::ops::Range;

use picodet_graph::{Activation, DType};

use crate::map::ChannelRange;

/// Arguments of [`super::depthwise`].
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
    pub ranges: &'a [ChannelRange],
    /// `[kernel²][channels]`.
    pub weights: &'a [f32],
    /// One value per channel.
    pub bias: &'a [f32],
    /// Applied last.
    pub act: Option<Activation>,
}

impl Depthwise<'_> {
    /// Whether weights and bias have the channels of the ranges, and the rows a window in the source.
    pub(super) fn is_consistent(&self, weights: bool) -> bool {
        let ranges = self.ranges.iter().all(|range| range.destination + range.len <= self.bias.len());
        let rows = self.rows.end <= self.size.0.div_ceil(self.stride);
        let weights = !weights || self.weights.len() >= self.kernel * self.kernel * self.bias.len();
        ranges && rows && weights && self.out_width <= self.size.1.div_ceil(self.stride)
    }
}

/// Arguments of [`super::bf16::depthwise_bf16`].
#[derive(Clone, Debug)]
pub struct DepthwiseBf16<'a> {
    /// The convolution; its `weights` are not read.
    pub convolution: Depthwise<'a>,
    /// Packed by [`super::bf16::pack_depthwise_bf16`].
    pub weights: &'a [u32],
    /// The type of the source, `convolution.source` and `source_stride` alike; f32 is rounded.
    pub source_dtype: DType,
    /// The type of the result, `out` and `out_stride` alike.
    pub out_dtype: DType,
}

/// Arguments of [`super::f16::depthwise_f16`].
#[derive(Clone, Debug)]
pub struct DepthwiseF16<'a> {
    /// The convolution; its `weights` and `bias` are not read.
    pub convolution: Depthwise<'a>,
    /// Packed by [`super::f16::pack_depthwise_f16`].
    pub weights: &'a [u16],
    /// The type of the source, f16 or f32, which is rounded: `convolution.source` and `source_stride` alike.
    pub source_dtype: DType,
    /// The type of the result, `out` and `out_stride` alike.
    pub out_dtype: DType,
}

/// Returns the size of `sizes` whose tiles, the last one reaching back, compute as little as possible of
/// `width` twice.
pub(super) fn tile_width(sizes: &[usize], width: usize) -> Option<usize> {
    let fitting = sizes.iter().copied().filter(|&pixels| pixels <= width);
    fitting.min_by_key(|pixels| width.next_multiple_of(*pixels))
}
