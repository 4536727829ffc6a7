//! Kernels of f16 against their definition in f64, and every instruction set against plain Rust.

use super::{ACTIVATIONS, MARK, check_within, exact, extents, report, taps, values};
use crate::depthwise::f16::{depthwise_f16, pack_depthwise_f16};
use crate::depthwise::{Depthwise, DepthwiseF16};
use crate::gemm::{Activate, GemmF16, f16_scratch_len, gemm_f16, pack_f16};
use crate::half::{round_f16, sum_pixels_f16};
use crate::pool::SumPixels;
use crate::round::Round;
use crate::{ChannelRange, DType};
use picodet_graph::Activation;
use picodet_simd::{F16Isa, Isa, from_f16, to_f16};

fn rounded(value: f32) -> f32 {
    from_f16(to_f16(value))
}

fn sets() -> Vec<F16Isa> {
    Isa::available().into_iter().filter_map(Isa::f16).collect()
}

/// The error of a sum of `k` products of values up to 2, each part of 128 in f16; the errors of the parts are independent.
fn tolerance(k: usize) -> f64 {
    2e-3 + 6e-4 * k.min(128) as f64 * (k.div_ceil(128) as f64).sqrt()
}

/// Whether every instruction set gives the same bits: sums are in f16 everywhere, but activations of products can be in
/// f32, fused or not.
fn is_exact(act: Option<Activation>) -> bool {
    matches!(act, None | Some(Activation::Relu | Activation::Relu6))
}

/// Notes where the results of instruction sets differ.
fn compare(case: &str, results: &[Vec<f32>], wrong: &mut Vec<String>) {
    let Some(last) = results.last() else { return };
    let same = |result: &Vec<f32>| result.iter().zip(last).all(|(a, b)| a.to_bits() == b.to_bits());
    if !results.iter().all(same) {
        wrong.push(format!("{case}: instruction sets differ"));
    }
}

#[test]
fn f16_products_equal_their_definition() {
    let mut wrong = Vec::new();
    let mut case = 0;
    for rows in extents() {
        let wide = if cfg!(miri) { 0..0 } else { 3..7 };
        for columns in extents().into_iter().chain(wide.map(|vectors| 8 * vectors)) {
            case += 1;
            // The long ones in several parts of the depth, of ranges that are longer than a part and of short ones.
            let k = [1, 3, 8, 17, 40, if cfg!(miri) { 6 } else { 300 }][case % 6];
            let act = ACTIVATIONS[case % 8];
            let a_stride = k + 7;
            let a = values(rows * a_stride, 1);
            let first = if case % 4 == 0 { k.min(200) } else { k.div_ceil(2) };
            let ranges = [(1, first), (first + 3, k - first)];
            let narrow = case % 5 < 3;
            let factors = values(k, 5);
            let scaled = case % 5 % 2 == 1;
            let at = |row: usize, i: usize| {
                let value = a[row * a_stride + i + if i < first { 1 } else { 3 }];
                let value = if narrow { rounded(value) } else { value };
                f64::from(rounded(if scaled { value * factors[i] } else { value }))
            };
            let weights = values(k * columns, 2);
            let mut bias = values(columns, 3);
            bias.resize(columns.next_multiple_of(8), 0.0);
            let addend = values(rows * (columns + 2), 4);
            let with_residual = case % 3 == 0;
            let (out_stride, narrow_out) = (columns + 5, case % 7 < 4);
            let dtype = |narrow: bool| if narrow { DType::F16 } else { DType::F32 };
            let halves: Vec<u16> = a.iter().map(|&value| to_f16(value)).collect();
            let name = format!("{rows}x{k}x{columns} {act:?} from {narrow} to {narrow_out}");
            let mut results = Vec::new();
            for isa in sets() {
                let b = pack_f16(k, columns, 8, |i, n| weights[i * columns + n]);
                let mut out = vec![MARK; rows * out_stride];
                let mut half_out = vec![to_f16(MARK); out.len()];
                // The contents of the scratch memory must not matter.
                let mut scratch = vec![f32::NAN; f16_scratch_len(k)];
                let to = if narrow_out {
                    half_out.as_mut_ptr().wrapping_add(2).cast()
                } else {
                    out.as_mut_ptr().wrapping_add(2)
                };
                let args = GemmF16 {
                    a: if narrow { halves.as_ptr().cast() } else { a.as_ptr() },
                    a_stride,
                    a_dtype: dtype(narrow),
                    ranges: &ranges,
                    rows,
                    b: &b,
                    factors: if scaled { factors.as_ptr() } else { std::ptr::null() },
                    epilogue: Activate {
                        columns,
                        bias: &bias,
                        residual: if with_residual { addend.as_ptr() } else { std::ptr::null() },
                        residual_stride: columns + 2,
                        act,
                        out: to,
                        out_stride,
                        out_dtype: dtype(narrow_out),
                    },
                    scratch: scratch.as_mut_ptr(),
                };
                unsafe { gemm_f16(isa, &args) };
                if narrow_out {
                    out = half_out.iter().map(|&half| from_f16(half)).collect();
                }
                let expected = |row: usize, n: usize| {
                    let sum: f64 =
                        (0..k).map(|i| at(row, i) * f64::from(rounded(weights[i * columns + n]))).sum();
                    let residual =
                        if with_residual { f64::from(addend[row * (columns + 2) + n]) } else { 0.0 };
                    exact(sum + f64::from(bias[n]) + residual, act)
                };
                // Factors up to 2 double the products.
                let allowed = tolerance(k) * if scaled { 2.0 } else { 1.0 };
                let name = format!("{isa:?} {name}");
                check_within(allowed, &name, &out, out_stride, (2, columns), expected, &mut wrong);
                results.push(out);
            }
            if is_exact(act) {
                compare(&name, &results, &mut wrong);
            }
        }
    }
    report(&wrong);
}

