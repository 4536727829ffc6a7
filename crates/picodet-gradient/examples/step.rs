//! Times forward and backward of a network:
//! `step VARIANT BATCH SIZE THREADS ITERATIONS [--profile]`.
#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use picodet_gradient::Tape;
use picodet_graph::{Graph, Initialiser, Tensor, Weights, pass};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, numbers @ ..] = arguments.as_slice() else {
        return Err("step VARIANT BATCH SIZE THREADS ITERATIONS [--profile]".into());
    };
    let profile = numbers.iter().any(|argument| argument == "--profile");
    let numbers: Vec<usize> = numbers.iter().filter_map(|number| number.parse().ok()).collect();
    let [batch, size, threads, iterations] = numbers[..] else {
        return Err("four numbers are needed: batch, size, threads, iterations".into());
    };
    let variant = picodet_zoo::variant(name).ok_or("no such variant")?;
    let graph = pass::keep_outputs(&variant.architecture.graph(80), |name| {
        ["cls_logit.", "reg.", "align_logit."].iter().any(|kind| name.starts_with(kind))
    });
    let weights = start(&graph);
    let mut noise = Noise(1);
    let shape = [batch, 3, size, size];
    let image: Vec<f32> = (0..batch * 3 * size * size).map(|_| noise.normal()).collect();
    let mut tape = Tape::new(&graph, threads)?;
    tape.forward(&weights, shape, &image)?;
    let gradients: Vec<(String, Vec<f32>)> = graph
        .outputs
        .iter()
        .filter_map(|output| Some((output.name.clone(), tape.output(&output.name)?.1)))
        .map(|(name, values)| (name, values.iter().map(|_| noise.normal() * 0.01).collect()))
        .collect();
    tape.backward(&gradients)?;
    tape.reset_times();
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    for _ in 0..iterations.max(1) {
        let started = Instant::now();
        tape.forward(&weights, shape, &image)?;
        forward.push(started.elapsed());
        let started = Instant::now();
        std::hint::black_box(tape.backward(&gradients)?);
        backward.push(started.elapsed());
    }
    let (forward, backward) = (median(&mut forward), median(&mut backward));
    println!(
        "{name} batch {batch} size {size} threads {threads}: forward {forward:.1} ms, backward {backward:.1} ms, \
         both {:.1} ms, peak RSS {} MiB, maps {} MiB",
        forward + backward,
        peak_memory().map_or("?".to_owned(), |kib| (kib / 1024).to_string()),
        tape.memory(shape)? >> 20,
    );
    if profile {
        let per_step = |time: Duration| time.as_secs_f64() * 1e3 / iterations.max(1) as f64;
        let mut times: Vec<_> = tape.times().collect();
        times.sort_by_key(|(_, time)| std::cmp::Reverse(time.forward + time.backward));
        for (kind, time) in times {
            println!("{kind:20} {:8.2} ms {:8.2} ms", per_step(time.forward), per_step(time.backward));
        }
    }
    Ok(())
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// The most memory that the process has held, in KiB, where the system tells.
fn peak_memory() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Weights as training starts with them.
fn start(graph: &Graph) -> Weights {
    let mut noise = Noise(7);
    let tensor = |param: &picodet_graph::Param| {
        let data = (0..param.len())
            .map(|_| match param.initialiser {
                Initialiser::Constant(value) => value,
                Initialiser::Normal { std } => std * noise.normal(),
                Initialiser::Uniform { limit } => limit * (2.0 * noise.share() - 1.0),
            })
            .collect();
        (param.name.clone(), Tensor { shape: param.shape.clone(), data })
    };
    graph.params.iter().map(tensor).collect()
}

/// Reproducible noise.
struct Noise(u64);

impl Noise {
    fn share(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Nearly normal: a sum of uniform numbers.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.share()).sum::<f32>() - 6.0
    }
}
