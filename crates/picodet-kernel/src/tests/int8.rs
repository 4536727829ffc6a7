//! Products, depthwise convolutions and elementwise functions of bytes, which must equal their definition exactly.

use picodet_graph::{Activation, DType};
use picodet_simd::{Int8Isa, Isa, Portable, Simd, Vector, sigmoid};
use picodet_testing::Noise;

use super::{ACTIVATIONS, extents, report, taps};
use crate::ChannelRange;
use crate::depthwise::int8::{DepthwiseInt8, depthwise_int8, pack_depthwise_columns, pack_depthwise_int8};
use crate::gemm::{GemmInt8, Requantise, gemm_column_int8, gemm_int8, pack_column_int8, pack_int8};
use crate::quantised::{ByteKind, Bytes, Column, Gate, Operand, bytes, gate, pack_columns};

/// A byte that no kernel writes between the columns of the result.
const MARK: u8 = 77;

/// Pseudo-random bytes, among them many extremes.
fn random_bytes(len: usize, seed: u32) -> Vec<u8> {
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

fn weights(len: usize, seed: u32) -> Vec<i8> {
    random_bytes(len, seed).into_iter().map(|byte| byte.cast_signed().max(-127)).collect()
}

/// The instruction sets of this processor.
fn sets() -> impl Iterator<Item = Int8Isa> {
    Isa::available().into_iter().flat_map(Isa::int8_available)
}

/// Constants such that sums of `k` products spread over all bytes.
fn random_columns(count: usize, k: usize, act: Option<Activation>) -> Vec<Column> {
    let column = |n: usize| {
        let out = [0.02, 1.0 / 255.0, 0.3][n % 3];
        Column {
            start: n as i32 * 1000 - 9000,
            scale: (1 + n % 5) as f32 / (k as f32 * 3000.0),
            bias: n as f32 * 0.01 - 0.1,
            factor: if act == Some(Activation::HardSwish) { 1.0 / (6.0 * out) } else { 1.0 / out },
            zero: [0.0, 128.0, 19.0, 255.0][n % 4],
        }
    };
    (0..count).map(column).collect()
}

fn scalar_activation(x: f32, act: Option<Activation>) -> f32 {
    match act {
        None => x,
        Some(Activation::HardSwish) => x * (x.clamp(-3.0, 3.0) + 3.0) / 6.0,
        Some(Activation::Relu) => x.max(0.0),
        Some(Activation::Relu6) => x.clamp(0.0, 6.0),
        Some(Activation::LeakyRelu { slope }) if x < 0.0 => x * slope,
        Some(Activation::LeakyRelu { .. }) => x,
        Some(Activation::HardSigmoid { slope }) => x.mul_add(slope, 0.5).clamp(0.0, 1.0),
        Some(Activation::Sigmoid) => sigmoid(Portable.splat(x)).to_array()[0],
    }
}

/// The byte of a value before the activation.
fn requantised(x: f32, act: Option<Activation>, factor: f32, zero: f32) -> u8 {
    let value = if act == Some(Activation::HardSwish) {
        x.mul_add(x.clamp(-3.0, 3.0).mul_add(factor, 3.0 * factor), zero)
    } else {
        scalar_activation(x, act).mul_add(factor, zero)
    };
    value.round_ties_even() as u8
}

fn real(sum: i32, column: &Column) -> f32 {
    ((column.start + sum) as f32).mul_add(column.scale, column.bias)
}

#[test]
fn byte_products_equal_their_definition() {
    let mut wrong = Vec::new();
    let mut case = 0;
    for int8 in sets() {
        for rows in extents() {
            let wide = if cfg!(miri) { 0..0 } else { 3..7 };
            for columns in extents().into_iter().chain(wide.map(|vectors| 16 * vectors)) {
                case += 1;
                let quads: usize = [1, 2, 5, 10, 11, if cfg!(miri) { 3 } else { 200 }][case % 6];
                let act = if case % 3 == 0 { ACTIVATIONS[case / 3 % 8] } else { ACTIVATIONS[case % 2] };
                // Two ranges with a gap.
                let first = quads.div_ceil(2);
                let ranges = [(1, first), (first + 2, quads - first)];
                let a_stride = quads + 3;
                let a = random_bytes(4 * rows * a_stride, 1);
                let quad = |i: usize| if i / 4 < first { i + 4 } else { i + 8 };
                let at = |row: usize, i: usize| i32::from(a[4 * row * a_stride + quad(i)]);
                let k = 4 * quads;
                let weights = weights(k * columns, 2);
                let b = pack_int8(int8, k, columns, |i, n| weights[i * columns + n]);
                let constants = random_columns(columns, k, act);
                let packed = pack_columns(&constants, int8.lanes());
                let (out_stride, padded) = (columns + 3, columns.next_multiple_of(16));
                let other = random_bytes(rows * columns, 3);
                let (scale, zero) = (vec![0.013; padded], vec![131.0; padded]);
                let operand = Operand { map: other.as_ptr(), stride: columns, scale: &scale, zero: &zero };
                let residual = (case % 5 == 0).then_some(operand);
                let is_float = case % 4 == 1;
                let a_quads: Vec<u32> =
                    a.as_chunks().0.iter().map(|&quad| u32::from_le_bytes(quad)).collect();
                let mut out = vec![f32::from_le_bytes([MARK; 4]); rows * out_stride];
                let args = GemmInt8 {
                    a: a_quads.as_ptr(),
                    a_stride,
                    ranges: &ranges,
                    rows,
                    b: &b,
                    epilogue: Requantise {
                        columns,
                        constants: &packed,
                        residual,
                        act,
                        out: unsafe { out.as_mut_ptr().cast::<u8>().add(if is_float { 4 } else { 1 }) },
                        out_stride,
                        out_dtype: if is_float { DType::F32 } else { DType::U8 },
                    },
                };
                unsafe { gemm_int8(int8, &args) };
                let bytes: Vec<u8> = out.iter().flat_map(|value| value.to_le_bytes()).collect();
                for row in 0..rows {
                    for n in 0..out_stride {
                        let at_out = row * out_stride + n;
                        let column = n.wrapping_sub(1);
                        let x = constants.get(column).map(|constants| {
                            let sum: i32 =
                                (0..k).map(|i| at(row, i) * i32::from(weights[i * columns + column])).sum();
                            let x = real(sum, constants);
                            let added = f32::from(other[row * columns + column]) - 131.0;
                            (if residual.is_some() { added.mul_add(0.013, x) } else { x }, constants)
                        });
                        let (found, expected) = if is_float {
                            let mark = f32::from_le_bytes([MARK; 4]);
                            let expected = x.map_or(mark, |(x, _)| scalar_activation(x, act));
                            (out[at_out].to_bits(), expected.to_bits())
                        } else {
                            let expected =
                                x.map_or(MARK, |(x, column)| requantised(x, act, column.factor, column.zero));
                            (bytes[at_out].into(), expected.into())
                        };
                        if found != expected && !(is_float && found << 1 == 0 && expected << 1 == 0) {
                            wrong.push(format!(
                                "{int8:?} {rows}x{k}x{columns} {act:?} row {row} column {n}: {found} not {expected}"
                            ));
                        }
                    }
                }
            }
        }
    }
    report(&wrong);
}

#[test]
fn byte_products_of_one_column_equal_those_of_a_panel() {
    for int8 in sets() {
        for (case, rows) in extents().into_iter().enumerate() {
            let quads = [1, 3, 16, 29, 120][case % 5];
            let ranges = [(0, quads), (quads + 2, 2 * quads)];
            let a_stride = 3 * quads + 2;
            let a_len = rows * a_stride + 16;
            let a: Vec<u32> = random_bytes(4 * a_len, 4)
                .as_chunks()
                .0
                .iter()
                .map(|&quad| u32::from_le_bytes(quad))
                .collect();
            let k = 12 * quads;
            let weights = weights(k, 9);
            let constants = pack_columns(&random_columns(1, k, None), int8.lanes());
            let columns =
                [pack_int8(int8, k, 1, |i, _| weights[i]), pack_column_int8(int8, &ranges, |i| weights[i])];
            let results = [0, 1].map(|column| {
                let mut out = vec![0.0f32; rows];
                let epilogue = Requantise {
                    columns: 1,
                    constants: &constants,
                    residual: None,
                    act: None,
                    out: out.as_mut_ptr().cast(),
                    out_stride: 1,
                    out_dtype: DType::F32,
                };
                let b = &columns[column];
                let args = GemmInt8 { a: a.as_ptr(), a_stride, ranges: &ranges, rows, b, epilogue };
                unsafe { if column == 0 { gemm_int8(int8, &args) } else { gemm_column_int8(int8, &args) } }
                out
            });
            assert_eq!(results[0], results[1], "{int8:?} {rows} rows of {quads} and {} quads", 2 * quads);
        }
    }
}

#[test]
fn depthwise_of_bytes_equals_its_definition() {
    let mut wrong = Vec::new();
    let mut case = 0;
    for int8 in sets() {
        for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2)] {
            for width in extents().into_iter().chain([93]) {
                case += 1;
                let height = [1, 2, 7, 12, 5][case % 5];
                let act = ACTIVATIONS[[0, 1, 1, case % 8][case % 4]];
                // Whole vectors and parts of them.
                let lengths = [(16, 5), (3, 5), (33, 5), (40, 5), (64, 16), (16, 16), (32, 0)];
                let (len, last) = lengths[case % lengths.len()];
                let ranges = [
                    ChannelRange { source: 2, other: 0, destination: 0, len },
                    ChannelRange { source: 69, other: 0, destination: len, len: last },
                ];
                let channels = len + last;
                let source_stride = 87;
                let map = random_bytes(height * width * source_stride, case as u32);
                let weights = weights(channels * kernel * kernel, 5);
                let zeros = random_bytes(channels, 6);
                let constants = random_columns(channels, kernel * kernel, act);
                let (out_height, out_width) = (height.div_ceil(stride), width.div_ceil(stride));
                let rows = if out_height > 3 { 1..out_height - 1 } else { 0..out_height };
                let out_stride = channels + 3;
                let mut out = vec![MARK; out_height * out_width * out_stride];
                let args = DepthwiseInt8 {
                    source: map.as_ptr(),
                    source_stride,
                    size: (height, width),
                    out: unsafe { out.as_mut_ptr().add(1) },
                    out_stride,
                    out_width,
                    rows: rows.clone(),
                    kernel,
                    stride,
                    ranges: &ranges,
                    weights: &pack_depthwise_int8(int8, &ranges, kernel, stride, &weights),
                    constants: &pack_depthwise_columns(int8, &ranges, &constants),
                    zeros: &zeros,
                    act,
                };
                unsafe { depthwise_int8(int8, &args) };
                let expected = |pixel: usize, channel: usize| {
                    let range = &ranges[usize::from(channel >= ranges[1].destination)];
                    let column = range.source + channel - range.destination;
                    let mut sum = 0;
                    for (tap, from) in taps(pixel, out_width, (height, width), kernel, stride) {
                        let value = from.map_or(zeros[channel], |from| map[from * source_stride + column]);
                        sum += i32::from(value) * i32::from(weights[channel * kernel * kernel + tap]);
                    }
                    let constants = &constants[channel];
                    requantised(real(sum, constants), act, constants.factor, constants.zero)
                };
                for (index, &found) in out.iter().enumerate() {
                    let (pixel, channel) = (index / out_stride, (index % out_stride).wrapping_sub(1));
                    let (y, x) = (pixel / out_width, pixel % out_width);
                    let is_result = channel < channels && rows.contains(&y);
                    let expected = if is_result { expected(pixel, channel) } else { MARK };
                    if found != expected {
                        wrong.push(format!(
                            "{int8:?} {kernel}/{stride} {height}x{width} {act:?} at {y},{x},{channel}: {found} not {expected}"
                        ));
                        break;
                    }
                }
            }
        }
    }
    report(&wrong);
}

