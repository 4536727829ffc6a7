//! Element types of feature maps.

use std::fmt;

/// The type of the elements of a buffer or a feature map.
///
/// Size, alignment and name are properties of the type itself, so that code that only moves or places memory
/// never lists the variants. A new type touches four files:
///
/// 1. this one: the variant and its row in each `match`;
/// 2. `cpu/dtype.rs` of picodet-engine, which chooses the type of each buffer of a schedule;
/// 3. `cpu/lower/convolution.rs` of picodet-engine, which packs weights for the kernels of the type;
/// 4. the kernel that loads and stores it.
///
/// A test of picodet-engine searches the sources and fails when a fifth file names a type other than `F32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE 754 single precision.
    #[default]
    F32,
    /// bfloat16: the upper half of a single, with an 8-bit significand.
    Bf16,
    /// IEEE 754 half precision: an 11-bit significand, values up to 65504.
    F16,
    /// Bytes with a scale and a zero point per channel ([`crate::MapQuantisation`]).
    U8,
}

impl DType {
    /// Every type.
    pub const ALL: [Self; 4] = [Self::F32, Self::Bf16, Self::F16, Self::U8];

    /// Bytes of an element.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
            Self::U8 => 1,
        }
    }

    /// Bytes of whose multiple the address of an element must be.
    #[must_use]
    pub const fn alignment(self) -> usize {
        self.size()
    }

    /// Elements in `bytes` bytes, which hold a whole number of them.
    #[must_use]
    pub const fn elements(self, bytes: usize) -> usize {
        bytes / self.size()
    }

    /// The name in listings, as in `f32`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::U8 => "u8",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_name_a_size_and_an_alignment_of_its_own() {
        let table = DType::ALL.map(|dtype| (dtype.name(), dtype.size(), dtype.alignment()));
        assert_eq!(table, [("f32", 4, 4), ("bf16", 2, 2), ("f16", 2, 2), ("u8", 1, 1)]);
        for dtype in DType::ALL {
            assert!(dtype.size().is_multiple_of(dtype.alignment()), "{dtype}");
            assert_eq!(dtype.elements(64) * dtype.size(), 64, "{dtype}");
            assert_eq!(dtype.to_string(), dtype.name());
        }
    }
}
