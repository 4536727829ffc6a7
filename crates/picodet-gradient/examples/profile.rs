//! Lists where forward and backward of a network spend their time, by kind of step:
//! `cargo run --release -p picodet-gradient --example profile -- VARIANT BATCH SIZE THREADS ITERATIONS`.
//!
//! `cargo bench -p picodet-train` measures whole training steps.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::error::Error;

use picodet_gradient::{StepTime, Tape};
use picodet_graph::{Graph, Initialiser, Tensor, Tensor4, Weights, pass};
use picodet_testing::Noise;
use picodet_zoo::Head;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: profile VARIANT BATCH SIZE THREADS ITERATIONS";
    let [name, numbers @ ..] = arguments.as_slice() else { return Err(usage.into()) };
    let numbers: Vec<usize> = numbers.iter().filter_map(|number| number.parse().ok()).collect();
    let [batch, size, threads, iterations] = numbers[..] else { return Err(usage.into()) };
    let variant = picodet_zoo::variant(name).ok_or_else(|| format!("unknown variant `{name}`"))?;
    let graph = pass::keep_outputs(&variant.architecture.graph(80), Head::is_training_output);
    let mut noise = Noise::new(1);
    let weights = initial_weights(&graph, &mut noise);
    let shape = [batch, 3, size, size];
    let images: Vec<f32> = (0..shape.iter().product()).map(|_| noise.normal()).collect();
    let mut tape = Tape::new(&graph, threads)?;
    tape.forward(&weights, shape, &images)?;
    let outputs = graph.outputs.iter().map(|output| output.name.clone());
    let gradients: Vec<(String, Tensor4)> = outputs
        .filter_map(|name| {
            Some((name.clone(), tape.output(&name)?.to_tensor().map(|_| 0.01 * noise.normal())))
        })
        .collect();
    let mut shortest: Option<Vec<StepTime>> = None;
    // The first iteration places the buffers.
    for iteration in 0..=iterations.max(1) {
        tape.forward(&weights, shape, &images)?;
        tape.backward(&gradients)?;
        if iteration == 0 {
            continue;
        }
        let shortest = shortest.get_or_insert_with(|| tape.times().to_vec());
        for (shortest, time) in shortest.iter_mut().zip(tape.times()) {
            shortest.forward = shortest.forward.min(time.forward);
            shortest.backward = shortest.backward.min(time.backward);
        }
    }
    println!("{:20} {:>8} {:>8}  (shortest wall time, ms)", "kind", "forward", "backward");
    for (kind, [forward, backward]) in by_kind(&shortest.unwrap_or_default()) {
        println!("{kind:20} {forward:8.2} {backward:8.2}");
    }
    println!("maps: {} MiB", tape.memory(shape)? >> 20);
    Ok(())
}

/// Milliseconds of forward and backward of each kind of step, the longest first, then their sums.
fn by_kind(times: &[StepTime]) -> Vec<(&str, [f64; 2])> {
    let mut kinds: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
    let mut total = [0.0; 2];
    for time in times {
        let sums = kinds.entry(time.kind).or_default();
        for (index, duration) in [time.forward, time.backward].into_iter().enumerate() {
            sums[index] += duration.as_secs_f64() * 1e3;
            total[index] += duration.as_secs_f64() * 1e3;
        }
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by(|a, b| b.1.iter().sum::<f64>().total_cmp(&a.1.iter().sum()));
    kinds.push(("all", total));
    kinds
}

/// Weights with which training starts.
fn initial_weights(graph: &Graph, noise: &mut Noise) -> Weights {
    let tensor = |param: &picodet_graph::Param| {
        let value = |_| match param.initialiser {
            Initialiser::Constant(value) => value,
            Initialiser::Normal { std } => std * noise.normal(),
            Initialiser::Uniform { limit } => noise.uniform(-limit, limit),
        };
        (
            param.name.clone(),
            Tensor { shape: param.shape.clone(), data: (0..param.len()).map(value).collect() },
        )
    };
    graph.params.iter().map(tensor).collect()
}
