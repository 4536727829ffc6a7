//! The time of a network on a phone, predicted from the rates of the inner loops.

use anyhow::{Context, Result};
use picodet_graph::Op;

use super::rate::{Precision, Rate, Role};
use super::simulate::Core;

/// Multiply-accumulates of a network by convolution.
struct Work {
    role: Role,
    macs: f64,
}

/// Clocks of a Snapdragon 865 in GHz: its fastest Cortex-A77, and the slowest of the four.
const CLOCKS: [(usize, f64); 2] = [(1, 2.84), (4, 2.42)];

/// Prints the prediction for S 320.
pub(super) fn print(rates: &[Rate]) -> Result<()> {
    let work = work("legacy_s_320", (320, 320))?;
    let total: f64 = work.iter().map(|part| part.macs).sum();
    println!(
        "\nPrediction, not a measurement: S 320 ({:.0} MMAC of convolutions) on a Snapdragon 865, whose Cortex-A77 has the",
        total / 1e6
    );
    println!(
        "pipes of Neoverse N1. Inner loops alone; what is between them (activations, stores, squeeze-excite, pools, waiting for"
    );
    println!(
        "memory and for other threads) comes on top. Four threads share the rows equally, at the clock of the slowest core.\n"
    );
    println!("| products | threads | at least | at the limit of the core |");
    println!("| --- | --- | --- | --- |");
    for precision in [Precision::F32, Precision::F16, Precision::Int8] {
        for (threads, clock) in CLOCKS {
            let cycles: f64 = work.iter().map(|part| part.macs / rate(rates, precision, part.role)).sum();
            let milliseconds = |cycles: f64| cycles / (threads as f64 * clock * 1e6);
            let limit = milliseconds(total / (precision.lanes() * Core::NeoverseN1.products_per_cycle()));
            println!("| {precision:?} | {threads} | {:.1} ms | {limit:.1} ms |", milliseconds(cycles));
        }
    }
    Ok(())
}

/// Multiply-accumulates a cycle on Neoverse N1; the stem is f32 in f16, and a product of windows in int8.
fn rate(rates: &[Rate], precision: Precision, role: Role) -> f64 {
    let (precision, loops) = match (precision, role) {
        (Precision::Int8, Role::Stem) => (precision, Role::Pointwise),
        (_, Role::Stem) => (Precision::F32, role),
        _ => (precision, role),
    };
    let of = |role: Role| {
        let found =
            rates.iter().find(|rate| rate.core == Core::NeoverseN1 && rate.role == Some((precision, role)));
        found.map(|rate| rate.per_cycle)
    };
    // A loop that has not been found counts as the matrix product.
    of(loops).or_else(|| of(Role::Pointwise)).unwrap_or(1.0) * used(precision, role)
}

/// The part of the products whose weights are not zero: the dot product instructions multiply four bytes, which are rows of a
/// window or the colours of a pixel.
fn used(precision: Precision, role: Role) -> f64 {
    match (precision, role) {
        (Precision::Int8, Role::Depthwise(kernel, _)) => kernel as f64 / kernel.next_multiple_of(4) as f64,
        (Precision::Int8, Role::Stem) => 3.0 / 4.0,
        _ => 1.0,
    }
}

/// Sums the convolutions of a network.
fn work(name: &str, size: (usize, usize)) -> Result<Vec<Work>> {
    let variant = picodet_zoo::variant(name).with_context(|| format!("{name} is a published network"))?;
    let graph = variant.architecture.graph(variant.classes.len());
    let mut parts: Vec<Work> = Vec::new();
    for node in &graph.nodes {
        let Op::Convolution(convolution) = node.op else { continue };
        let [in_channels, _, _] = graph.node(node.inputs[0]).shape.resolve(size);
        let [channels, height, width] = node.shape.resolve(size);
        let role = if convolution.is_depthwise(in_channels) {
            Role::Depthwise(convolution.kernel, convolution.stride)
        } else if in_channels == 3 {
            Role::Stem
        } else {
            Role::Pointwise
        };
        let depth = in_channels / convolution.groups * convolution.kernel * convolution.kernel;
        let macs = (channels * height * width * depth) as f64;
        match parts.iter_mut().find(|part| part.role == role) {
            Some(part) => part.macs += macs,
            None => parts.push(Work { role, macs }),
        }
    }
    Ok(parts)
}
