//! Inner loops of the cubic resize of RGB images, compiled for the instruction sets of picodet-simd.

use picodet_simd::{IsaKind, Kernel, Simd, Vector};

use super::float::fused;

/// Pixels that a coefficient may lie outside the image: half a kernel.
pub(super) const MARGIN: usize = 2;
/// Red, green, blue.
const CHANNELS: usize = 3;
/// Values of four pixels, and one more because three channels are moved four at a time.
const WINDOW: usize = 4 * CHANNELS + 1;

/// A target column's four neighbouring pixels in a row with its margins, and their weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Index of the first value of the first pixel.
    pub(super) first: usize,
    pub(super) weights: [f32; 4],
}

/// Resizes a row of bytes along its columns.
pub(super) struct ResizeColumns<'a> {
    pub(super) source: &'a [u8],
    pub(super) columns: &'a [Column],
    /// Memory for the row with its margins and one value more.
    pub(super) widened: &'a mut [f32],
    /// The target row and one value more.
    pub(super) target: &'a mut [f32],
}

impl Kernel for ResizeColumns<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        widen(self.source, self.widened);
        along_columns(self.widened, self.columns, self.target);
    }
}

/// The weighted sum of four rows, rounded to bytes.
pub(super) struct BlendRows<'a> {
    pub(super) rows: [&'a [f32]; 4],
    pub(super) weights: [f32; 4],
    pub(super) target: &'a mut [u8],
}

impl Kernel for BlendRows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // WebAssembly's relaxed multiply-add may round twice.
        let rounds_once = match S::KIND {
            IsaKind::Avx512 | IsaKind::Avx2 | IsaKind::Neon => true,
            IsaKind::Portable => cfg!(any(target_feature = "fma", target_arch = "aarch64")),
            _ => false,
        };
        if rounds_once {
            blend(self.rows, self.weights, self.target, f32::mul_add);
        } else {
            blend_nearly(s, self.rows, self.weights, self.target);
        }
    }
}

/// A row of bytes as floats between margins that repeat its ends.
#[inline(always)]
fn widen(source: &[u8], target: &mut [f32]) {
    let (left, rest) = target.split_at_mut(MARGIN * CHANNELS);
    let (middle, right) = rest.split_at_mut(source.len());
    for (value, &byte) in middle.iter_mut().zip(source) {
        *value = f32::from(byte);
    }
    for (i, value) in left.iter_mut().enumerate() {
        *value = middle[i % CHANNELS];
    }
    for (i, value) in right[..MARGIN * CHANNELS].iter_mut().enumerate() {
        *value = middle[source.len() - CHANNELS + i % CHANNELS];
    }
}

/// Resizes a widened row along its columns.
#[inline(always)]
fn along_columns(widened: &[f32], columns: &[Column], target: &mut [f32]) {
    for (x, column) in columns.iter().enumerate() {
        let Some(pixels) = widened[column.first..].first_chunk::<WINDOW>() else { continue };
        let Some(values) = target[x * CHANNELS..].first_chunk_mut::<4>() else { continue };
        let [w0, w1, w2, w3] = column.weights;
        for c in 0..4 {
            values[c] = (pixels[c] * w0 + pixels[c + 6] * w2) + (pixels[c + 3] * w1 + pixels[c + 9] * w3);
        }
    }
}

/// `fused(a, b, c)` is a · b + c, rounded once.
#[inline(always)]
fn blend(
    [r0, r1, r2, r3]: [&[f32]; 4],
    [w0, w1, w2, w3]: [f32; 4],
    target: &mut [u8],
    fused: impl Fn(f32, f32, f32) -> f32,
) {
    let rows = r0.iter().zip(r1).zip(r2).zip(r3);
    for (byte, (((r0, r1), r2), r3)) in target.iter_mut().zip(rows) {
        *byte = rounded(fused(*r2, w2, r0 * w0) + fused(*r3, w3, r1 * w1));
    }
}

