//! The fast engine against the reference: every published network, every instruction set of this processor, one and
//! three images, one and two threads.

use picodet_engine::{CpuEngine, Engine, Isa, Plan, Precision, ReferenceEngine};
use picodet_graph::{Graph, Tensor4};
use picodet_testing::{Noise, emulated};
use picodet_zoo::Head;

mod random;

use random::{image, random_weights};

/// The largest difference between outputs, relative to the spread of each (or to 1 where that is larger).
fn difference(got: &[(String, Tensor4)], expected: &[(String, Tensor4)]) -> Result<f64, String> {
    if got.len() != expected.len() {
        return Err(format!("{} outputs instead of {}", got.len(), expected.len()));
    }
    let mut worst = 0.0f64;
    for ((name, a), (expected_name, b)) in got.iter().zip(expected) {
        if name != expected_name || a.shape != b.shape {
            return Err(format!("{name} {:?} instead of {expected_name} {:?}", a.shape, b.shape));
        }
        let count = b.data.len() as f64;
        let mean = b.data.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let std = (b.data.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count).sqrt();
        for (&a, &b) in a.data.iter().zip(&b.data) {
            let difference = f64::from((a - b).abs()) / std.max(1.0);
            if difference.is_nan() {
                return Err(format!("{name}: {a} instead of {b}"));
            }
            worst = worst.max(difference);
        }
    }
    Ok(worst)
}

fn fast(isa: Isa, threads: usize) -> CpuEngine {
    CpuEngine::with_isa(isa).unwrap_or_default().with_threads(threads)
}

/// Compares all instruction sets with the reference on one network.
fn compare(name: &str, graph: &Graph, size: (usize, usize), wrong: &mut Vec<String>) {
    let weights = random_weights(graph, 7);
    let mut random = Noise::new(11);
    let ways = [(3, 2), (1, 1)];
    for &(batch, threads) in &ways[..if emulated() { 1 } else { 2 }] {
        let image = image(&mut random, [batch, 3, size.0, size.1]);
        let reference =
            ReferenceEngine::<f64>::new().plan(graph, &weights, size).map(|plan| plan.run(&image));
        let Ok(Ok(expected)) = reference else {
            wrong.push(format!("{name}: the reference does not run"));
            continue;
        };
        // Random networks can be worse conditioned than trained ones: then even the reference is off in f32, and
        // the engine cannot be expected to be much closer than that.
        let single = ReferenceEngine::<f32>::new().plan(graph, &weights, size).map(|plan| plan.run(&image));
        let rounding = match single {
            Ok(Ok(single)) => difference(&single, &expected).unwrap_or(0.0),
            _ => 0.0,
        };
        let allowed = (2.0 * rounding).max(2e-4);
        for isa in Isa::available() {
            let outcome = fast(isa, threads)
                .plan(graph, &weights, size)
                .map_err(|error| error.to_string())
                .and_then(|plan| {
                    // Twice, because the second run finds the arena as the first one left it.
                    let first = plan.run(&image).map_err(|error| error.to_string())?;
                    let second = plan.run(&image).map_err(|error| error.to_string())?;
                    if first != second {
                        return Err("two runs differ".into());
                    }
                    difference(&first, &expected)
                });
            match outcome {
                Ok(worst) if worst <= allowed => {}
                Ok(worst) => wrong.push(format!(
                    "{name} {isa} batch {batch} threads {threads}: {worst:.2e}, allowed {allowed:.2e}"
                )),
                Err(problem) => {
                    wrong.push(format!("{name} {isa} batch {batch} threads {threads}: {problem}"));
                }
            }
        }
    }
}

/// The correlation of two lists of numbers.
fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let mean = |list: &[f32]| list.iter().map(|&v| f64::from(v)).sum::<f64>() / list.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let pairs = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - mean_a, f64::from(b) - mean_b));
    let [ab, aa, bb] = pairs.fold([0.0; 3], |[ab, aa, bb], (a, b)| [ab + a * b, aa + a * a, bb + b * b]);
    ab / (aa * bb).sqrt()
}

/// The least correlation of an output with the reference's, of each 16-bit type, on every instruction set that has it.
fn likeness(name: &str, precision: Precision, wrong: &mut Vec<String>) {
    let Some(variant) = picodet_zoo::variant(name) else { panic!("{name} is a published network") };
    let graph = variant.architecture.graph(variant.classes.len());
    let weights = random_weights(&graph, 7);
    // Plain Rust takes long for f16.
    let size = if emulated() || precision == Precision::F16 { (64, 96) } else { (96, 128) };
    let image = image(&mut Noise::new(13), [1, 3, size.0, size.1]);
    let reference = ReferenceEngine::<f64>::new().plan(&graph, &weights, size);
    let Ok(Ok(expected)) = reference.map(|plan| plan.run(&image)) else { panic!("{name} does not run") };
    for isa in Isa::available() {
        let Some(engine) = fast(isa, 1).with_precision(precision) else { continue };
        for threads in [1, 3] {
            let plan = engine.with_threads(threads).plan(&graph, &weights, size);
            let Ok(Ok(found)) = plan.map(|plan| plan.run(&image)) else { panic!("{name} does not run") };
            for ((output, found), (_, expected)) in found.iter().zip(&expected) {
                let likeness = correlation(&found.data, &expected.data);
                // f16 rounds to 11 bits, bf16 to 8.
                let least = if precision == Precision::F16 { 0.995 } else { 0.97 };
                if likeness.is_nan() || likeness < least {
                    wrong.push(format!(
                        "{name} {isa} {precision} {threads} threads {output}: correlation {likeness:.4}"
                    ));
                }
            }
        }
    }
}

