//! Matrix products in f32 and bf16, col2im, and stems.

use super::{ACTIVATIONS, MARK, check, check_within, exact, extents, report, taps, values};
use crate::DType;
use crate::col2im::{Col2Im, col2im};
use crate::gemm::{
    Activate, Gemm, GemmBf16, Matrix, Sums, gemm, gemm_bf16, multiply, pack, pack_bf16, scratch_len,
};
use crate::stem;
use picodet_simd::{Isa, IsaKind, from_bf16, to_bf16};

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
                let a = values(rows * a_stride, 1);
                // Two ranges with a gap, the second one maybe empty.
                let first = k.div_ceil(2);
                let ranges = [(1, first), (first + 3, k - first)];
                let at = |row: usize, i: usize| {
                    f64::from(a[row * a_stride + if i < first { 1 + i } else { 3 + i }])
                };
                let weights = values(k * columns, 2);
                let b = pack(k, columns, isa.lanes(), |i, n| weights[i * columns + n]);
                let mut bias = values(columns, 3);
                bias.resize(columns.next_multiple_of(isa.lanes()), 0.0);
                let addend = values(rows * (columns + 2), 4);
                let with_residual = case % 3 == 0;
                let out_stride = columns + 5;
                let mut out = vec![MARK; rows * out_stride];
                let args = Gemm {
                    a: a.as_ptr(),
                    a_stride,
                    ranges: &ranges,
                    rows,
                    b: &b,
                    epilogue: Activate {
                        columns,
                        bias: &bias,
                        residual: if with_residual { addend.as_ptr() } else { std::ptr::null() },
                        residual_stride: columns + 2,
                        act,
                        out: unsafe { out.as_mut_ptr().add(2) },
                        out_stride,
                        out_dtype: DType::F32,
                    },
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
fn sums_of_windows_equal_their_definition() {
    let mut wrong = Vec::new();
    let mut case = 0;
    let sizes = extents();
    for isa in Isa::available() {
        for (&height, &width) in sizes.iter().flat_map(|h| sizes.iter().map(move |w| (h, w))) {
            case += 1;
            let kernel = [1, 3, 5][case % 3];
            let act = ACTIVATIONS[case % 8];
            let source_stride = kernel * kernel + 7;
            let source = values(height * width * source_stride, 8);
            let mut out = vec![MARK; height * width * 3];
            let args = |rows, out: *mut f32| Col2Im {
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
            unsafe { col2im(isa, &args(0..height / 2, pointer)) };
            unsafe { col2im(isa, &args(height / 2..height, pointer)) };
            let expected = |pixel: usize, _: usize| {
                let mut sum = 0.25;
                for (tap, from) in taps(pixel, width, (height, width), kernel, 1) {
                    sum += from.map_or(0.0, |from| f64::from(source[from * source_stride + tap]));
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
    for (isa, bf16) in Isa::available().into_iter().filter_map(|isa| Some((isa, isa.bf16()?))) {
        for rows in extents() {
            let wide = if cfg!(miri) { 0..0 } else { 3..7 };
            for columns in extents().into_iter().chain(wide.map(|vectors| 16 * vectors)) {
                case += 1;
                // One of them so long that rows are packed in several blocks.
                let k = [1, 3, 8, 17, 40, if cfg!(miri) { 6 } else { 600 }][case % 6];
                let act = ACTIVATIONS[case % 8];
                let a_stride = k + 7 + (k + 7) % 2;
                let a = values(rows * a_stride, 1);
                let first = k.div_ceil(2);
                let narrow = case % 5 < 2;
                // Two ranges with a gap, or one that is multiplied in place.
                let direct = case % 10 == 0;
                let ranges = [(1, first), (first + 3, k - first)];
                let ranges = if direct { &[(2, k)][..] } else { &ranges[..] };
                let factors = values(k, 5);
                let scaled = case % 2 == 0 && !direct;
                let at = |row: usize, i: usize| {
                    let column = if direct { 2 + i } else { i + if i < first { 1 } else { 3 } };
                    let value = a[row * a_stride + column];
                    // bf16 values are rounded before they are multiplied.
                    let value = if narrow { rounded(value) as f32 } else { value };
                    rounded(if scaled { value * factors[i] } else { value })
                };
                let weights = values(k * columns, 2);
                let pairs = pack_bf16(k, columns, isa.lanes(), |i, n| weights[i * columns + n]);
                let mut bias = values(columns, 3);
                bias.resize(columns.next_multiple_of(isa.lanes()), 0.0);
                let addend = values(rows * (columns + 2), 4);
                let with_residual = case % 3 == 0;
                let out_stride = columns + 5;
                let mut out = vec![MARK; rows * out_stride];
                // The contents of the scratch memory must not matter.
                let mut scratch = vec![f32::NAN; scratch_len(k)];
                // From bf16 and to bf16, both in the first case.
                let narrow_out = case % 7 < 3;
                let dtype = |bf16: bool| if bf16 { DType::Bf16 } else { DType::F32 };
                let halves: Vec<u16> = a.iter().map(|&value| to_bf16(value)).collect();
                let mut half_out = vec![to_bf16(MARK); out.len()];
                let args = GemmBf16 {
                    a: if narrow { halves.as_ptr().cast() } else { a.as_ptr() },
                    a_stride,
                    a_dtype: dtype(narrow),
                    ranges,
                    rows,
                    b: &pairs,
                    factors: if scaled { factors.as_ptr() } else { std::ptr::null() },
                    epilogue: Activate {
                        columns,
                        bias: &bias,
                        residual: if with_residual { addend.as_ptr() } else { std::ptr::null() },
                        residual_stride: columns + 2,
                        act,
                        out: if narrow_out {
                            unsafe { half_out.as_mut_ptr().add(2).cast() }
                        } else {
                            unsafe { out.as_mut_ptr().add(2) }
                        },
                        out_stride,
                        out_dtype: dtype(narrow_out),
                    },
                    scratch: scratch.as_mut_ptr(),
                };
                unsafe { gemm_bf16(bf16, &args) };
                let expected = |row: usize, n: usize| {
                    let sum: f64 = (0..k).map(|i| at(row, i) * rounded(weights[i * columns + n])).sum();
                    let residual =
                        if with_residual { f64::from(addend[row * (columns + 2) + n]) } else { 0.0 };
                    exact(sum + f64::from(bias[n]) + residual, act)
                };
                if narrow_out {
                    out = half_out.iter().map(|&half| from_bf16(half)).collect();
                }
                // Long sums round more often.
                let case = format!("{isa} {rows}x{k}x{columns} {act:?}");
                check_within(
                    1e-7 * (200 + 8 * k) as f64 + if narrow_out { 0.004 } else { 0.0 },
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
        // Rows are computed one by one, so that few heights suffice.
        let heights = if cfg!(miri) { 1..4 } else { 1..12 };
        for (height, width) in heights.flat_map(|h| extents().into_iter().map(move |w| (h, w))) {
            case += 1;
            let columns = [1, 7, 8, 16, 24, 32, 40, 48][case % 8];
            let act = ACTIVATIONS[case / 8 % 8];
            let image = values(3 * height * width, 9);
            let weights = values(27 * columns, 10);
            // Half vectors are correct on every processor that has whole ones.
            let half = isa.kind() == IsaKind::Avx512 && case % 3 == 0;
            let lanes = stem::lanes(isa, half);
            let packed = pack(27, columns, lanes, |k, n| weights[k * columns + n]);
            let mut bias = values(columns, 11);
            bias.resize(columns.next_multiple_of(lanes), 0.0);
            let (rows, pixels, out_stride) = (height.div_ceil(2), width.div_ceil(2), columns + 3);
            let mut out = vec![MARK; rows * pixels * out_stride];
            for row in 0..rows {
                let args = stem::Stem {
                    image: image.as_ptr(),
                    size: (height, width),
                    row,
                    half,
                    weights: &packed,
                    columns,
                    bias: &bias,
                    out: unsafe { out.as_mut_ptr().add(row * pixels * out_stride + 1) },
                    out_stride,
                    act,
                };
                unsafe { stem::stem(isa, &args) };
            }
            let expected = |pixel: usize, n: usize| {
                let (y, x) = (pixel / pixels, pixel % pixels);
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

#[test]
fn unpacked_products_equal_their_definition() {
    let mut wrong = Vec::new();
    let mut case = 0;
    for isa in Isa::available() {
        for rows in extents() {
            for columns in extents().into_iter().chain(if cfg!(miri) { 0..0 } else { 47..50 }) {
                case += 1;
                // One of them longer than the part of the depth that is summed at once.
                let k = [1, 3, 8, 17, 40, if cfg!(miri) { 6 } else { 300 }][case % 6];
                let transposed = case % 2 == 0;
                let (lhs_row, rhs_row, out_row) =
                    (if transposed { rows } else { k } + 3, columns + 2, columns + 5);
                let lhs = values(if transposed { k } else { rows } * lhs_row, 1);
                let rhs = values(k * rhs_row, 2);
                let start = values(rows * columns, 3);
                let add = case % 3 > 0;
                let mut out = vec![MARK; rows * out_row];
                for (row, start) in out.chunks_mut(out_row).zip(start.chunks(columns)) {
                    row[2..2 + columns].copy_from_slice(start);
                }
                let left = Matrix::rows(lhs.as_ptr(), lhs_row);
                let left = if transposed { left.transposed() } else { left };
                let result = Matrix::rows(unsafe { out.as_ptr().add(2) }, out_row);
                let result = Matrix { data: unsafe { out.as_mut_ptr().add(2) }, ..result };
                let sums = if add { Sums::Add } else { Sums::Store };
                unsafe {
                    multiply(isa, [rows, columns, k], result, left, Matrix::rows(rhs.as_ptr(), rhs_row), sums)
                };
                let expected = |row: usize, n: usize| {
                    let at = |i: usize| lhs[if transposed { i * lhs_row + row } else { row * lhs_row + i }];
                    let sum: f64 = (0..k).map(|i| f64::from(at(i)) * f64::from(rhs[i * rhs_row + n])).sum();
                    sum + if add { f64::from(start[row * columns + n]) } else { 0.0 }
                };
                let case = format!("{isa} {rows}x{k}x{columns} transposed {transposed} add {add}");
                check_within(
                    1e-7 * (200 + 8 * k) as f64,
                    &case,
                    &out,
                    out_row,
                    (2, columns),
                    expected,
                    &mut wrong,
                );
            }
        }
    }
    report(&wrong);
}
