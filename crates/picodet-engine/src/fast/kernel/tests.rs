//! Every kernel against its definition, on odd sizes and on every instruction set of this processor.
//!
//! Results lie in memory with marks around them, so that a kernel that writes beside its columns is caught.
#![allow(unsafe_code, clippy::undocumented_unsafe_blocks)]

use picodet_graph::Activation;
use picodet_testing::emulated;

use super::depthwise::row_pairs::{RowPairs, fits, pack_row_pairs, row_pairs};
use super::depthwise::{Depthwise, depthwise};
use super::gemm::{Gemm, gemm, pack};
use super::gemm_bf16::{GemmBf16, gemm_bf16, pack_pairs, scratch_len};
use super::lanes::pairs::{from_bf16, to_bf16};
use super::pixelwise::{Kind, Pixelwise, SumCells, pixelwise, sum_cells};
use super::round::{Round, round};
use super::taps::{SumTaps, sum_taps};
use super::{Run, stem, transpose};
use crate::fast::Isa;

const MARK: f32 = 12_288.0;

const ACTIVATIONS: [Option<Activation>; 8] = [
    None,
    Some(Activation::HardSwish),
    Some(Activation::Relu),
    Some(Activation::Relu6),
    Some(Activation::LeakyRelu { slope: 0.01 }),
    Some(Activation::HardSigmoid { slope: 0.1666667 }),
    Some(Activation::HardSigmoid { slope: 0.2 }),
    Some(Activation::Sigmoid),
];

fn exact(x: f64, act: Option<Activation>) -> f64 {
    match act {
        None => x,
        Some(Activation::HardSwish) => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Some(Activation::Relu) => x.max(0.0),
        Some(Activation::Relu6) => x.clamp(0.0, 6.0),
        Some(Activation::LeakyRelu { slope }) => {
            if x < 0.0 {
                x * f64::from(slope)
            } else {
                x
            }
        }
        Some(Activation::HardSigmoid { slope }) => (f64::from(slope) * x + 0.5).clamp(0.0, 1.0),
        Some(Activation::Sigmoid) => 1.0 / (1.0 + (-x).exp()),
    }
}

fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 22) as f32 - 2.0
        })
        .collect()
}

/// The extents tried along each axis: all up to 40, samples where that takes too long.
fn extents() -> Vec<usize> {
    match (cfg!(miri), emulated()) {
        (true, _) => vec![1, 2, 5, 9],
        (_, true) => (1..=40).step_by(3).chain([2, 5, 9, 15, 39]).collect(),
        _ => (1..=40).collect(),
    }
}

/// Compares `out` (cells of `stride`) with `expected(cell, column)` in columns `first..first + columns`, and with
/// marks elsewhere.
fn check(
    case: &str,
    out: &[f32],
    stride: usize,
    columns: (usize, usize),
    expected: impl Fn(usize, usize) -> f64,
    wrong: &mut Vec<String>,
) {
    check_within(2e-5, case, out, stride, columns, expected, wrong);
}

fn check_within(
    tolerance: f64,
    case: &str,
    out: &[f32],
    stride: usize,
    (first, columns): (usize, usize),
    expected: impl Fn(usize, usize) -> f64,
    wrong: &mut Vec<String>,
) {
    for (index, &value) in out.iter().enumerate() {
        let (cell, column) = (index / stride, index % stride);
        let inside = (first..first + columns).contains(&column);
        let expected = if inside { expected(cell, column - first) } else { f64::from(MARK) };
        if (f64::from(value) - expected).abs() > tolerance * (1.0 + expected.abs()) {
            wrong.push(format!("{case}: cell {cell} column {column}: {value} instead of {expected}"));
            return;
        }
    }
}

