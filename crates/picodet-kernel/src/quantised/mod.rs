//! Kernels of quantised maps: bytes with a scale and a zero point per channel.
//!
//! Every step is an f32 expression whose order of operations and roundings is fixed, with
//! [`Vector::fused_mul_add`](picodet_simd::Vector::fused_mul_add) where it multiplies and adds, so that all instruction
//! sets store the same bytes. Sums of products are exact in i32.

mod constants;
mod elementwise;
mod gate;
mod import;
mod resample;
mod sum;

pub use constants::{Column, FIELDS, pack_columns};
pub(crate) use constants::{Columns, activate, byte, real, to_map};
pub use elementwise::{ByteKind, Bytes, Operand, bytes};
pub use gate::{Gate, gate};
pub use import::{ImportBytes, import_bytes};
pub use resample::{PoolRow, pool_row, upsample_row};
pub use sum::{SumBytes, sum_bytes};
