//! The fast engine against the outputs that the reference implementation computed in f64, on every fixture and every
//! instruction set of this processor.

use picodet_engine::{CpuEngine, Engine, Isa, ReferenceEngine};
use picodet_graph::{Graph, Tensor, Tensor4, Weights};
use picodet_testing::{emulated, shared};
use picodet_weights::read_tensors;
use picodet_zoo::{Variant, names, variant};

const NAMES: [&str; 5] = ["legacy_s_320", "legacy_m_416", "shufflenetv2_1x_416", "v2_s_320", "v2_xs_320"];

fn tensors(path: &str) -> Option<Weights> {
    Some(read_tensors(&shared(path)?).expect("a sound fixture").0)
}

/// The network of a fixture with its weights under our names.
fn network(variant: &Variant, mut theirs: Weights) -> (Graph, Weights) {
    let graph = variant.architecture.graph(variant.classes.len());
    let mut weights = Weights::new();
    for param in &graph.params {
        let name = names::reference_name(&variant.architecture, &param.name).unwrap_or_default();
        let data = theirs.remove(&name).unwrap_or_else(|| panic!("{} has no counterpart", param.name)).data;
        weights.insert(param.name.clone(), Tensor { shape: param.shape.clone(), data });
    }
    (graph, weights)
}

/// The largest difference, infinite where something is not a number.
fn difference(found: &[f32], expected: &[f32]) -> f64 {
    let differences = found.iter().zip(expected).map(|(&a, &b)| f64::from((a - b).abs()));
    differences.fold(0.0, |most: f64, next| if next.is_nan() { f64::INFINITY } else { most.max(next) })
}

fn deviation(values: &[f32]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    (values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count).sqrt()
}

#[test]
fn outputs_are_those_of_the_fixtures() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    let names = if emulated() { &NAMES[..1] } else { &NAMES };
    for &name in names {
        let (Some(theirs), Some(expected)) = (
            tensors(&format!("golden/forward/{name}.weights.safetensors")),
            tensors(&format!("golden/forward/{name}.128x160.safetensors")),
        ) else {
            return;
        };
        let (graph, weights) = network(variant(name).expect("a published network"), theirs);
        let image = &expected["image"];
        let shape = [image.shape[0], image.shape[1], image.shape[2], image.shape[3]];
        let image = Tensor4 { shape, data: image.data.clone() };
        // The error of f32 when operations are computed one after the other.
        let single = ReferenceEngine::<f32>::new().plan(&graph, &weights, (shape[2], shape[3]));
        let single = single.expect("a sound network").run(&image).expect("the fixture's image fits");
        for isa in Isa::available() {
            for threads in [1, 2] {
                let engine = CpuEngine::with_isa(isa).expect("an available set").with_threads(threads);
                let plan = engine.plan(&graph, &weights, (shape[2], shape[3])).expect("a sound network");
                let found = plan.run(&image).expect("the fixture's image fits");
                for ((output, found), (_, single)) in found.iter().zip(&single) {
                    let Some(expected) = expected.get(output) else { continue };
                    compared += 1;
                    let rounding = difference(&single.data, &expected.data);
                    let allowed = (2e-4 * deviation(&expected.data).max(1.0)).max(2.0 * rounding);
                    let most = difference(&found.data, &expected.data);
                    if found.shape[..] != expected.shape[..] || most > allowed {
                        wrong.push(format!(
                            "{name} {isa} {threads} threads {output}: {most:.2e} > {allowed:.2e} (f32 itself: {rounding:.2e})"
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 20 * names.len(), "only {compared} outputs have a counterpart in the fixtures");
}
