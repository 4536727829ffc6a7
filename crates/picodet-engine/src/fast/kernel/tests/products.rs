//! Products: pointwise convolutions in both precisions, sums of taps, and stems.

use picodet_graph::DType;

use super::{ACTIVATIONS, MARK, check, check_within, exact, extents, numbers, report};
use crate::fast::Isa;
use crate::fast::kernel::gemm::{Gemm, gemm, pack};
use crate::fast::kernel::gemm_bf16::{GemmBf16, gemm_bf16, pack_pairs, scratch_len};
use crate::fast::kernel::lanes::pairs::{from_bf16, to_bf16};
use crate::fast::kernel::stem;
use crate::fast::kernel::taps::{SumTaps, sum_taps};

#[test]
fn products_equal_their_definition() {
    let mut wrong = Vec::new();
    let mut case = 0;
    for isa in Isa::available() {
        for rows in extents() {
            let wide = if cfg!(miri) { 0..0 } else { 3..7 };
            for columns in extents().into_iter().chain(wide.map(|vectors| 16 * vectors)) {
                case += 1;
                let k = [1, 3, 8, 17, 40][case % 5];
                let act = ACTIVATIONS[case % 8];
                let a_stride = k + 7;
                let a = numbers(rows * a_stride, 1);
                // Two runs with a gap, the second one maybe empty.
                let first = k.div_ceil(2);
                let runs = [(1, first), (first + 3, k - first)];
                let at = |row: usize, i: usize| {
                    f64::from(a[row * a_stride + if i < first { 1 + i } else { 3 + i }])
                };
                let weights = numbers(k * columns, 2);
                let b = pack(k, columns, isa.lanes(), |i, n| weights[i * columns + n]);
                let mut bias = numbers(columns, 3);
                bias.resize(columns.next_multiple_of(isa.lanes()), 0.0);
                let addend = numbers(rows * (columns + 2), 4);
                let with_residual = case % 3 == 0;
                let out_stride = columns + 5;
                let mut out = vec![MARK; rows * out_stride];
                let args = Gemm {
                    a: a.as_ptr(),
                    a_stride,
                    runs: &runs,
                    rows,
                    b: &b,
                    columns,
                    bias: &bias,
                    out: unsafe { out.as_mut_ptr().add(2) },
                    out_stride,
                    residual: if with_residual { addend.as_ptr() } else { std::ptr::null() },
                    residual_stride: columns + 2,
                    act,
                };
                unsafe { gemm(isa, &args) };
                let expected = |row: usize, n: usize| {
                    let sum: f64 = (0..k).map(|i| at(row, i) * f64::from(weights[i * columns + n])).sum();
                    let residual =
                        if with_residual { f64::from(addend[row * (columns + 2) + n]) } else { 0.0 };
                    exact(sum + f64::from(bias[n]) + residual, act)
                };
                let case = format!("{isa} {rows}x{k}x{columns} {act:?}");
                check(&case, &out, out_stride, (2, columns), expected, &mut wrong);
            }
        }
    }
    report(&wrong);
}

#[test]
fn sums_of_taps_equal_their_definition() {
    let mut wrong = Vec::new();
    let mut case = 0;
    let sizes = extents();
    for isa in Isa::available() {
        for (&height, &width) in sizes.iter().flat_map(|h| sizes.iter().map(move |w| (h, w))) {
            case += 1;
            let kernel = [1, 3, 5][case % 3];
            let act = ACTIVATIONS[case % 8];
            let source_stride = kernel * kernel + 7;
            let source = numbers(height * width * source_stride, 8);
            let mut out = vec![MARK; height * width * 3];
            let args = |rows, out: *mut f32| SumTaps {
                source: source.as_ptr(),
                source_stride,
                size: (height, width),
                kernel,
                bias: 0.25,
                out,
                out_stride: 3,
                rows,
                act,
            };
            let pointer = unsafe { out.as_mut_ptr().add(1) };
            unsafe { sum_taps(isa, &args(0..height / 2, pointer)) };
            unsafe { sum_taps(isa, &args(height / 2..height, pointer)) };
            let expected = |cell: usize, _: usize| {
                let mut sum = 0.25;
                for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
                    let row = (cell / width + ky).wrapping_sub(kernel / 2);
                    let column = (cell % width + kx).wrapping_sub(kernel / 2);
                    if row < height && column < width {
                        let tap = ky * kernel + kx;
                        sum += f64::from(source[(row * width + column) * source_stride + tap]);
                    }
                }
                exact(sum, act)
            };
            let case = format!("{isa} {kernel}x{kernel} on {height}x{width} {act:?}");
            check(&case, &out, 3, (1, 1), expected, &mut wrong);
        }
    }
    report(&wrong);
}

