//! The cubic resize of a picture straight into a network's planes, for processors that look bytes up in registers
//! (AVX-512 with VBMI).
//!
//! Value for value what `cubic` gives. Sixteen target columns are made at once: their source cells, up to 128 bytes of
//! one colour, lie in two registers, from which one instruction picks each tap's.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::taps::{Axis, Kernel, taps};

/// Target columns made at once.
const LANES: usize = 16;
/// Cells of a row that two registers hold.
const WINDOW: usize = 128;
/// The lowest byte of every 32-bit lane.
const LOWEST_BYTES: __mmask64 = 0x1111_1111_1111_1111;

/// What each byte becomes, for red, green and blue.
pub(crate) type Tables = [[f32; 256]; 3];

/// Sixteen target columns.
#[repr(align(64))]
struct Group {
    /// Of each tap, where each column's cell lies in the window.
    cells: [[i32; LANES]; 4],
    /// Of each tap, each column's share.
    shares: [[f32; LANES]; 4],
    /// The window's first cell.
    first: usize,
}

/// Resizes `[height, width, 3]` bytes by cubic and writes what `tables` make of them to `[3, height, width]`.
///
/// `source` and `tensor` are of sizes `from` and `to`, which are positive. False, with nothing written, when this
/// processor cannot, or the picture shrinks so much that sixteen columns do not fit the registers.
pub(crate) fn resize(
    source: &[u8],
    from: (usize, usize),
    to: (usize, usize),
    tables: &Tables,
    tensor: &mut [f32],
) -> bool {
    let found = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vbmi");
    if !found {
        return false;
    }
    let Some(groups) = groups(from.1, to.1) else { return false };
    // SAFETY: the instruction sets were found just now.
    unsafe { resize_found(source, from, to, &groups, tables, tensor) };
    true
}

/// The target columns by sixteens, or `None` when some sixteen do not fit a window.
fn groups(from: usize, to: usize) -> Option<Vec<Group>> {
    let taps = taps(Kernel::Cubic, Axis::Columns, from, to);
    let group = |taps: &[super::taps::Taps]| {
        let first = taps.iter().flat_map(|taps| &taps.cells[..4]).min().copied()?;
        let mut group = Group { cells: [[0; LANES]; 4], shares: [[0.0; LANES]; 4], first };
        for (lane, taps) in taps.iter().enumerate() {
            for tap in 0..4 {
                let cell = taps.cells[tap] - first;
                if cell >= WINDOW {
                    return None;
                }
                group.cells[tap][lane] = cell as i32;
                group.shares[tap][lane] = taps.shares[tap];
            }
        }
        Some(group)
    };
    taps.chunks(LANES).map(group).collect()
}

#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi")]
fn resize_found(
    source: &[u8],
    from: (usize, usize),
    to: (usize, usize),
    groups: &[Group],
    tables: &Tables,
    tensor: &mut [f32],
) {
    // A window may reach beyond the row's last cell.
    let plane = (from.1 + WINDOW).next_multiple_of(64);
    let mut planes = vec![0u8; 3 * plane];
    let width = groups.len() * LANES;
    let mut rows: [Vec<f32>; 4] = std::array::from_fn(|_| vec![0.0; 3 * width]);
    let mut held = [usize::MAX; 4];
    for (y, taps) in taps(Kernel::Cubic, Axis::Rows, from.0, to.0).iter().enumerate() {
        // The cells of a target row are neighbours, so no two of them want the same place.
        for &cell in &taps.cells[..4] {
            if held[cell % 4] != cell {
                held[cell % 4] = cell;
                separate(&source[cell * from.1 * 3..][..from.1 * 3], &mut planes, plane);
                let target = rows[cell % 4].chunks_exact_mut(width);
                planes
                    .chunks_exact(plane)
                    .zip(target)
                    .for_each(|(row, target)| along_columns(row, groups, target));
            }
        }
        for (channel, table) in tables.iter().enumerate() {
            let row = |tap: usize| &rows[taps.cells[tap] % 4][channel * width..][..width];
            let shares = [0, 1, 2, 3].map(|tap| taps.shares[tap]);
            let target = &mut tensor[(channel * to.0 + y) * to.1..][..to.1];
            sum([row(0), row(1), row(2), row(3)], shares, table, target);
        }
    }
}

