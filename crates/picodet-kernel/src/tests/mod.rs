//! Every kernel against its definition, on odd sizes and on every instruction set of this processor.
//!
//! Results are surrounded by marks, so that a kernel that writes outside of its columns is caught.
#![allow(unsafe_code, clippy::undocumented_unsafe_blocks)]

use picodet_graph::Activation;
use picodet_testing::{Noise, emulated};

mod depthwise;
mod f16;
mod focal;
mod gemm;
mod int8;
mod maps;
mod pool;

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

/// The taps of a window at a pixel of a result of `out_width` columns: the index of each, and the pixel of a source of `size`
/// that it reads, `None` outside.
fn taps(
    pixel: usize,
    out_width: usize,
    size: (usize, usize),
    kernel: usize,
    stride: usize,
) -> impl Iterator<Item = (usize, Option<usize>)> {
    let inside = move |place: usize, offset: usize, extent: usize| {
        (place * stride + offset).checked_sub(kernel / 2).filter(|&place| place < extent)
    };
    (0..kernel * kernel).map(move |tap| {
        let row = inside(pixel / out_width, tap / kernel, size.0);
        let column = inside(pixel % out_width, tap % kernel, size.1);
        (tap, row.zip(column).map(|(row, column)| row * size.1 + column))
    })
}

fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut noise = Noise::new(seed.into());
    (0..len).map(|_| noise.uniform(-2.0, 2.0)).collect()
}

/// The extents tested along each axis: all up to 40, samples where that takes too long.
fn extents() -> Vec<usize> {
    match (cfg!(miri), emulated()) {
        (true, _) => vec![1, 2, 5, 9],
        (_, true) => (1..=40).step_by(3).chain([2, 5, 9, 15, 39]).collect(),
        _ => (1..=40).collect(),
    }
}

/// Compares `out` (pixels of `stride`) with `expected(cell, column)` in columns `first..first + columns`, and
/// with marks elsewhere.
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
        let (pixel, column) = (index / stride, index % stride);
        let inside = (first..first + columns).contains(&column);
        let expected = if inside { expected(pixel, column - first) } else { f64::from(MARK) };
        if (f64::from(value) - expected).abs() > tolerance * (1.0 + expected.abs()) {
            wrong.push(format!("{case}: pixel {pixel} column {column}: {value} instead of {expected}"));
            return;
        }
    }
}

fn report(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}