#[test]
fn elementwise_functions_of_bytes_equal_their_definition() {
    let mut wrong = Vec::new();
    let (pixels, channels) = (9, 37);
    let constant = |seed: f32| -> Vec<f32> { (0..channels).map(|c| seed + c as f32 * 0.01).collect() };
    let (scale, factor, factors) = (constant(0.02), constant(3.0), constant(0.4));
    let zeros = |first: usize| -> Vec<f32> { (first..first + channels).map(|zero| zero as f32).collect() };
    let (source, second) = (random_bytes(pixels * 60, 1), random_bytes(pixels * 60, 2));
    let operand = |map: &[u8], zero| Operand { map: map[2..].as_ptr(), stride: 60, scale: &scale, zero };
    let (zero, other_zero, out_zero) = (zeros(5), zeros(90), zeros(200));
    let ranges = [
        ChannelRange { source: 1, other: 0, destination: 0, len: 20 },
        ChannelRange { source: 30, other: 20, destination: 20, len: 17 },
    ];
    for isa in sets() {
        for act in ACTIVATIONS {
            let kinds = [
                ByteKind::Dequantise,
                ByteKind::Scale { factors: factors.as_ptr() },
                ByteKind::Add { other: operand(&second, &other_zero), act, factor: &factor },
            ];
            for kind in kinds {
                let mut out = vec![0.0f32; pixels * channels];
                let args = Bytes {
                    kind,
                    source: operand(&source, &zero),
                    out: out.as_mut_ptr().cast(),
                    out_stride: channels,
                    pixels,
                    ranges: &ranges,
                    out_zero: &out_zero,
                };
                unsafe { bytes(isa, &args) };
                let stored: Vec<u8> = out.iter().flat_map(|value| value.to_le_bytes()).collect();
                for (pixel, c) in (0..pixels).flat_map(|pixel| (0..channels).map(move |c| (pixel, c))) {
                    let column = if c < 20 { c + 1 } else { c + 10 };
                    let q = f32::from(source[60 * pixel + 2 + column]) - zero[c];
                    let at = pixel * channels + c;
                    let (found, expected) = match kind {
                        ByteKind::Dequantise => (out[at], q * scale[c]),
                        // It has its own test.
                        ByteKind::Quantise => continue,
                        ByteKind::Scale { .. } => {
                            let value = q.mul_add(factors[c] * scale[c], out_zero[c]);
                            (stored[at].into(), (value.round_ties_even() as u8).into())
                        }
                        ByteKind::Add { .. } => {
                            let second = f32::from(second[60 * pixel + 2 + c]) - other_zero[c];
                            let sum = second.mul_add(scale[c], q * scale[c]);
                            (stored[at].into(), requantised(sum, act, factor[c], out_zero[c]).into())
                        }
                    };
                    if found != expected {
                        wrong.push(format!(
                            "{isa:?} {kind:?} pixel {pixel} column {c}: {found} not {expected}"
                        ));
                    }
                }
            }
        }
    }
    report(&wrong);
}