/// A row of pixels as rows of red, green and blue, each at the beginning of `plane` bytes.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi")]
fn separate(row: &[u8], planes: &mut [u8], plane: usize) {
    /// Where 64 values of one colour lie in 192 bytes.
    const PLACES: [[u8; 64]; 3] = {
        let mut places = [[0; 64]; 3];
        let mut i = 0;
        while i < 192 {
            places[i % 3][i / 3] = i as u8;
            i += 1;
        }
        places
    };
    for (block, bytes) in row.chunks(192).enumerate() {
        let part = |from: usize| {
            let here = bytes.len().saturating_sub(from).min(64);
            let mask = if here == 64 { u64::MAX } else { (1 << here) - 1 };
            // SAFETY: no byte is read but those that the mask names, which lie inside `bytes`.
            unsafe { _mm512_maskz_loadu_epi8(mask, bytes.as_ptr().wrapping_add(from).cast()) }
        };
        let [a, b, c] = [part(0), part(64), part(128)];
        for (channel, places) in PLACES.iter().enumerate() {
            let target = &mut planes[channel * plane + block * 64..][..64];
            // SAFETY: `places` and `target` have 64 bytes.
            unsafe {
                let places = _mm512_loadu_si512(places.as_ptr().cast());
                let third = _mm512_movepi8_mask(places);
                let values = _mm512_permutex2var_epi8(a, places, b);
                let values = _mm512_mask_permutexvar_epi8(values, third, places, c);
                _mm512_storeu_si512(target.as_mut_ptr().cast(), values);
            }
        }
    }
}

/// Resizes a row of one colour along its columns.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi")]
fn along_columns(row: &[u8], groups: &[Group], target: &mut [f32]) {
    for (group, target) in groups.iter().zip(target.chunks_exact_mut(LANES)) {
        let window = &row[group.first..][..WINDOW];
        // SAFETY: `window` has 128 bytes, and every other array sixteen values of 32 bits.
        unsafe {
            let a = _mm512_loadu_si512(window.as_ptr().cast());
            let b = _mm512_loadu_si512(window[64..].as_ptr().cast());
            let product = |tap: usize| {
                let cells = _mm512_load_si512(group.cells[tap].as_ptr().cast());
                let values = _mm512_maskz_permutex2var_epi8(LOWEST_BYTES, a, cells, b);
                _mm512_mul_ps(_mm512_cvtepi32_ps(values), _mm512_load_ps(group.shares[tap].as_ptr()))
            };
            // The order in which OpenCV's vendor library adds.
            let outer = _mm512_add_ps(product(0), product(2));
            let inner = _mm512_add_ps(product(1), product(3));
            _mm512_storeu_ps(target.as_mut_ptr(), _mm512_add_ps(outer, inner));
        }
    }
}

/// The sum of four rows of one colour in their shares, rounded to bytes, looked up in `table`.
///
/// The rows are whole sixteens; `target` may end before they do.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi")]
fn sum([r0, r1, r2, r3]: [&[f32]; 4], shares: [f32; 4], table: &[f32; 256], target: &mut [f32]) {
    // SAFETY: every part has sixteen values.
    let load = |values: &[f32; LANES]| unsafe { _mm512_loadu_ps(values.as_ptr()) };
    let parts: [__m512; 16] = {
        let parts = table.as_chunks::<LANES>().0;
        std::array::from_fn(|i| load(&parts[i]))
    };
    let [s0, s1, s2, s3] = shares.map(|share| _mm512_set1_ps(share));
    let (zero, most) = (_mm512_setzero_ps(), _mm512_set1_ps(255.0));
    // Beside 1.5 · 2²³ floats are whole numbers, the lowest bits of such a float are those of the number, and adding
    // rounds to the nearest, the even one of two.
    let magic = _mm512_set1_ps(12_582_912.0);
    let rows = r0.as_chunks().0.iter().zip(r1.as_chunks().0).zip(r2.as_chunks().0).zip(r3.as_chunks().0);
    for ((((r0, r1), r2), r3), target) in rows.zip(target.chunks_mut(LANES)) {
        let even = _mm512_fmadd_ps(load(r2), s2, _mm512_mul_ps(load(r0), s0));
        let odd = _mm512_fmadd_ps(load(r3), s3, _mm512_mul_ps(load(r1), s1));
        let value = _mm512_min_ps(_mm512_max_ps(_mm512_add_ps(even, odd), zero), most);
        let byte = _mm512_castps_si512(_mm512_add_ps(value, magic));
        // The five lowest bits choose within 32 values, the next three among those.
        let pair = |i: usize| _mm512_permutex2var_ps(parts[2 * i], byte, parts[2 * i + 1]);
        let bit = |bit: i32| _mm512_test_epi32_mask(byte, _mm512_set1_epi32(bit));
        let (bit5, bit6, bit7) = (bit(1 << 5), bit(1 << 6), bit(1 << 7));
        let four = |i: usize| _mm512_mask_blend_ps(bit5, pair(2 * i), pair(2 * i + 1));
        let eight = |i: usize| _mm512_mask_blend_ps(bit6, four(2 * i), four(2 * i + 1));
        let found = _mm512_mask_blend_ps(bit7, eight(0), eight(1));
        let mask = (u32::MAX >> (32 - target.len() as u32)) as __mmask16;
        // SAFETY: no value is written but those that the mask names, which lie inside `target`.
        unsafe { _mm512_mask_storeu_ps(target.as_mut_ptr(), mask, found) };
    }
}
