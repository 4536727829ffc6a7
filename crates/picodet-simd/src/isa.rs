//! Detection of the instruction sets that this processor has.

use std::fmt;

/// The name of an instruction set, whether this processor has it or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IsaKind {
    /// AVX-512 F, VL, BW and DQ: 16 lanes.
    Avx512,
    /// AVX2 with FMA: 8 lanes.
    Avx2,
    /// NEON: 4 lanes.
    Neon,
    /// WebAssembly's SIMD: 4 lanes; fused multiply-add where the module is compiled for relaxed SIMD.
    Simd128,
    /// Plain Rust, for every target; vectorised by the compiler where the target has vectors.
    Portable,
}

impl fmt::Display for IsaKind {
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

/// An instruction set that this processor has.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Isa {
    kind: IsaKind,
}

impl Isa {
    /// Plain Rust, which every processor runs; the same as [`IsaKind::Simd128`] where only that is compiled, and as
    /// [`IsaKind::Neon`] on 64-bit ARM with Android.
    pub const PORTABLE: Self = Self { kind: IsaKind::Portable };

    /// Returns the sets of this processor, fastest first; the last one is [`Isa::PORTABLE`].
    #[must_use]
    pub fn available() -> Vec<Self> {
        [IsaKind::Avx512, IsaKind::Avx2, IsaKind::Neon, IsaKind::Simd128, IsaKind::Portable]
            .into_iter()
            .filter_map(Self::detect)
            .collect()
    }

    /// Returns the fastest set of this processor.
    #[must_use]
    pub fn best() -> Self {
        Self::available()[0]
    }

    /// Returns the set of this name if this processor has it.
    #[must_use]
    pub fn detect(kind: IsaKind) -> Option<Self> {
        detected(kind).then_some(Self { kind })
    }

    /// Returns the name.
    #[must_use]
    pub fn kind(self) -> IsaKind {
        self.kind
    }

    /// Returns the number of lanes of a vector of 32-bit values.
    #[must_use]
    pub fn lanes(self) -> usize {
        match self.kind {
            IsaKind::Avx512 => 16,
            IsaKind::Avx2 => 8,
            IsaKind::Neon | IsaKind::Simd128 | IsaKind::Portable => 4,
        }
    }

    /// Returns proof that this set has products of bf16 pairs, or `None` if it has not. Plain Rust has them
    /// as a reference for tests; they are slow.
    #[must_use]
    pub fn bf16(self) -> Option<Bf16Isa> {
        #[cfg(not(has_bf16))]
        return None;
        #[cfg(has_bf16)]
        {
            let found = match self.kind {
                #[cfg(target_arch = "x86_64")]
                IsaKind::Avx512 => is_x86_feature_detected!("avx512bf16"),
                IsaKind::Portable => true,
                _ => false,
            };
            found.then_some(Bf16Isa { isa: self })
        }
    }

