//! Times the fast engine on a network with random weights:
//! `cargo run --release -p picodet-engine --example bench_engine -- legacy_s_320 1 [rounds] [isa] [bf16] [profile]`.
//!
//! Prints the median and the least time of an image, and, with `profile`, what each step takes.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::time::Instant;

use picodet_engine::{CpuEngine, Isa, Plan, Precision};
use picodet_graph::{Graph, Role, Tensor, Tensor4, Weights, pass};

fn weights(graph: &Graph) -> Weights {
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let tensor = |shape: &[usize], role| {
        let inputs: usize = shape.iter().skip(1).product();
        let limit = (3.0 / inputs.max(1) as f32).sqrt();
        let data = (0..shape.iter().product())
            .map(|_| match role {
                Role::Gamma | Role::RunningVariance => 1.0,
                Role::Weight => limit * random(),
                _ => 0.1 * random(),
            })
            .collect();
        Tensor { shape: shape.to_vec(), data }
    };
    let mut tensor = tensor;
    graph.params.iter().map(|param| (param.name.clone(), tensor(&param.shape, param.role))).collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("legacy_s_320", String::as_str);
    let number = |index: usize, default| arguments.get(index).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (threads, rounds): (usize, usize) = (number(1, 1), number(2, 200));
    let Some(variant) = picodet_zoo::variant(name) else {
        eprintln!("no network is called {name}");
        std::process::exit(2);
    };
    let graph = variant.architecture.graph(variant.classes.len());
    let graph = pass::keep_outputs(&graph, picodet_zoo::Head::is_detection_output);
    let asked = Isa::available().into_iter().find(|isa| arguments.contains(&isa.to_string()));
    let isa = asked.unwrap_or_else(Isa::best);
    let bf16 = arguments.iter().any(|argument| argument == "bf16");
    let precision = if bf16 { Precision::Bf16 } else { Precision::F32 };
    let engine = CpuEngine::with_isa(isa).unwrap_or_default().with_threads(threads);
    let Some(engine) = engine.with_precision(precision) else {
        eprintln!("this processor has no instructions for {precision}");
        std::process::exit(1);
    };
    let start = Instant::now();
    let plan = match engine.prepare(&graph, &weights(&graph), variant.input_size) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    let planned = start.elapsed();
    let (height, width) = variant.input_size;
    let data = (0..3 * height * width).map(|i| ((i * 37 % 255) as f32 / 255.0 - 0.5) * 4.0).collect();
    let image = Tensor4 { shape: [1, 3, height, width], data };
    let mut times = Vec::new();
    for _ in 0..rounds + 3 {
        let start = Instant::now();
        if let Err(error) = plan.run(&image) {
            eprintln!("{error}");
            std::process::exit(1);
        }
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.drain(..3);
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    println!(
        "{name} {isa} {precision} threads {threads}: median {median:.2} ms, least {:.2} ms, {:.1} GMAC/s of {:.3} GMAC, \
         arena {:.1} MiB, planned in {:.1} ms",
        times[0],
        plan.macs() as f64 / median / 1e6,
        plan.macs() as f64 / 1e9,
        plan.arena_bytes() as f64 / f64::from(1 << 20),
        planned.as_secs_f64() * 1e3,
    );
    if arguments.iter().any(|argument| argument == "profile") {
        let Ok(profile) = plan.profile(&image, rounds) else { return };
        let mut kinds: BTreeMap<&str, (f64, u64)> = BTreeMap::new();
        for step in &profile {
            let kind = kinds.entry(&step.kind).or_default();
            *kind = (kind.0 + step.seconds, kind.1 + step.macs);
            println!(
                "{:>8.1} us {:>6.1} GMAC/s  {:<18} {:>3}x{:<3} {}",
                step.seconds * 1e6,
                step.macs as f64 / step.seconds / 1e9,
                step.kind,
                step.out_size.0,
                step.out_size.1,
                step.scope
            );
        }
        println!("by kind:");
        for (kind, (seconds, macs)) in kinds {
            println!("{:>8.1} us {:>6.1} GMAC/s  {kind}", seconds * 1e6, macs as f64 / seconds / 1e9);
        }
    }
}
