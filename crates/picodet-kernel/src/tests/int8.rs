//! Matrix products of bytes.

use picodet_simd::Isa;
use picodet_testing::Noise;

use super::{extents, report};
use crate::gemm::{GemmInt8, Requantise, gemm_int8, int8_scratch_len, pack_int8};

/// Pseudo-random bytes, among them many extremes.
fn bytes(len: usize, seed: u32) -> Vec<u8> {
    let mut noise = Noise::new(seed.into());
    let mut next = || noise.bits() >> 32;
    (0..len)
        .map(|_| match next() % 8 {
            0 => 255,
            1 => 128,
            2 => 127,
            _ => next() as u8,
        })
        .collect()
}

#[test]
fn byte_products_equal_their_definition() {
    const MARK: u8 = 77;
    let mut wrong = Vec::new();
    let mut case = 0;
    for int8 in Isa::available().into_iter().flat_map(Isa::int8_available) {
        let lanes = int8.isa().lanes();
        for rows in extents() {
            let wide = if cfg!(miri) { 0..0 } else { 3..7 };
            for columns in extents().into_iter().chain(wide.map(|vectors| 16 * vectors)) {
                case += 1;
                let k: usize = [1, 3, 4, 8, 17, 40, if cfg!(miri) { 6 } else { 2000 }][case % 7];
                // Two ranges with a gap, or one that is multiplied in place where it has whole quads.
                let direct = case % 4 == 0;
                let first = k.div_ceil(2);
                let ranges = [(1, first), (first + 3, k - first)];
                let ranges = if direct { &[(2, k)][..] } else { &ranges[..] };
                let a_stride = (k + 4).next_multiple_of(4);
                let a = bytes(rows * a_stride, 1);
                let at = |row: usize, i: usize| {
                    let column = if direct { 2 + i } else { i + if i < first { 1 } else { 3 } };
                    i32::from(a[row * a_stride + column])
                };
                let weights: Vec<i8> = bytes(k * columns, 2).into_iter().map(u8::cast_signed).collect();
                let b = pack_int8(k, columns, lanes, |i, n| weights[i * columns + n]);
                let padded = columns.next_multiple_of(lanes);
                let bias: Vec<i32> = (0..padded as i32).map(|n| n * 1000 - 9000).collect();
                let scale: Vec<f32> = (0..padded).map(|n| (1 + n % 5) as f32 / (k as f32 * 512.0)).collect();
                let (zero_point, clamp) = [(128, (0, 255)), (10, (10, 200)), (0, (0, 255))][case % 3];
                let out_stride = columns + 3;
                let mut out = vec![MARK; rows * out_stride];
                let mut scratch = vec![0x5555_5555; int8_scratch_len(k)];
                let args = GemmInt8 {
                    a: a.as_ptr(),
                    a_stride,
                    ranges,
                    rows,
                    b: &b,
                    epilogue: Requantise {
                        columns,
                        bias: &bias,
                        scale: &scale,
                        zero_point,
                        clamp,
                        out: unsafe { out.as_mut_ptr().add(1) },
                        out_stride,
                    },
                    scratch: scratch.as_mut_ptr(),
                };
                unsafe { gemm_int8(int8, &args) };
                for (index, &found) in out.iter().enumerate() {
                    let (row, n) = (index / out_stride, (index % out_stride).wrapping_sub(1));
                    let expected = if n < columns {
                        let sum: i32 = (0..k).map(|i| at(row, i) * i32::from(weights[i * columns + n])).sum();
                        let value = (sum + bias[n]) as f32 * scale[n] + f32::from(zero_point);
                        value.round_ties_even().clamp(f32::from(clamp.0), f32::from(clamp.1)) as u8
                    } else {
                        MARK
                    };
                    if found != expected {
                        wrong.push(format!(
                            "{int8:?} {rows}x{k}x{columns} row {row} column {n}: {found} not {expected}"
                        ));
                        break;
                    }
                }
            }
        }
    }
    report(&wrong);
}