#[test]
fn sixteen_bits_follow_the_reference() {
    let mut wrong = Vec::new();
    for name in ["legacy_s_320", "legacy_m_416", "v2_xs_320"] {
        // Under emulation only the plain Rust code of bf16 is available.
        if !emulated() || name == "v2_xs_320" {
            likeness(name, Precision::Bf16, &mut wrong);
        }
    }
    for name in ["legacy_s_320", "legacy_s_416", "v2_s_320"] {
        likeness(name, Precision::F16, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_detector() {
    let mut wrong = Vec::new();
    let mut done = Vec::new();
    for variant in picodet_zoo::variants() {
        let key = format!("{:?} {}", variant.architecture, variant.classes.len());
        if done.contains(&key) {
            continue;
        }
        done.push(key);
        if emulated() && done.len() % 8 != 1 {
            continue;
        }
        let size = if emulated() { (32, 64) } else { (64, 96) };
        compare(variant.name, &variant.architecture.graph(variant.classes.len()), size, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_classifier() {
    let mut wrong = Vec::new();
    let classifiers = picodet_zoo::classifiers();
    for variant in classifiers.iter().step_by(if emulated() { 4 } else { 1 }) {
        compare(variant.name, &variant.classifier.graph(10), (64, 32), &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pruned_graphs_and_odd_sizes() {
    let mut wrong = Vec::new();
    for name in ["legacy_s_320", "v2_s_320"] {
        let Some(variant) = picodet_zoo::variant(name) else { continue };
        let graph = variant.architecture.graph(3);
        let pruned = picodet_graph::pass::keep_outputs(&graph, Head::is_detection_output);
        let sizes = [(32, 32), (32, 160), (224, 96), (160, 192)];
        for &size in &sizes[..if emulated() { 2 } else { 4 }] {
            compare(&format!("{name} {size:?}"), &pruned, size, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn not_a_number_reaches_the_outputs() {
    let Some(variant) = picodet_zoo::variant("legacy_s_320") else { panic!("legacy_s_320 is gone") };
    let graph = variant.architecture.graph(2);
    let weights = random_weights(&graph, 3);
    let mut wrong = Vec::new();
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut image = image(&mut Noise::new(1), [1, 3, 64, 64]);
        image.data[64 * 40 + 30] = value;
        for isa in Isa::available() {
            let outputs = fast(isa, 1).plan(&graph, &weights, (64, 64)).map(|plan| plan.run(&image));
            match outputs {
                Ok(Ok(outputs)) if outputs.iter().any(|(_, map)| map.data.iter().any(|v| v.is_nan())) => {}
                Ok(Ok(_)) => wrong.push(format!("{isa}: {value} vanished")),
                _ => wrong.push(format!("{isa}: {value} does not run")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn images_of_another_shape_are_refused() {
    let Some(variant) = picodet_zoo::variant("v2_xs_320") else { panic!("v2_xs_320 is gone") };
    let graph = variant.architecture.graph(1);
    let weights = random_weights(&graph, 3);
    let Ok(plan) = CpuEngine::new().prepare(&graph, &weights, (32, 64)) else { panic!("no plan") };
    for shape in [[1, 3, 64, 32], [1, 1, 32, 64], [0, 3, 32, 64]] {
        assert!(plan.run(&Tensor4::zeros(shape)).is_err(), "{shape:?}");
    }
    let short = Tensor4 { shape: [1, 3, 32, 64], data: vec![0.0; 10] };
    assert!(plan.run(&short).is_err());
    assert!(CpuEngine::new().prepare(&graph, &weights, (33, 64)).is_err());
}

#[test]
fn lent_outputs_are_the_copied_ones() {
    let Some(variant) = picodet_zoo::variant("legacy_s_320") else { panic!("legacy_s_320 is gone") };
    let graph = picodet_graph::pass::keep_outputs(&variant.architecture.graph(3), Head::is_detection_output);
    let weights = random_weights(&graph, 5);
    let image = image(&mut Noise::new(2), [1, 3, 64, 96]);
    for threads in [1, 2] {
        let plan = CpuEngine::new().with_threads(threads).prepare(&graph, &weights, (64, 96));
        let Ok(plan) = plan else { panic!("no plan") };
        let Ok(copied) = plan.run(&image) else { panic!("no outputs") };
        let Ok(Some(lent)) = plan.run_in_place(&image) else { panic!("no outputs in place") };
        let lent = lent.views();
        assert_eq!(lent.len(), copied.len());
        for (map, (name, feature)) in lent.iter().zip(&copied) {
            assert_eq!((map.name, map.values.shape()), (name.as_str(), feature.shape));
            assert_eq!(map.pending.is_some(), name.starts_with("score"), "{name}");
            for (i, (&value, &expected)) in map.values.iter().zip(&feature.data).enumerate() {
                let value = if map.pending.is_some() { 1.0 / (1.0 + (-value).exp()) } else { value };
                assert!((value - expected).abs() <= 1e-6, "{name} {i}: {value} instead of {expected}");
            }
            assert!(map.values.pixel(0, 0, 0).is_some(), "{name} is channels last");
        }
    }
}
