//! Arguments of depthwise convolutions of bytes.

use std::ops::Range;

use picodet_graph::Activation;
use picodet_simd::{Dot, SimdInt8};

use crate::map::ChannelRange;

/// Arguments of [`super::depthwise_int8`].
#[derive(Clone, Debug)]
pub struct DepthwiseInt8<'a> {
    /// First pixel of the source map.
    pub source: *const u8,
    /// Bytes from one source pixel to the next.
    pub source_stride: usize,
    /// Height and width of the source.
    pub size: (usize, usize),
    /// The address of the first pixel of the result; only `rows` need exist.
    pub out: *mut u8,
    /// Bytes from one result pixel to the next.
    pub out_stride: usize,
    /// Width of the result.
    pub out_width: usize,
    /// Rows of the result to compute.
    pub rows: Range<usize>,
    /// Side of the kernel window, 3 or 5.
    pub kernel: usize,
    /// Stride of the kernel window, 1 or 2.
    pub stride: usize,
    /// The channels; `destination` counts from the first channel of `zeros` as well as of `out`.
    pub ranges: &'a [ChannelRange],
    /// Packed by [`super::pack_depthwise_int8`].
    pub weights: &'a [u32],
    /// Packed by [`super::pack_depthwise_columns`].
    pub constants: &'a [u32],
    /// The zero point of each channel of the source.
    pub zeros: &'a [u8],
    /// Applied last.
    pub act: Option<Activation>,
}

/// Rows of vectors of weights: at stride 1 the second row of the result has its own.
pub(super) fn variants(stride: usize) -> usize {
    if stride == 1 { 2 } else { 1 }
}

/// Numbers before the units of a vector of weights, see [`Dot::HAS_OFFSETS`].
pub(super) const fn offsets<S: SimdInt8>() -> usize {
    if <S::Product as Dot>::HAS_OFFSETS { S::LEN } else { 0 }
}

/// Quads of a window's rows.
pub(super) const fn quads(kernel: usize) -> usize {
    kernel.div_ceil(4)
}

/// The units of a vector of quads, see [`SimdInt8::store_units`].
pub(super) const fn units<S: SimdInt8>() -> usize {
    4 / <S::Product as Dot>::DEPTH * S::LEN
}