#[test]
fn bf16_products_equal_their_definition() {
    let rounded = |value: f32| f64::from(from_bf16(to_bf16(value)));
    let mut wrong = Vec::new();
    let mut case = 0;
    for isa in Isa::available().into_iter().filter(|isa| isa.has_bf16()) {
        for rows in extents() {
            let wide = if cfg!(miri) { 0..0 } else { 3..7 };
            for columns in extents().into_iter().chain(wide.map(|vectors| 16 * vectors)) {
                case += 1;
                // One of them so long that rows are packed in several blocks.
                let k = [1, 3, 8, 17, 40, if cfg!(miri) { 6 } else { 600 }][case % 6];
                let act = ACTIVATIONS[case % 8];
                let a_stride = k + 7 + (k + 7) % 2;
                let a = numbers(rows * a_stride, 1);
                let first = k.div_ceil(2);
                let dtype = |is_bf16| if is_bf16 { DType::Bf16 } else { DType::F32 };
                let a_dtype = dtype(case % 5 < 2);
                // Two runs with a gap, or what is multiplied where it is.
                let direct = case % 10 == 0;
                let runs = [(1, first), (first + 3, k - first)];
                let runs = if direct { &[(2, k)][..] } else { &runs[..] };
                let factors = numbers(k, 5);
                let scaled = case % 2 == 0 && !direct;
                let at = |row: usize, i: usize| {
                    let column = if direct { 2 + i } else { i + if i < first { 1 } else { 3 } };
                    let value = a[row * a_stride + column];
                    // Numbers of 16 bits are rounded before they are multiplied.
                    let value = if a_dtype == DType::Bf16 { rounded(value) as f32 } else { value };
                    rounded(if scaled { value * factors[i] } else { value })
                };
                let weights = numbers(k * columns, 2);
                let pairs = pack_pairs(k, columns, isa.lanes(), |i, n| weights[i * columns + n]);
                let mut bias = numbers(columns, 3);
                bias.resize(columns.next_multiple_of(isa.lanes()), 0.0);
                let addend = numbers(rows * (columns + 2), 4);
                let with_residual = case % 3 == 0;
                let out_stride = columns + 5;
                let mut out = vec![MARK; rows * out_stride];
                // What is in the scratch memory before must not matter.
                let mut scratch = vec![f32::NAN; scratch_len(k)];
                let product = Gemm {
                    a: a.as_ptr(),
                    a_stride,
                    runs,
                    rows,
                    b: &[],
                    columns,
                    bias: &bias,
                    out: unsafe { out.as_mut_ptr().add(2) },
                    out_stride,
                    residual: if with_residual { addend.as_ptr() } else { std::ptr::null() },
                    residual_stride: columns + 2,
                    act,
                };
                // From 16 bits and to such, side by side in the first case.
                let out_dtype = dtype(case % 7 < 3);
                let halves: Vec<u16> = a.iter().map(|&value| to_bf16(value)).collect();
                let mut half_out = vec![to_bf16(MARK); out.len()];
                let mut product = product;
                if a_dtype == DType::Bf16 {
                    product.a = halves.as_ptr().cast();
                }
                if out_dtype == DType::Bf16 {
                    product.out = unsafe { half_out.as_mut_ptr().add(2).cast() };
                }
                let args = GemmBf16 {
                    product,
                    pairs: &pairs,
                    factors: if scaled { factors.as_ptr() } else { std::ptr::null() },
                    a_dtype,
                    out_dtype,
                    scratch: scratch.as_mut_ptr(),
                };
                unsafe { gemm_bf16(isa, &args) };
                let expected = |row: usize, n: usize| {
                    let sum: f64 = (0..k).map(|i| at(row, i) * rounded(weights[i * columns + n])).sum();
                    let residual =
                        if with_residual { f64::from(addend[row * (columns + 2) + n]) } else { 0.0 };
                    exact(sum + f64::from(bias[n]) + residual, act)
                };
                if out_dtype == DType::Bf16 {
                    out = half_out.iter().map(|&half| from_bf16(half)).collect();
                }
                // Long sums round more often.
                let case = format!("{isa} {rows}x{k}x{columns} {act:?}");
                check_within(
                    1e-7 * (200 + 8 * k) as f64 + if out_dtype == DType::Bf16 { 0.004 } else { 0.0 },
                    &case,
                    &out,
                    out_stride,
                    (2, columns),
                    expected,
                    &mut wrong,
                );
            }
        }
    }
    report(&wrong);
}

#[test]
fn stems_equal_their_definition() {
    let mut wrong = Vec::new();
    let mut case = 0;
    for isa in Isa::available() {
        // Rows are made one by one, so that few heights do.
        let heights = if cfg!(miri) { 1..4 } else { 1..12 };
        for (height, width) in heights.flat_map(|h| extents().into_iter().map(move |w| (h, w))) {
            case += 1;
            let columns = [1, 7, 8, 16, 24, 32, 40, 48][case % 8];
            let act = ACTIVATIONS[case / 8 % 8];
            let image = numbers(3 * height * width, 9);
            let weights = numbers(27 * columns, 10);
            // Half vectors are right on every processor that has whole ones.
            let half = isa == Isa::Avx512 && case % 3 == 0;
            let lanes = stem::lanes(isa, half);
            let packed = pack(27, columns, lanes, |k, n| weights[k * columns + n]);
            let mut bias = numbers(columns, 11);
            bias.resize(columns.next_multiple_of(lanes), 0.0);
            let (rows, cells, out_stride) = (height.div_ceil(2), width.div_ceil(2), columns + 3);
            let mut out = vec![MARK; rows * cells * out_stride];
            for row in 0..rows {
                let args = stem::Stem {
                    image: image.as_ptr(),
                    size: (height, width),
                    row,
                    half,
                    weights: &packed,
                    columns,
                    bias: &bias,
                    out: unsafe { out.as_mut_ptr().add(row * cells * out_stride + 1) },
                    out_stride,
                    act,
                };
                unsafe { stem::stem(isa, &args) };
            }
            let expected = |cell: usize, n: usize| {
                let (y, x) = (cell / cells, cell % cells);
                let mut sum = f64::from(bias[n]);
                for k in 0..27 {
                    let (row, column) =
                        ((2 * y + k / 3 % 3).wrapping_sub(1), (2 * x + k % 3).wrapping_sub(1));
                    if row < height && column < width {
                        let value = image[(k / 9 * height + row) * width + column];
                        sum += f64::from(value) * f64::from(weights[k * columns + n]);
                    }
                }
                exact(sum, act)
            };
            let case = format!("{isa} {height}x{width}x{columns} {act:?}");
            check(&case, &out, out_stride, (1, columns), expected, &mut wrong);
        }
    }
    report(&wrong);
}
