//! Times of a network with random weights in f32, bf16 and int8, in turns on one machine, and the steps of the int8 plan.
//!
//! `cargo run --release -p picodet-engine --example int8 -- [VARIANT] [SECONDS] [SET]`; SET names the plan whose steps are
//! listed, as the first table does.
#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use picodet_engine::{CpuEngine, CpuPlan, Isa, Plan, Precision};
use picodet_graph::{Tensor4, pass};
use picodet_testing::noise;
use picodet_zoo::Head;

#[path = "../tests/random/mod.rs"]
mod random;

use random::quantised::quantise;
use random::random_weights;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "legacy_s_416".to_owned());
    let seconds: f64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(5.0);
    let variant = picodet_zoo::variant(&name).expect("a published network");
    let set = arguments.next().unwrap_or_else(|| "int8".to_owned());
    let graph = variant.architecture.graph(variant.classes.len());
    let graph = pass::keep_outputs(&graph, Head::is_detection_output);
    let (graph, weights) = pass::fold_batch_norm(&graph, &random_weights(&graph, 7));
    let image = |(height, width): (usize, usize)| Tensor4 {
        shape: [1, 3, height, width],
        data: noise(3 * height * width, 2),
    };
    let quantisation = quantise(&graph, &weights, &image((64, 64)));
    let size = variant.input_size;
    let mut plans: Vec<(String, CpuPlan)> = Vec::new();
    for threads in [1, 2] {
        let engine = CpuEngine::new().with_threads(threads);
        for precision in [Precision::F32, Precision::Bf16] {
            let Some(engine) = engine.with_precision(precision) else { continue };
            let plan = engine.prepare(&graph, &weights, size).expect("a sound network");
            plans.push((format!("{precision} {} {threads} threads", engine.isa()), plan));
        }
        for isa in Isa::available().into_iter().filter(|&isa| isa != Isa::PORTABLE) {
            if let Some(engine) = CpuEngine::with_isa(isa).filter(|_| isa != Isa::best()) {
                let plan = engine.with_threads(threads).prepare(&graph, &weights, size).expect("sound");
                plans.push((format!("f32 {isa} {threads} threads"), plan));
            }
            for int8 in isa.int8_available() {
                let engine = engine.with_int8(int8);
                let plan = engine.prepare_quantised(&graph, &weights, &quantisation, size).expect("sound");
                plans.push((format!("int8 {int8:?} {threads} threads"), plan));
            }
        }
    }
    plans.sort_by_key(|(label, _)| label.contains("2 threads"));
    let image = image(size);
    let mut times = vec![Vec::new(); plans.len()];
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs_f64(seconds) {
        for ((_, plan), times) in plans.iter().zip(&mut times) {
            let begin = Instant::now();
            plan.run_in_place(&image).expect("an image of this size");
            times.push(begin.elapsed().as_secs_f64());
        }
    }
    println!("{name}: {} runs each", times[0].len());
    for ((label, plan), times) in plans.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let (median, best) = (1e3 * times[times.len() / 2], 1e3 * times[0]);
        println!(
            "{label:<28} {median:7.3} ms (best {best:.3}), arena {:.2} MB",
            plan.arena_bytes() as f64 / 1e6
        );
    }
    let Some((label, plan)) = plans.iter().find(|(label, _)| label.contains(&set)) else { return };
    let mut steps = plan.profile(&image, 100).expect("an image of this size");
    let total: f64 = steps.iter().map(|step| step.seconds).sum();
    println!("\nsteps of {label}, {:.3} ms", 1e3 * total);
    steps.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    for step in steps.iter().take(70) {
        println!(
            "{:8.1} us {:6.1} GMAC/s {:>4}x{:<4} {:<50} {}",
            1e6 * step.seconds,
            step.macs as f64 / step.seconds / 1e9,
            step.out_size.0,
            step.out_size.1,
            step.kind,
            step.scope
        );
    }
}
