//! The precision of convolutions.

use picodet_graph::DType;

/// The type of the factors of convolutions, whose products are summed in f32; those of f16 in f16, up to 128 at a time.
///
/// With bf16 and f16, maps between convolutions that support it (pointwise and depthwise ones) have that type as well; the stem,
/// squeeze-excite factors, sums and activations stay f32.
pub type Precision = DType;