#[test]
fn f16_depthwise_convolutions_equal_their_definition() {
    let mut wrong = Vec::new();
    let mut case = 0;
    let sizes: Vec<usize> = extents().into_iter().filter(|extent| extent % 3 > 0 || *extent < 6).collect();
    for (&height, &width) in sizes.iter().flat_map(|h| sizes.iter().map(move |w| (h, w))) {
        for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2)] {
            case += 1;
            if height * width > 200 && case % 5 > 0 {
                continue;
            }
            let channels = [1, 3, 9, 16, 21, 40][case / 4 % 6];
            let act = ACTIVATIONS[case / 4 % 8];
            let source_stride = channels + 6;
            let source = values(height * width * source_stride, 5);
            let halves: Vec<u16> = source.iter().map(|&value| to_f16(value)).collect();
            let zeros = vec![0.0; source_stride];
            let weights = values(kernel * kernel * channels, 6);
            let bias = values(channels, 7);
            let half = channels / 2;
            let ranges = [
                ChannelRange { source: 1, other: 0, destination: 0, len: half },
                ChannelRange { source: half + 4, other: 0, destination: half, len: channels - half },
            ];
            let (rows, out_width) = (height.div_ceil(stride), width.div_ceil(stride));
            let out_stride = channels + 3;
            let dtype = |narrow: bool| if narrow { DType::F16 } else { DType::F32 };
            let (source_dtype, out_dtype) = (dtype(case % 5 > 0), dtype(case % 2 > 0));
            let packed = pack_depthwise_f16(&ranges, kernel, &weights, &bias);
            let name = format!(
                "{kernel}x{kernel}/{stride} on {height}x{width}x{channels} {act:?} {source_dtype} {out_dtype}"
            );
            let mut results = Vec::new();
            for isa in sets() {
                let mut out = vec![MARK; rows * out_width * out_stride];
                let mut half_out = vec![to_f16(MARK); out.len()];
                // In two bands, as two workers would.
                for part in [0..rows / 2, rows / 2..rows] {
                    let narrow = source_dtype == DType::F16;
                    let convolution = Depthwise {
                        source: if narrow { halves.as_ptr().cast() } else { source.as_ptr() },
                        source_stride,
                        size: (height, width),
                        out: match out_dtype {
                            DType::F16 => half_out.as_mut_ptr().wrapping_add(2).cast(),
                            _ => out.as_mut_ptr().wrapping_add(2),
                        },
                        out_stride,
                        out_width,
                        rows: part,
                        zeros: zeros.as_ptr(),
                        kernel,
                        stride,
                        ranges: &ranges,
                        weights: &[],
                        bias: &bias,
                        act,
                    };
                    let args = DepthwiseF16 { convolution, weights: &packed, source_dtype, out_dtype };
                    unsafe { depthwise_f16(isa, &args) };
                }
                if out_dtype == DType::F16 {
                    out = half_out.iter().map(|&half| from_f16(half)).collect();
                }
                let expected = |pixel: usize, c: usize| {
                    let channel = if c < half { c + 1 } else { c + 4 };
                    let mut sum = f64::from(bias[c]);
                    for (tap, from) in taps(pixel, out_width, (height, width), kernel, stride) {
                        let Some(from) = from else { continue };
                        let value = rounded(source[from * source_stride + channel]);
                        sum += f64::from(value) * f64::from(rounded(weights[tap * channels + c]));
                    }
                    exact(sum, act)
                };
                let name = format!("{isa:?} {name}");
                let allowed = tolerance(kernel * kernel);
                check_within(allowed, &name, &out, out_stride, (2, channels), expected, &mut wrong);
                results.push(out);
            }
            if is_exact(act) || act == Some(Activation::HardSwish) {
                compare(&name, &results, &mut wrong);
            }
        }
    }
    report(&wrong);
}

#[test]
fn f16_maps_are_rounded_and_summed() {
    let mut wrong = Vec::new();
    for (pixels, columns) in extents().into_iter().flat_map(|p| [1, 7, 8, 9, 24, 31].map(|c| (p, c))) {
        let source = values(pixels * (columns + 3), 12);
        for isa in sets() {
            let mut halves = vec![to_f16(MARK); pixels * (columns + 5)];
            let args = Round {
                source: source.as_ptr().wrapping_add(1),
                source_stride: columns + 3,
                pixels,
                columns,
                out: halves.as_mut_ptr().wrapping_add(2),
                out_stride: columns + 5,
            };
            unsafe { round_f16(isa, &args) };
            let found: Vec<f32> = halves.iter().map(|&half| from_f16(half)).collect();
            let value = |pixel: usize, c: usize| f64::from(rounded(source[pixel * (columns + 3) + 1 + c]));
            let name = format!("{isa:?} {pixels}x{columns} rounded");
            check_within(0.0, &name, &found, columns + 5, (2, columns), value, &mut wrong);
            let mut sums = vec![MARK; columns + 3];
            let ranges = [ChannelRange { source: 2, other: 0, destination: 1, len: columns }];
            let args = SumPixels {
                source: halves.as_ptr().cast(),
                source_stride: columns + 5,
                dtype: DType::F16,
                pixels,
                ranges: &ranges,
                out: sums.as_mut_ptr(),
            };
            unsafe { sum_pixels_f16(isa, &args) };
            let sum = |_: usize, c: usize| (0..pixels).map(|pixel| value(pixel, c)).sum();
            let name = format!("{isa:?} {pixels}x{columns} summed");
            check_within(2e-5, &name, &sums, columns + 3, (1, columns), sum, &mut wrong);
        }
    }
    report(&wrong);
}