fn report(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

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
                let narrow = case % 5 < 2;
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
                    let value = if narrow { rounded(value) as f32 } else { value };
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
                let narrow_out = case % 7 < 3;
                let halves: Vec<u16> = a.iter().map(|&value| to_bf16(value)).collect();
                let mut half_out = vec![to_bf16(MARK); out.len()];
                let mut product = product;
                if narrow {
                    product.a = halves.as_ptr().cast();
                }
                if narrow_out {
                    product.out = unsafe { half_out.as_mut_ptr().add(2).cast() };
                }
                let args = GemmBf16 {
                    product,
                    pairs: &pairs,
                    factors: if scaled { factors.as_ptr() } else { std::ptr::null() },
                    narrow,
                    narrow_out,
                    scratch: scratch.as_mut_ptr(),
                };
                unsafe { gemm_bf16(isa, &args) };
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
fn numbers_are_rounded_as_one_by_one() {
    for isa in Isa::available().into_iter().filter(|isa| isa.has_bf16()) {
        for columns in extents() {
            let (cells, source_stride, out_stride) = (3, columns + 2, columns + 5);
            let mut source = numbers(cells * source_stride, 8);
            source[0] = f32::INFINITY;
            source[columns - 1] = f32::NAN;
            let mut out = vec![to_bf16(MARK); cells * out_stride];
            let args = Round {
                source: source.as_ptr(),
                source_stride,
                cells,
                columns,
                out: unsafe { out.as_mut_ptr().add(1) },
                out_stride,
            };
            unsafe { round(isa, &args) };
            for (index, &found) in out.iter().enumerate() {
                let (cell, column) = (index / out_stride, (index % out_stride).wrapping_sub(1));
                let expected = if column < columns { source[cell * source_stride + column] } else { MARK };
                let same = found == to_bf16(expected) || expected.is_nan() && from_bf16(found).is_nan();
                assert!(
                    same,
                    "{isa} {columns} columns: number {index} is {} of {expected}",
                    from_bf16(found)
                );
            }
        }
    }
}

#[test]
fn depthwise_convolutions_equal_their_definition() {
    let mut wrong = Vec::new();
    let mut case = 0;
    let sizes = extents();
    for isa in Isa::available() {
        for (&height, &width) in sizes.iter().flat_map(|h| sizes.iter().map(move |w| (h, w))) {
            for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1), (7, 3)] {
                case += 1;
                // Of large maps two windows each, which differ from map to map.
                let large = height * width > 300;
                if (large && case % 5 > 1) || (cfg!(miri) && (case % 3 > 0 || height > 5)) {
                    continue;
                }
                let channels = if large || cfg!(miri) {
                    [1, 3, 17][case / 6 % 3]
                } else {
                    [1, 3, 9, 16, 21, 40][case % 6]
                };
                let act = ACTIVATIONS[case / 6 % 8];
                let source_stride = channels + 6;
                let source = numbers(height * width * source_stride, 5);
                let zeros = vec![0.0; source_stride];
                let weights = numbers(kernel * kernel * channels, 6);
                let bias = numbers(channels, 7);
                let half = channels / 2;
                let runs = [
                    Run { source: 1, other: 0, destination: 0, len: half },
                    Run { source: half + 4, other: 0, destination: half, len: channels - half },
                ];
                let (rows, out_width) = (height.div_ceil(stride), width.div_ceil(stride));
                let out_stride = channels + 3;
                let mut out = vec![MARK; rows * out_width * out_stride];
                let args = |rows, out: *mut f32| Depthwise {
                    source: source.as_ptr(),
                    source_stride,
                    size: (height, width),
                    out,
                    out_stride,
                    out_width,
                    rows,
                    zeros: zeros.as_ptr(),
                    kernel,
                    stride,
                    runs: &runs,
                    weights: &weights,
                    bias: &bias,
                    act,
                };
                let pointer = unsafe { out.as_mut_ptr().add(2) };
                // In two bands, as two workers would.
                unsafe { depthwise(isa, &args(0..rows / 2, pointer)) };
                unsafe { depthwise(isa, &args(rows / 2..rows, pointer)) };
                // With numbers of 16 bits the definition is that of rounded numbers.
                let expected = |round: fn(f32) -> f32, cell: usize, c: usize| {
                    let (y, x) = (cell / out_width, cell % out_width);
                    let mut sum = f64::from(bias[c]);
                    for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
                        let row = (y * stride + ky).wrapping_sub(kernel / 2);
                        let column = (x * stride + kx).wrapping_sub(kernel / 2);
                        if row < height && column < width {
                            let from = if c < half { c + 1 } else { c + 4 };
                            let value = round(source[(row * width + column) * source_stride + from]);
                            sum += f64::from(value)
                                * f64::from(round(weights[(ky * kernel + kx) * channels + c]));
                        }
                    }
                    exact(sum, act)
                };
                let name = format!("{isa} {kernel}x{kernel}/{stride} on {height}x{width}x{channels} {act:?}");
                let wide = |cell, c| expected(|value| value, cell, c);
                check(&name, &out, out_stride, (2, channels), wide, &mut wrong);
                if !fits(isa, kernel, stride, out_width) {
                    continue;
                }
                let pairs = pack_row_pairs(&runs, kernel, stride, &weights, isa.lanes());
                let halves: Vec<u16> = source.iter().map(|&value| to_bf16(value)).collect();
                let (narrow, narrow_out) = (case % 3 > 0, case % 2 > 0);
                let mut half_out = vec![to_bf16(MARK); out.len()];
                out.fill(MARK);
                for part in [0..rows / 2, rows / 2..rows] {
                    let mut convolution = args(part, unsafe { out.as_mut_ptr().add(2) });
                    if narrow {
                        convolution.source = halves.as_ptr().cast();
                    }
                    if narrow_out {
                        convolution.out = unsafe { half_out.as_mut_ptr().add(2).cast() };
                    }
                    unsafe { row_pairs(isa, &RowPairs { convolution, pairs: &pairs, narrow, narrow_out }) };
                }
                if narrow_out {
                    out = half_out.iter().map(|&half| from_bf16(half)).collect();
                }
                let tolerance = 2e-5 + if narrow_out { 0.004 } else { 0.0 };
                let name = format!("{name} of 16 bits, narrow {narrow} {narrow_out}");
                let rounded = |cell, c| expected(|value| from_bf16(to_bf16(value)), cell, c);
                check_within(tolerance, &name, &out, out_stride, (2, channels), rounded, &mut wrong);
            }
        }
    }
    report(&wrong);
}