#[test]
fn floats_become_bytes_by_their_definition() {
    let mut wrong = Vec::new();
    let (pixels, channels, stride) = (3, 37, 60);
    let mut noise = Noise::new(3);
    let source: Vec<f32> = (0..pixels * stride).map(|_| (noise.unit() as f32 - 0.5) * 300.0).collect();
    let scale: Vec<f32> = (0..channels).map(|c| 0.5 + c as f32 * 0.03).collect();
    let zero: Vec<f32> = (0..channels).map(|c| (7 * c % 256) as f32).collect();
    let ranges = [
        ChannelRange { source: 1, other: 0, destination: 0, len: 20 },
        ChannelRange { source: 30, other: 20, destination: 20, len: 17 },
    ];
    for int8 in sets() {
        let mut out = vec![0u8; pixels * channels];
        let args = Bytes {
            kind: ByteKind::Quantise,
            source: Operand { map: source.as_ptr().cast(), stride, scale: &scale, zero: &zero },
            out: out.as_mut_ptr(),
            out_stride: channels,
            pixels,
            ranges: &ranges,
            out_zero: &zero,
        };
        unsafe { bytes(int8, &args) };
        for (at, &found) in out.iter().enumerate() {
            let (pixel, c) = (at / channels, at % channels);
            let x = source[stride * pixel + if c < 20 { c + 1 } else { c + 10 }];
            let expected = x.mul_add(scale[c], zero[c]).round_ties_even() as u8;
            if found != expected {
                wrong.push(format!("{int8:?} pixel {pixel} column {c}: {found} not {expected}"));
            }
        }
    }
    report(&wrong);
}

