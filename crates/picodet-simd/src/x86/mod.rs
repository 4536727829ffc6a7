//! x86-64: AVX-512, AVX2 and their extensions.

mod avx2;
mod avx512;
mod bytes;
mod int8;

pub use avx2::{Avx2, F32x8, I32x8};
pub use avx512::{Avx512, Avx512Bf16, F32x16, I32x16};
pub use bytes::{Avx512Vbmi, KernelVbmi, Table256};
pub use int8::{Avx512Vnni, AvxVnni};
