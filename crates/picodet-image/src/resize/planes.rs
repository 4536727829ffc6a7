//! Cubic resize of an RGB image straight into a network's planes, for processors that look up bytes in registers (AVX-512
//! with VBMI).
//!
//! Value for value the result of `cubic`. Sixteen target columns are computed at once: their source pixels, up to 128
//! bytes of one channel, are in two registers, from which one instruction picks those of each coefficient.

use picodet_simd::{Avx512Vbmi, I32x16, KernelVbmi, Simd, Table256, Vector};

use super::coefficients::{Axis, Coefficients, Kernel, coefficients};

/// Target columns computed at once.
const LANES: usize = 16;
/// Pixels of a row that two registers hold.
const WINDOW: usize = 128;
/// Pixels that are split into channels at once.
const SPLIT: usize = 64;

/// The value of each byte, for red, green and blue.
pub(crate) type Tables = [[f32; 256]; 3];

/// Sixteen target columns; aligned, so that no vector of it spans two cache lines.
#[repr(align(64))]
struct Group {
    /// Position of each column's pixel in the window, for each coefficient.
    pixels: [[i32; LANES]; 4],
    /// Weight of each column's pixel, for each coefficient.
    weights: [[f32; LANES]; 4],
    /// The window's first pixel.
    first: usize,
}

/// Resizes `[height, width, 3]` bytes by cubic and writes their values by `tables` to `[3, height, width]`.
///
/// `source` and `tensor` are of sizes `from` and `to`, which are not 0. Returns false, with `tensor` unchanged, if this
/// processor lacks the instructions, or the image shrinks so much that sixteen columns do not fit the registers.
pub(crate) fn resize(
    source: &[u8],
    from: (usize, usize),
    to: (usize, usize),
    tables: &Tables,
    tensor: &mut [f32],
) -> bool {
    let Some(vbmi) = Avx512Vbmi::detect() else { return false };
    let Some(groups) = groups(from.1, to.1) else { return false };
    vbmi.dispatch(Resize { source, from, to, groups: &groups, tables, tensor });
    true
}

/// The target columns by sixteens, or `None` if some sixteen do not fit a window.
fn groups(from: usize, to: usize) -> Option<Vec<Group>> {
    let coefficients = coefficients(Kernel::Cubic, Axis::Columns, from, to);
    let group = |coefficients: &[Coefficients]| {
        let first = coefficients.iter().flat_map(|coefficients| &coefficients.pixels[..4]).min().copied()?;
        let mut group = Group { pixels: [[0; LANES]; 4], weights: [[0.0; LANES]; 4], first };
        for (lane, coefficients) in coefficients.iter().enumerate() {
            for i in 0..4 {
                let pixel = coefficients.pixels[i] - first;
                if pixel >= WINDOW {
                    return None;
                }
                group.pixels[i][lane] = pixel as i32;
                group.weights[i][lane] = coefficients.weights[i];
            }
        }
        Some(group)
    };
    coefficients.chunks(LANES).map(group).collect()
}

struct Resize<'a> {
    source: &'a [u8],
    from: (usize, usize),
    to: (usize, usize),
    groups: &'a [Group],
    tables: &'a Tables,
    tensor: &'a mut [f32],
}

impl KernelVbmi for Resize<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self, s: Avx512Vbmi) {
        let Self { source, from, to, groups, tables, tensor } = self;
        // A window may reach beyond the row's last pixel.
        let plane = (from.1 + WINDOW).next_multiple_of(SPLIT);
        let mut planes = [vec![0u8; plane], vec![0u8; plane], vec![0u8; plane]];
        let width = groups.len() * LANES;
        let mut rows: [Vec<f32>; 4] = std::array::from_fn(|_| vec![0.0; 3 * width]);
        let mut held = [usize::MAX; 4];
        for (y, coefficients) in coefficients(Kernel::Cubic, Axis::Rows, from.0, to.0).iter().enumerate() {
            // The pixels of a target row are neighbours, so no two of them share a row buffer.
            for &pixel in &coefficients.pixels[..4] {
                if held[pixel % 4] != pixel {
                    held[pixel % 4] = pixel;
                    split(s, &source[pixel * from.1 * 3..][..from.1 * 3], &mut planes);
                    for (row, target) in planes.iter().zip(rows[pixel % 4].chunks_exact_mut(width)) {
                        along_columns(s, row, groups, target);
                    }
                }
            }
            for (channel, table) in tables.iter().enumerate() {
                let row = |i: usize| &rows[coefficients.pixels[i] % 4][channel * width..][..width];
                let weights = [0, 1, 2, 3].map(|i| coefficients.weights[i]);
                let target = &mut tensor[(channel * to.0 + y) * to.1..][..to.1];
                blend(s, [row(0), row(1), row(2), row(3)], weights, &s.load_table(table), target);
            }
        }
    }
}

/// Splits a row of pixels into rows of red, green and blue.
#[inline(always)]
fn split(s: Avx512Vbmi, row: &[u8], [red, green, blue]: &mut [Vec<u8>; 3]) {
    let [red, green, blue] = [red.as_chunks_mut().0, green.as_chunks_mut().0, blue.as_chunks_mut().0];
    for (i, pixels) in row.chunks(3 * SPLIT).enumerate() {
        s.split_rgb(pixels, [&mut red[i], &mut green[i], &mut blue[i]]);
    }
}

/// Resizes a row of one channel along its columns.
#[inline(always)]
fn along_columns(s: Avx512Vbmi, row: &[u8], groups: &[Group], target: &mut [f32]) {
    for (group, target) in groups.iter().zip(target.as_chunks_mut::<LANES>().0) {
        let Some(window) = row[group.first..].first_chunk::<WINDOW>() else { continue };
        let mut products = [s.splat(0.0); 4];
        for i in 0..4 {
            let indices: I32x16 = s.indices(&group.pixels[i]);
            products[i] = s.lookup_128(window, indices) * s.load_slice(&group.weights[i]);
        }
        // The order in which OpenCV's vendor library adds.
        let sum = (products[0] + products[2]) + (products[1] + products[3]);
        s.store_slice(sum, target);
    }
}

/// The weighted sum of four rows of one channel, rounded to bytes, looked up in `table`.
///
/// The rows are whole sixteens; `target` may end before they do.
#[inline(always)]
fn blend(
    s: Avx512Vbmi,
    [r0, r1, r2, r3]: [&[f32]; 4],
    weights: [f32; 4],
    table: &Table256,
    target: &mut [f32],
) {
    let [w0, w1, w2, w3] = weights.map(|weight| s.splat(weight));
    let rows = r0.as_chunks::<LANES>().0.iter().zip(r1.as_chunks::<LANES>().0);
    let rows = rows.zip(r2.as_chunks::<LANES>().0).zip(r3.as_chunks::<LANES>().0);
    for ((((r0, r1), r2), r3), target) in rows.zip(target.chunks_mut(LANES)) {
        let even = s.load_slice(r2).mul_add(w2, s.load_slice(r0) * w0);
        let odd = s.load_slice(r3).mul_add(w3, s.load_slice(r1) * w1);
        s.store_slice(s.lookup_256(table, even + odd), target);
    }
}
