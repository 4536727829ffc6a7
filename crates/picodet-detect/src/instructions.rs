//! The instruction sets of this processor by name.

use std::fmt;
use std::str::FromStr;

use picodet_engine::{CpuEngine, Int8Isa, Int8Kind, Isa, IsaKind};

/// Instructions of this processor that a network can be computed with.
///
/// The names are those of the `--isa` option: `avx512` (bytes with VNNI if the processor has it), `avx-vnni` and `avx2`
/// (the same for floats; bytes with and without VNNI), `neon-i8mm`, `neon-dotprod` and `neon`, `simd128`, and `portable`, which every
/// processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instructions {
    isa: Isa,
    int8: Int8Isa,
}

/// The name of no instruction set of this processor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this processor has no instruction set `{name}`; it has {available}")]
#[non_exhaustive]
pub struct UnknownInstructions {
    /// The name.
    pub name: String,
    /// The names that would be right.
    pub available: String,
}

impl Instructions {
    /// Returns the instructions that this processor has, fastest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let of = |isa: Isa| match isa.kind() {
            // Without VNNI its bytes are multiplied as AVX2 does.
            IsaKind::Avx512 => vec![Self { isa, int8: isa.int8() }],
            _ => isa.int8_available().into_iter().map(|int8| Self { isa, int8 }).collect(),
        };
        Isa::available().into_iter().flat_map(of).collect()
    }

    /// Returns the name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match (self.isa.kind(), self.int8.kind()) {
            (IsaKind::Avx512, _) => "avx512",
            (_, Int8Kind::AvxVnni) => "avx-vnni",
            (_, Int8Kind::NeonMatrix) => "neon-i8mm",
            (_, Int8Kind::NeonDotProd) => "neon-dotprod",
            (IsaKind::Avx2, _) => "avx2",
            (IsaKind::Neon, _) => "neon",
            (IsaKind::Simd128, _) => "simd128",
            _ => "portable",
        }
    }

    /// Returns the engine with these instructions.
    pub(crate) fn engine(self) -> CpuEngine {
        let engine = CpuEngine::with_isa(self.isa).unwrap_or_default();
        // The engine's instruction set is that of the bytes, which are not always those of the floats.
        if self.int8.isa() == self.isa { engine.with_int8(self.int8) } else { engine }
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Instructions {
    type Err = UnknownInstructions;

    fn from_str(name: &str) -> Result<Self, UnknownInstructions> {
        let available = Self::available();
        available.iter().copied().find(|instructions| instructions.name() == name).ok_or_else(|| {
            let names: Vec<&str> = available.iter().map(|instructions| instructions.name()).collect();
            UnknownInstructions { name: name.to_owned(), available: names.join(", ") }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_has_one_name_and_an_engine() {
        let available = Instructions::available();
        for (index, instructions) in available.iter().enumerate() {
            let name = instructions.name();
            assert_eq!(name.parse(), Ok(*instructions));
            assert!(!available[..index].iter().any(|earlier| earlier.name() == name), "{name}");
            assert_eq!(instructions.engine().isa(), instructions.isa, "{name}");
            assert_eq!(instructions.engine().int8(), instructions.int8, "{name}");
        }
        assert_eq!(available.last().map(|instructions| instructions.name()), Some("portable"));
        let error = "mmx".parse::<Instructions>().expect_err("no such set").to_string();
        assert!(error.contains("`mmx`") && error.ends_with("portable"), "{error}");
    }
}
