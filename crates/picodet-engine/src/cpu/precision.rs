//! The precision of convolutions.

use picodet_graph::DType;

/// The type of the factors of convolutions, whose products are summed in f32.
///
/// With bf16, maps between convolutions that support it (pointwise and depthwise ones) are bf16 as well; the stem,
/// squeeze-excite factors, sums and activations stay f32.
pub type Precision = DType;