#[test]
fn pools_and_resizes_equal_their_definition() {
    let mut wrong = Vec::new();
    for isa in Isa::available() {
        for (height, width) in extents().into_iter().flat_map(|h| extents().into_iter().map(move |w| (h, w)))
        {
            let channels = 1 + (height * 7 + width) % if height * width > 300 { 19 } else { 37 };
            let source = numbers(height * width * channels, 8);
            let at = |y: usize, x: usize, c: usize| f64::from(source[(y * width + x) * channels + c]);
            let runs = [Run { source: 0, other: 0, destination: 1, len: channels }];
            let out_stride = channels + 2;
            let go = |kind, (rows, out_width): (usize, usize)| {
                let mut out = vec![MARK; rows * out_width * out_stride];
                let args = Pixelwise {
                    kind,
                    source: source.as_ptr(),
                    source_stride: channels,
                    size: (height, width),
                    other: std::ptr::null(),
                    other_stride: 0,
                    out: out.as_mut_ptr(),
                    out_stride,
                    out_width,
                    rows: 0..rows,
                    runs: &runs,
                };
                unsafe { pixelwise(isa, &args) };
                out
            };
            let case = format!("{isa} {height}x{width}x{channels}");
            let pooled = go(Kind::MaxPool, (height.div_ceil(2), width.div_ceil(2)));
            let largest = |cell: usize, c: usize| {
                let (y, x) = (2 * (cell / width.div_ceil(2)), 2 * (cell % width.div_ceil(2)));
                let rows = y.saturating_sub(1)..(y + 2).min(height);
                let cells = rows.flat_map(|y| (x.saturating_sub(1)..(x + 2).min(width)).map(move |x| (y, x)));
                cells.map(|(y, x)| at(y, x, c)).fold(f64::NEG_INFINITY, f64::max)
            };
            check(&format!("max pool {case}"), &pooled, out_stride, (1, channels), largest, &mut wrong);
            let larger = go(Kind::Upsample, (2 * height, 2 * width));
            let nearest = |cell: usize, c: usize| at(cell / (2 * width) / 2, cell % (2 * width) / 2, c);
            check(&format!("upsample {case}"), &larger, out_stride, (1, channels), nearest, &mut wrong);
            let mut sums = vec![MARK; channels + 2];
            let args = SumCells {
                source: source.as_ptr(),
                source_stride: channels,
                narrow: false,
                cells: height * width,
                runs: &runs,
                out: sums.as_mut_ptr(),
            };
            unsafe { sum_cells(isa, &args) };
            let halves: Vec<u16> = source.iter().map(|&value| to_bf16(value)).collect();
            let rounded: Vec<f32> = halves.iter().map(|&half| from_bf16(half)).collect();
            let [mut found, mut expected] = [vec![MARK; channels + 2], vec![MARK; channels + 2]];
            let out = found.as_mut_ptr();
            let narrow = SumCells { source: halves.as_ptr().cast(), narrow: true, out, ..args };
            unsafe { sum_cells(isa, &narrow) };
            let args = SumCells { source: rounded.as_ptr(), out: expected.as_mut_ptr(), ..args };
            unsafe { sum_cells(isa, &args) };
            if found != expected {
                wrong.push(format!("sum of 16 bits {case}"));
            }
            // Means, so that rounding is of the size of the values.
            sums[1..=channels].iter_mut().for_each(|sum| *sum /= (height * width) as f32);
            let mean = |_: usize, c: usize| {
                let sum: f64 = (0..height * width).map(|cell| at(cell / width, cell % width, c)).sum();
                sum / (height * width) as f64
            };
            check(&format!("sum {case}"), &sums, channels + 2, (1, channels), mean, &mut wrong);
            // Backwards, and in whole runs with a gap.
            let columns: Vec<usize> = match height % 2 {
                0 => (0..channels).rev().collect(),
                _ => (0..channels).map(|c| (c + channels / 3) % channels).collect(),
            };
            let (cells, plane) = (height * width, height * width + 3);
            let mut planes = vec![MARK; channels * plane];
            let act = ACTIVATIONS[width % 8];
            let args = transpose::ToPlanes {
                source: source.as_ptr(),
                stride: channels,
                columns: &columns,
                cells,
                out: planes.as_mut_ptr(),
                plane,
                act,
            };
            unsafe { transpose::to_planes(isa, &args) };
            let plain = |c: usize, cell: usize| exact(at(cell / width, cell % width, columns[c]), act);
            check(&format!("planes {case} {act:?}"), &planes, plane, (0, cells), plain, &mut wrong);
            let args = transpose::ToPlanes { act: None, ..args };
            unsafe { transpose::to_planes(isa, &args) };
            let mut back = vec![0.0; source.len()];
            unsafe {
                transpose::from_planes(planes.as_ptr(), plane, &columns, cells, back.as_mut_ptr(), channels);
            }
            if back != source {
                wrong.push(format!("planes and back {case}"));
            }
        }
    }
    report(&wrong);
}

