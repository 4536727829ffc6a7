//! The precision of convolutions.

use std::fmt;

/// The type of the factors of convolutions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// f32.
    #[default]
    F32,
    /// bf16, summed in f32, with bf16 maps between convolutions that support them: pointwise and depthwise ones. The stem,
    /// squeeze-excite factors, sums and activations stay f32.
    Bf16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}
