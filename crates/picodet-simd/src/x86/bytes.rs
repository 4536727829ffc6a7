//! Byte permutations of AVX512-VBMI: tables in registers.

use std::arch::x86_64::*;

use super::avx512::{first16, simd512};
use super::{F32x16, I32x16};
use crate::simd::{Outlined, Simd};
use crate::vector::Sealed;

/// The token of [`super::Avx512`] with AVX512-VBMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Avx512Vbmi(());

impl Sealed for Avx512Vbmi {}
simd512!(Avx512Vbmi, "avx512vbmi,avx512f,avx512vl,avx512bw,avx512dq,avx2,fma");

/// A [`crate::Kernel`] for processors with AVX512-VBMI; the same rules of inlining hold.
pub trait KernelVbmi {
    /// The result.
    type Output;
    /// Computes with the vectors of `s`.
    fn run(self, s: Avx512Vbmi) -> Self::Output;
}

/// 256 f32 in sixteen registers.
#[derive(Clone, Copy, Debug)]
pub struct Table256([__m512; 16]);

// SAFETY of the blocks without memory accesses: the token is proof of AVX-512 F, BW, DQ, VL and VBMI.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Avx512Vbmi {
    /// Returns the token if this processor has the instructions.
    #[must_use]
    pub fn detect() -> Option<Self> {
        let avx512 = crate::Isa::detect(crate::IsaKind::Avx512).is_some();
        (avx512 && is_x86_feature_detected!("avx512vbmi")).then_some(Self(()))
    }

    /// Runs a kernel compiled for these instructions.
    #[inline]
    pub fn dispatch<K: KernelVbmi>(self, kernel: K) -> K::Output {
        /// A kernel with its token.
        struct Run<K>(Avx512Vbmi, K);
        impl<K: KernelVbmi> Outlined for Run<K> {
            type Output = K::Output;
            #[inline(always)]
            fn run(self) -> K::Output {
                self.1.run(self.0)
            }
        }
        self.outlined(Run(self, kernel))
    }

    /// Splits up to 64 RGB pixels into their channels; bytes after the last pixel are zero.
    #[inline(always)]
    pub fn split_rgb(self, pixels: &[u8], channels: [&mut [u8; 64]; 3]) {
        /// The positions of 64 values of one channel in 192 bytes.
        const POSITIONS: [[u8; 64]; 3] = {
            let mut positions = [[0; 64]; 3];
            let mut i = 0;
            while i < 192 {
                positions[i % 3][i / 3] = i as u8;
                i += 1;
            }
            positions
        };
        let mut parts = [unsafe { _mm512_setzero_si512() }; 3];
        for (i, part) in parts.iter_mut().enumerate() {
            let bytes = &pixels[(64 * i).min(pixels.len())..];
            let mask = if bytes.len() >= 64 { u64::MAX } else { (1 << bytes.len()) - 1 };
            // SAFETY: the mask selects at most `bytes.len()` bytes.
            *part = unsafe { _mm512_maskz_loadu_epi8(mask, bytes.as_ptr().cast()) };
        }
        let [a, b, c] = parts;
        // By index: an array iterated by value goes through memory.
        let channels = channels.map(|channel| channel.as_mut_ptr());
        for i in 0..3 {
            // SAFETY: the positions and the channel have 64 bytes.
            unsafe {
                let positions = _mm512_loadu_si512(POSITIONS[i].as_ptr().cast());
                // Positions of 128 and more are in the third part.
                let third = _mm512_movepi8_mask(positions);
                let values = _mm512_permutex2var_epi8(a, positions, b);
                let values = _mm512_mask_permutexvar_epi8(values, third, positions, c);
                _mm512_storeu_si512(channels[i].cast(), values);
            }
        }
    }

    /// Returns the bytes of a table at sixteen indices below 128, as f32.
    #[inline(always)]
    pub fn lookup_128(self, table: &[u8; 128], indices: I32x16) -> F32x16 {
        const LOWEST_BYTES: __mmask64 = 0x1111_1111_1111_1111;
        // SAFETY: the table has 128 bytes.
        unsafe {
            let low = _mm512_loadu_si512(table.as_ptr().cast());
            let high = _mm512_loadu_si512(table.as_ptr().add(64).cast());
            let bytes = _mm512_maskz_permutex2var_epi8(LOWEST_BYTES, low, indices.0, high);
            F32x16(_mm512_cvtepi32_ps(bytes))
        }
    }

    /// Loads a table of one f32 per byte value.
    #[inline(always)]
    pub fn load_table(self, table: &[f32; 256]) -> Table256 {
        let mut parts = [unsafe { _mm512_setzero_ps() }; 16];
        for (part, values) in parts.iter_mut().zip(table.as_chunks::<16>().0) {
            // SAFETY: each chunk has sixteen values.
            *part = unsafe { _mm512_loadu_ps(values.as_ptr()) };
        }
        Table256(parts)
    }

    /// Clamps each lane to 0..=255, rounds it to the nearest integer (ties to even) and returns its entry in
    /// the table.
    #[inline(always)]
    pub fn lookup_256(self, table: &Table256, values: F32x16) -> F32x16 {
        unsafe {
            let (zero, most) = (_mm512_setzero_ps(), _mm512_set1_ps(255.0));
            let value = _mm512_min_ps(_mm512_max_ps(values.0, zero), most);
            // Next to 1.5 · 2^23 floats are integers, and the lowest bits of such a float are those of the
            // integer.
            let byte = _mm512_castps_si512(_mm512_add_ps(value, _mm512_set1_ps(12_582_912.0)));
            // The five lowest bits choose from 32 values, the next three among those.
            let mut pairs = [zero; 8];
            for (i, pair) in pairs.iter_mut().enumerate() {
                *pair = _mm512_permutex2var_ps(table.0[2 * i], byte, table.0[2 * i + 1]);
            }
            let bit5 = _mm512_test_epi32_mask(byte, _mm512_set1_epi32(1 << 5));
            let bit6 = _mm512_test_epi32_mask(byte, _mm512_set1_epi32(1 << 6));
            let bit7 = _mm512_test_epi32_mask(byte, _mm512_set1_epi32(1 << 7));
            let mut fours = [zero; 4];
            for (i, four) in fours.iter_mut().enumerate() {
                *four = _mm512_mask_blend_ps(bit5, pairs[2 * i], pairs[2 * i + 1]);
            }
            let low = _mm512_mask_blend_ps(bit6, fours[0], fours[1]);
            let high = _mm512_mask_blend_ps(bit6, fours[2], fours[3]);
            F32x16(_mm512_mask_blend_ps(bit7, low, high))
        }
    }

    /// Stores the first lanes, at most `to.len()`.
    #[inline(always)]
    pub fn store_slice(self, values: F32x16, to: &mut [f32]) {
        // SAFETY: the mask selects at most `to.len()` lanes.
        unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), first16(to.len()), values.0) }
    }

    /// Loads sixteen indices.
    #[inline(always)]
    pub fn indices(self, from: &[i32; 16]) -> I32x16 {
        // SAFETY: the array has sixteen values.
        I32x16(unsafe { _mm512_loadu_si512(from.as_ptr().cast()) })
    }
}