#[test]
fn activations_equal_their_definition_and_keep_nan() {
    let mut wrong = Vec::new();
    let values: Vec<f32> =
        (-4000..=4000).step_by(if cfg!(miri) { 100 } else { 1 }).map(|i| i as f32 / 40.0).collect();
    let hostile = [f32::NAN, 1e30, -1e30, 3.0, -3.0, 0.0, -0.0];
    let source: Vec<f32> = values.iter().copied().chain(hostile).collect();
    let runs = [Run { source: 0, other: 0, destination: 0, len: source.len() }];
    for isa in Isa::available() {
        for act in ACTIVATIONS {
            let mut out = vec![0.0; source.len()];
            let args = Pixelwise {
                kind: Kind::Activate(act),
                source: source.as_ptr(),
                source_stride: source.len(),
                size: (1, 1),
                other: std::ptr::null(),
                other_stride: 0,
                out: out.as_mut_ptr(),
                out_stride: source.len(),
                out_width: 1,
                rows: 0..1,
                runs: &runs,
            };
            unsafe { pixelwise(isa, &args) };
            for (&x, &y) in source.iter().zip(&out) {
                let expected = exact(f64::from(x), act);
                // Relative, and absolute near zero; the exponential is clipped where sigmoid is below 1e-37.
                let scale = expected.abs() + if x.abs() < 1e3 { 1.0 } else { 1e-30 };
                let close = (f64::from(y) - expected).abs() <= 4e-7 * scale;
                if x.is_nan() != y.is_nan() || (!x.is_nan() && !close) {
                    wrong.push(format!("{isa} {act:?} of {x}: {y} instead of {expected}"));
                }
            }
        }
    }
    report(&wrong);
}

#[test]
fn a_pool_keeps_nan() {
    let mut wrong = Vec::new();
    for isa in Isa::available() {
        for place in 0..9 {
            let mut source = [1.0f32; 9 * 5];
            source[place * 5 + 3] = f32::NAN;
            let runs = [Run { source: 0, other: 0, destination: 0, len: 5 }];
            let mut out = vec![0.0; 4 * 5];
            let args = Pixelwise {
                kind: Kind::MaxPool,
                source: source.as_ptr(),
                source_stride: 5,
                size: (3, 3),
                other: std::ptr::null(),
                other_stride: 0,
                out: out.as_mut_ptr(),
                out_stride: 5,
                out_width: 2,
                rows: 0..2,
                runs: &runs,
            };
            unsafe { pixelwise(isa, &args) };
            for (cell, values) in out.chunks(5).enumerate() {
                let (y, x) = (2 * (cell / 2), 2 * (cell % 2));
                let reads = (place / 3).abs_diff(y) <= 1 && (place % 3).abs_diff(x) <= 1;
                if values[3].is_nan() != reads || values[2].is_nan() {
                    wrong.push(format!("{isa} NaN at {place}, cell {cell}: {values:?}"));
                }
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