/// The bytes of [`blend`] with [`fused`], which takes a multiple of the time. Sums that round more often are off by less than
/// [`DOUBT`]: they give other bytes only next to the middle between two bytes, and blocks with such sums are computed again.
#[inline(always)]
fn blend_nearly<S: Simd>(s: S, rows: [&[f32]; 4], weights: [f32; 4], target: &mut [u8]) {
    /// Rows are sums of bytes by weights with magnitudes of 1.375 together, products are below 512, and sums below 1,024. With a
    /// fused product or without, roundings add up to 1.5e-4 at most.
    const DOUBT: f32 = 5e-4;
    const BLOCK: usize = 16;
    let ([r0, r1, r2, r3], [w0, w1, w2, w3]) = (rows, weights.map(|weight| s.splat(weight)));
    let (zero, magic) = (s.splat(0.0), s.splat(12_582_912.0));
    for (block, target) in target.chunks_mut(BLOCK).enumerate() {
        let at = |row: &'_ [f32], i: usize| s.load_slice(&row[block * BLOCK + i..]);
        let mut farthest = zero;
        if target.len() == BLOCK {
            for i in (0..BLOCK).step_by(S::LEN) {
                let even = at(r2, i).mul_add(w2, at(r0, i) * w0);
                let sum = even + at(r3, i).mul_add(w3, at(r1, i) * w1);
                let distance = sum - (sum + magic - magic);
                farthest = farthest.max(distance.max(zero - distance));
                sum.store_u8_slice(&mut target[i..]);
            }
        }
        let is_doubtful = |&distance: &f32| distance > 0.5 - DOUBT;
        if target.len() < BLOCK || farthest.to_array().iter().any(is_doubtful) {
            let rows = rows.map(|row| &row[block * BLOCK..]);
            blend(rows, weights, target, fused);
        }
    }
}

/// Rounds to the nearest byte, ties to even.
#[inline(always)]
fn rounded(value: f32) -> u8 {
    // Next to 1.5 · 2²³ floats are integers, and the lowest byte of such a float is that of the integer.
    (value.clamp(0.0, 255.0) + 12_582_912.0).to_bits() as u8
}

#[cfg(test)]
mod tests {
    use picodet_simd::{Isa, dispatch};

    use super::*;

    #[test]
    fn every_instruction_set_gives_the_same_bytes() {
        let columns: Vec<Column> = (0..29)
            .map(|x| Column { first: x * CHANNELS, weights: [-0.07 - x as f32 * 1e-3, 0.6, 0.55, -0.08] })
            .collect();
        let source: Vec<u8> = (0..28 * CHANNELS).map(|i| ((i * i * 37) >> 2) as u8).collect();
        let result = |isa: Isa| {
            let mut widened = vec![0.0; (28 + 2 * MARGIN) * CHANNELS + 1];
            let mut rows: [Vec<f32>; 4] = std::array::from_fn(|_| vec![0.0; 29 * CHANNELS + 1]);
            for (i, target) in rows.iter_mut().enumerate() {
                let source = &[&source[i * CHANNELS..], &source[..i * CHANNELS]].concat();
                dispatch(isa, ResizeColumns { source, columns: &columns, widened: &mut widened, target });
            }
            let mut target = vec![0; 29 * CHANNELS];
            let rows = rows.each_ref().map(|row| &row[..29 * CHANNELS]);
            dispatch(isa, BlendRows { rows, weights: [-0.05, 0.4, 0.7, -0.05], target: &mut target });
            (rows.map(|row| row.iter().map(|value| value.to_bits()).collect::<Vec<_>>()), target)
        };
        let expected = result(Isa::PORTABLE);
        assert!(expected.1.iter().any(|&byte| byte > 0 && byte < 255));
        for isa in Isa::available() {
            assert!(result(isa) == expected, "{isa}");
        }
    }

    #[test]
    fn sums_near_the_middle_of_two_bytes_are_rounded_as_fused_ones() {
        let len = 20_011;
        let mut noise = picodet_testing::Noise::new(3);
        let mut wrong = 0;
        for weights in
            [[0.5, 0.25, 0.25, 0.0], [-0.09375, 0.59375, 0.59375, -0.09375], [-0.1, 0.7, 0.45, -0.05]]
        {
            // Bytes, whose sums are often ties, and values that differ from them by little.
            let mut row = || -> Vec<f32> {
                let value = |_| noise.uniform(0.0, 255.0).round() + noise.uniform(-1.0, 1.0).powi(15) * 1e-4;
                (0..len).map(value).collect()
            };
            let rows = [row(), row(), row(), row()];
            let rows = rows.each_ref().map(Vec::as_slice);
            let (mut expected, mut found) = (vec![0; len], vec![0; len]);
            blend(rows, weights, &mut expected, f32::mul_add);
            for isa in Isa::available() {
                dispatch(isa, BlendRows { rows, weights, target: &mut found });
                wrong += expected.iter().zip(&found).filter(|(expected, found)| expected != found).count();
            }
        }
        assert_eq!(wrong, 0);
    }

    #[test]
    fn halves_go_to_the_even_byte() {
        let found = [-3.0, 0.5, 1.5, 2.5, 2.500_001, 254.5, 255.5, 1e9].map(rounded);
        assert_eq!(found, [0, 0, 2, 2, 3, 254, 255, 255]);
    }
}