#[test]
fn gates_add_products_in_order() {
    let mut wrong = Vec::new();
    for isa in Isa::available() {
        for (case, columns) in extents().into_iter().chain([80, 128]).enumerate() {
            let (inputs, act) = (1 + case % 13, ACTIVATIONS[case % 8]);
            let padded = columns.next_multiple_of(16);
            let mut noise = Noise::new(case as u64);
            let mut values =
                |len: usize| -> Vec<f32> { (0..len).map(|_| noise.uniform(-2.0, 2.0)).collect() };
            let (source, weights, bias) = (values(inputs), values(inputs * padded), values(padded));
            let mut out = vec![-77.0; columns + 1];
            let args = Gate {
                source: source.as_ptr(),
                weights: &weights,
                bias: &bias,
                columns,
                act,
                out: out.as_mut_ptr(),
            };
            unsafe { gate(isa, &args) };
            for n in 0..=columns {
                let sum = (0..inputs).fold(bias.get(n).copied().unwrap_or_default(), |sum, k| {
                    source[k].mul_add(weights[k * padded + n.min(padded - 1)], sum)
                });
                let expected = if n < columns { scalar_activation(sum, act) } else { -77.0 };
                if out[n] != expected {
                    wrong.push(format!(
                        "{isa} {inputs} to {columns} column {n} {act:?}: {} not {expected}",
                        out[n]
                    ));
                }
            }
        }
    }
    report(&wrong);
}