    /// Returns the ways this set multiplies quads of bytes, fastest first; there is at least one.
    #[must_use]
    pub fn int8_available(self) -> Vec<Int8Isa> {
        let mut kinds = Vec::new();
        #[cfg(has_avx512)]
        {
            if self.kind == IsaKind::Avx512 && is_x86_feature_detected!("avx512vnni") {
                kinds.push(Int8Kind::Avx512Vnni);
            }
            if self.kind == IsaKind::Avx2 && is_x86_feature_detected!("avxvnni") {
                kinds.push(Int8Kind::AvxVnni);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if self.kind == IsaKind::Neon && std::arch::is_aarch64_feature_detected!("dotprod") {
            if std::arch::is_aarch64_feature_detected!("i8mm") {
                kinds.push(Int8Kind::NeonMatrix);
            }
            kinds.push(Int8Kind::NeonDotProd);
        }
        kinds.push(match self.kind {
            IsaKind::Avx512 if !kinds.is_empty() => return vec![Int8Isa { kind: kinds[0], isa: self }],
            // 16-bit products of AVX-512 would not be worth the size of their code.
            IsaKind::Avx512 => return Self { kind: IsaKind::Avx2 }.int8_available(),
            IsaKind::Avx2 => Int8Kind::Avx2,
            IsaKind::Neon => Int8Kind::Neon,
            IsaKind::Simd128 => Int8Kind::Simd128,
            IsaKind::Portable => Int8Kind::Portable,
        });
        kinds.into_iter().map(|kind| Int8Isa { kind, isa: self }).collect()
    }

    /// Returns the fastest way this set multiplies quads of bytes.
    #[must_use]
    pub fn int8(self) -> Int8Isa {
        self.int8_available()[0]
    }

    /// Returns whether the processor executes an operation on a whole vector as two on halves, as AMD's
    /// family 19h (Zen 4) does with AVX-512.
    #[must_use]
    pub fn splits_vectors(self) -> bool {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        if self.kind == IsaKind::Avx512 {
            return is_amd_until_family_19h();
        }
        false
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

/// Whether this processor has the instructions of a set.
fn detected(kind: IsaKind) -> bool {
    match kind {
        #[cfg(has_avx512)]
        IsaKind::Avx512 => {
            // Without VL the compiler may use half of the registers only, so a processor without it counts as
            // AVX2.
            is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && detected(IsaKind::Avx2)
        }
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
        IsaKind::Neon => cfg!(target_arch = "aarch64"),
        IsaKind::Simd128 => cfg!(all(target_arch = "wasm32", target_feature = "simd128")),
        IsaKind::Portable => true,
        #[cfg(not(has_avx512))]
        _ => false,
    }
}

/// Whether this is a processor of AMD's family 19h (Zen 4) or an older one of AMD.
#[cfg(all(target_arch = "x86_64", not(miri)))]
fn is_amd_until_family_19h() -> bool {
    use std::arch::x86_64::__cpuid;
    #[allow(unused_unsafe, reason = "safe since Rust 1.94")]
    // SAFETY: every x86-64 processor has the instruction and these two leaves.
    let (vendor, signature) = unsafe { (__cpuid(0).ebx, __cpuid(1).eax) };
    let family = ((signature >> 8) & 0xf) + ((signature >> 20) & 0xff);
    vendor == u32::from_le_bytes(*b"Auth") && family <= 0x19
}

/// An instruction set with products of bf16 pairs ([`crate::SimdBf16`]).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bf16Isa {
    isa: Isa,
    /// No such set exists where only [`IsaKind::Simd128`] is compiled, and on Android.
    #[cfg(not(has_bf16))]
    pub(crate) absent: std::convert::Infallible,
}

impl Bf16Isa {
    /// Returns the instruction set.
    #[must_use]
    pub fn isa(self) -> Isa {
        self.isa
    }
}

impl fmt::Debug for Bf16Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bf16", self.isa)
    }
}

/// A way of multiplying quads of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Int8Kind {
    /// AVX512-VNNI: VPDPBUSD on 16 lanes.
    Avx512Vnni,
    /// AVX-VNNI: VPDPBUSD on 8 lanes.
    AvxVnni,
    /// AVX2: 16-bit products, as VPMADDUBSW would saturate.
    Avx2,
    /// ARM's products of matrices (FEAT_I8MM): USMMLA in matrix products, and [`Int8Kind::NeonDotProd`] elsewhere.
    NeonMatrix,
    /// ARM's dot product instructions (FEAT_DotProd): SDOT.
    NeonDotProd,
    /// NEON: 16-bit products of signed bytes.
    Neon,
    /// WebAssembly: 16-bit products.
    Simd128,
    /// Plain Rust.
    Portable,
}

/// An instruction set with exact products of u8 · s8 quads ([`crate::SimdInt8`]).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Int8Isa {
    kind: Int8Kind,
    isa: Isa,
}

impl Int8Isa {
    /// Returns the way of multiplying.
    #[must_use]
    pub fn kind(self) -> Int8Kind {
        self.kind
    }

    /// Returns the instruction set.
    #[must_use]
    pub fn isa(self) -> Isa {
        self.isa
    }

    /// Returns the number of lanes of a vector of 32-bit values.
    #[must_use]
    pub fn lanes(self) -> usize {
        self.isa.lanes()
    }

    /// Returns the number of weights in a 32-bit unit of a packed matrix: [`crate::Dot::DEPTH`] of
    /// [`crate::SimdInt8::Product`].
    #[must_use]
    pub fn depth(self) -> usize {
        match self.kind {
            Int8Kind::Avx2 | Int8Kind::Simd128 => 2,
            // `Portable` stands for WebAssembly's SIMD in these builds.
            Int8Kind::Portable if cfg!(picodet_simd128_only) => 2,
            _ => 4,
        }
    }

    /// Returns whether the operands of matrix products are in pairs ([`crate::SimdInt8::PAIRS`]).
    #[must_use]
    pub fn pairs(self) -> bool {
        self.kind == Int8Kind::NeonMatrix
    }

    /// Returns what [`crate::SimdInt8::Product`] of single rows subtracts from the left values, as signed bytes: packed weights begin with the
    /// sum of each column times this ([`crate::Dot::HAS_OFFSETS`]).
    #[must_use]
    pub fn subtracted(self) -> Option<i32> {
        let signed = match self.kind {
            Int8Kind::Neon | Int8Kind::NeonDotProd | Int8Kind::NeonMatrix => true,
            // `Portable` stands for NEON in builds without plain Rust.
            Int8Kind::Portable => cfg!(all(target_arch = "aarch64", not(has_portable))),
            _ => false,
        };
        signed.then_some(128)
    }
}

impl fmt::Debug for Int8Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}
