//! The instruction sets that the kernels are compiled for, and which of them this processor has.

use std::fmt;

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// AVX-512 F, VL, BW and DQ: 16 numbers at once.
    Avx512,
    /// AVX2 with FMA: 8 numbers at once.
    Avx2,
    /// NEON: 4 numbers at once.
    Neon,
    /// WebAssembly's vectors: 4 numbers at once, fused multiply-add where the module is compiled for relaxed SIMD.
    Simd128,
    /// Plain Rust, for every target; vectorised by the compiler where the target has vectors.
    Portable,
}

impl Isa {
    /// The sets that this processor has, fastest first; [`Isa::Portable`] is always there.
    pub fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            // Without VL the compiler may use half of the registers only, so a processor without it counts as AVX2.
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq");
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx512 && avx2 {
                sets.push(Self::Avx512);
            }
            if avx2 {
                sets.push(Self::Avx2);
            }
        }
        if cfg!(target_arch = "aarch64") {
            sets.push(Self::Neon);
        }
        if cfg!(all(target_arch = "wasm32", target_feature = "simd128")) {
            sets.push(Self::Simd128);
        }
        sets.push(Self::Portable);
        sets
    }

    /// The fastest set of this processor.
    pub fn best() -> Self {
        Self::available()[0]
    }

    /// Whether kernels for products of 16-bit floats (bf16) are there for this set and this processor. In plain Rust they
    /// are, to compare with, not to be fast.
    pub(crate) fn has_bf16(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512bf16"),
            Self::Portable => true,
            _ => false,
        }
    }

    /// Whether the processor does an operation on a whole vector as two on halves, as AMD's family 19h (Zen 4) does.
    pub(crate) fn splits_vectors(self) -> bool {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        if self == Self::Avx512 {
            let ([vendor, signature], amd) = (crate::fast::kernel::cpuid(), u32::from_le_bytes(*b"Auth"));
            let family = ((signature >> 8) & 0xf) + ((signature >> 20) & 0xff);
            return vendor == amd && family <= 0x19;
        }
        false
    }

    /// Numbers in a vector.
    pub(crate) fn lanes(self) -> usize {
        match self {
            Self::Avx512 => 16,
            Self::Avx2 => 8,
            Self::Neon | Self::Simd128 | Self::Portable => 4,
        }
    }
}

/// The numbers that convolutions multiply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats with 8-bit mantissa, summed in 32-bit ones, and maps of such where kernels take them: pointwise and
    /// depthwise convolutions. The stem, squeeze-excite factors, sums and activations stay f32.
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

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Simd128 => "simd128",
            Self::Portable => "portable",
        })
    }
}
