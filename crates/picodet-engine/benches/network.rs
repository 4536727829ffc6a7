//! Inference of published networks with random weights, by precision and number of threads. Items are
//! multiply-accumulates.
//!
//! The environment variable `PICODET_BENCH_ISA` selects an instruction set by name, by default the best of the
//! processor. `picodet bench --profile` lists the time of each step of a network.

use std::fmt;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use picodet_engine::{CpuEngine, Isa, Plan, Precision};
use picodet_graph::{Graph, Role, Tensor, Tensor4, Weights, pass};
use picodet_testing::{Noise, noise};
use picodet_zoo::{Head, Variant};

const NETWORKS: [&str; 5] = ["legacy_s_320", "legacy_s_416", "legacy_m_416", "legacy_l_640", "v2_s_320"];

fn main() {
    divan::main();
}

/// Runs one image.
#[divan::bench(args = cases(), sample_size = 1)]
fn run(bencher: Bencher<'_, '_>, case: &Case) {
    let (graph, weights) = network(case.variant);
    let (height, width) = case.variant.input_size;
    let plan = case.engine.prepare(&graph, &weights, (height, width)).expect("a valid network");
    let image = Tensor4 { shape: [1, 3, height, width], data: noise(3 * height * width, 2) };
    bencher.counter(ItemsCount::new(plan.macs())).bench_local(|| plan.run(black_box(&image)));
}

/// Prepares a network: fuses operations, packs weights and places buffers.
#[divan::bench(args = NETWORKS, sample_size = 1, sample_count = 20)]
fn prepare(bencher: Bencher<'_, '_>, name: &str) {
    let variant = picodet_zoo::variant(name).expect("a variant");
    let (graph, weights) = network(variant);
    bencher.bench_local(|| CpuEngine::new().prepare(black_box(&graph), &weights, variant.input_size));
}

/// A network on an engine.
struct Case {
    variant: &'static Variant,
    engine: CpuEngine,
    precision: Precision,
    threads: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variant, engine, precision, threads } = self;
        write!(f, "{} {} {precision} {threads} threads", variant.name, engine.isa())
    }
}

/// The networks in each precision that the processor supports, on one and on two threads.
fn cases() -> Vec<Case> {
    let name = std::env::var("PICODET_BENCH_ISA").unwrap_or_default();
    let isa = Isa::available().into_iter().find(|isa| isa.to_string() == name).unwrap_or_else(Isa::best);
    let engine = CpuEngine::with_isa(isa).expect("an available instruction set");
    let mut cases = Vec::new();
    for variant in NETWORKS.iter().filter_map(|name| picodet_zoo::variant(name)) {
        for precision in [Precision::F32, Precision::Bf16] {
            for threads in [1, 2] {
                let engine = engine.with_threads(threads).with_precision(precision);
                cases.extend(engine.map(|engine| Case { variant, engine, precision, threads }));
            }
        }
    }
    cases
}

/// The graph of a detector and random weights that keep the scale of its maps.
fn network(variant: &Variant) -> (Graph, Weights) {
    let graph = variant.architecture.graph(variant.classes.len());
    let graph = pass::keep_outputs(&graph, Head::is_detection_output);
    let mut noise = Noise::new(1);
    let tensor = |param: &picodet_graph::Param| {
        let inputs: usize = param.shape.iter().skip(1).product();
        let limit = match param.role {
            Role::Weight => (3.0 / inputs.max(1) as f32).sqrt(),
            _ => 0.1,
        };
        let value = |_| match param.role {
            Role::Gamma | Role::RunningVariance => 1.0,
            _ => noise.uniform(-limit, limit),
        };
        (
            param.name.clone(),
            Tensor { shape: param.shape.clone(), data: (0..param.len()).map(value).collect() },
        )
    };
    let weights = graph.params.iter().map(tensor).collect();
    (graph, weights)
}
