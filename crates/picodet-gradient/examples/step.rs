//! Times forward and backward of a network:
//! `step VARIANT BATCH SIZE THREADS ITERATIONS [--profile]`.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use picodet_gradient::{StepTime, Tape};
use picodet_graph::{Graph, Initialiser, Tensor, Tensor4, Weights, pass};

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
    let gradients: Vec<(String, Tensor4)> = graph
        .outputs
        .iter()
        .filter_map(|output| Some((output.name.clone(), tape.output(&output.name)?.to_tensor())))
        .map(|(name, map)| (name, map.map(|_| noise.normal() * 0.01)))
        .collect();
    tape.backward(&gradients)?;
    let mut forward = Spent::default();
    let mut backward = Spent::default();
    let mut least: Vec<StepTime> = tape.times().to_vec();
    for _ in 0..iterations.max(1) {
        forward.measure(|| tape.forward(&weights, shape, &image))?;
        backward.measure(|| tape.backward(&gradients).map(|gradients| drop(black_box(gradients))))?;
        for (least, time) in least.iter_mut().zip(tape.times()) {
            least.forward = least.forward.min(time.forward);
            least.backward = least.backward.min(time.backward);
        }
    }
    println!(
        "{name} batch {batch} size {size} threads {threads}: forward {}, backward {}, peak RSS {} MiB, maps {} MiB",
        forward.report(),
        backward.report(),
        peak_memory().map_or("?".to_owned(), |kib| (kib / 1024).to_string()),
        tape.memory(shape)? >> 20,
    );
    println!(
        "both: {:.1} ms wall, {:.1} ms CPU",
        forward.wall() + backward.wall(),
        forward.cpu() + backward.cpu()
    );
    if profile {
        println!("least wall time of each step, by kind, ms: forward, backward");
        let mut kinds: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
        for time in &least {
            let sums = kinds.entry(time.kind).or_default();
            sums[0] += time.forward.as_secs_f64() * 1e3;
            sums[1] += time.backward.as_secs_f64() * 1e3;
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by(|a, b| b.1.iter().sum::<f64>().total_cmp(&a.1.iter().sum()));
        let total = kinds.iter().fold([0.0, 0.0], |sum, (_, time)| [sum[0] + time[0], sum[1] + time[1]]);
        for (kind, [forward, backward]) in kinds.into_iter().chain([("all", total)]) {
            println!("{kind:20} {forward:8.2} {backward:8.2}");
        }
    }
    Ok(())
}

/// Wall and processor time of each repetition, in milliseconds.
#[derive(Default)]
struct Spent {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

impl Spent {
    fn measure<E>(&mut self, work: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let (wall, cpu) = (Instant::now(), processor_time());
        work()?;
        self.wall.push(wall.elapsed().as_secs_f64() * 1e3);
        self.cpu.push(processor_time() - cpu);
        Ok(())
    }

    fn wall(&self) -> f64 {
        median(&self.wall)
    }

    fn cpu(&self) -> f64 {
        median(&self.cpu)
    }

    fn report(&self) -> String {
        format!("{:.1} ms wall {:.1} ms CPU", self.wall(), self.cpu())
    }
}

/// CPU time of all threads in milliseconds, which excludes other programs; NaN if the system does not report it.
fn processor_time() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return f64::NAN };
    let times = tasks.flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    times.sum::<f64>() / 1e6
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Peak resident memory in KiB; `None` if the system does not report it.
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
