//! x86-64: AVX-512, AVX2 and their extensions.

mod avx2;
mod avx512;
mod bytes;
mod int8;

pub use avx2::{Avx2, F32x8, I32x8};
pub use avx512::{Avx512, Avx512Bf16, F32x16, I32x16};
pub use bytes::{Avx512Vbmi, KernelVbmi, Table256};
pub use int8::{Avx512Vnni, AvxVnni};

/// Whether this is a processor of AMD's family 19h (Zen 4) or an older one of AMD.
#[cfg(not(miri))]
pub(crate) fn is_amd_until_family_19h() -> bool {
    use std::arch::x86_64::__cpuid;
    #[allow(unused_unsafe, reason = "safe since Rust 1.94")]
    // SAFETY: every x86-64 processor has the instruction and these two leaves.
    let (vendor, signature) = unsafe { (__cpuid(0).ebx, __cpuid(1).eax) };
    let family = ((signature >> 8) & 0xf) + ((signature >> 20) & 0xff);
    vendor == u32::from_le_bytes(*b"Auth") && family <= 0x19
}
