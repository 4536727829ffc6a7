//! Every network of the reference's fixtures, from weights to detections, in f64 and in f32.

use std::collections::BTreeMap;

use picodet::Model;
use picodet::crates::graph::{Tensor, Weights, pass};
use picodet::crates::weights::read_tensors;
use picodet::crates::zoo::variant;
use picodet::forward::forward;
use picodet::{ConvertOptions, convert};
use picodet_testing::{shared, shared_path};

const NAMES: [&str; 5] = ["legacy_s_320", "legacy_m_416", "shufflenetv2_1x_416", "v2_xs_320", "v2_s_320"];

/// A network of the fixtures: its weights, and its tensors for one image.
fn fixture(name: &str) -> Option<(Model, Weights)> {
    let weights = shared_path(&format!("golden/forward/{name}.weights.safetensors"))?;
    let model =
        convert(&weights, variant(name)?, &ConvertOptions::default()).expect("the reference's weights");
    let tensors = shared(&format!("golden/forward/{name}.128x160.safetensors"))?;
    Some((model, read_tensors(&tensors).expect("a sound fixture").0))
}

fn deviation(found: &Tensor) -> f64 {
    let count = found.data.len().max(1) as f64;
    let mean = found.data.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    (found.data.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count).sqrt()
}

fn largest_difference(found: &Tensor, expected: &Tensor) -> f64 {
    let pairs = found.data.iter().zip(&expected.data);
    pairs.map(|(&a, &b)| f64::from((a - b).abs())).fold(0.0, f64::max)
}

/// Compares every tensor of the fixture but the inputs; `tolerance` is the largest allowed difference.
fn compare(found: &Weights, expected: &Weights, tolerance: impl Fn(&str, &Tensor) -> f64) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, expected) in
        expected.iter().filter(|(name, _)| !matches!(name.as_str(), "image" | "scale_factor"))
    {
        let Some(found) = found.get(name) else {
            wrong.push(format!("{name} is missing"));
            continue;
        };
        if found.shape != expected.shape {
            wrong.push(format!("{name} has shape {:?}, not {:?}", found.shape, expected.shape));
            continue;
        }
        let (difference, allowed) = (largest_difference(found, expected), tolerance(name, expected));
        if difference > allowed {
            wrong.push(format!("{name} differs by {difference:.2e}, more than {allowed:.2e}"));
        }
    }
    wrong
}

#[test]
fn float64_equals_the_reference() {
    let mut wrong = Vec::new();
    for name in NAMES {
        let Some((model, tensors)) = fixture(name) else {
            return;
        };
        let found = forward::<f64>(&model, &tensors).expect("the fixture's image fits");
        // One part in a million of the largest value of the tensor.
        let largest = |t: &Tensor| t.data.iter().fold(0.0f64, |m, v| m.max(f64::from(v.abs())));
        let problems = compare(&found, &tensors, |_, expected| 1e-6 * largest(expected));
        wrong.extend(problems.into_iter().map(|problem| format!("{name}: {problem}")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// How far the reference's own f32 run is from its f64 run, by tensor.
fn gaps(name: &str) -> Option<BTreeMap<String, f64>> {
    let bytes = shared(&format!("golden/forward/{name}.json"))?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).expect("a sound fixture");
    let gaps = value["f32_vs_f64_maxabs"]["128x160"].as_object().expect("the gaps");
    Some(gaps.iter().filter_map(|(name, gap)| Some((name.clone(), gap.as_f64()?))).collect())
}

#[test]
fn float32_is_as_near_as_the_reference_is_folded_or_not() {
    let mut wrong = Vec::new();
    for name in NAMES {
        let (Some((model, tensors)), Some(gaps)) = (fixture(name), gaps(name)) else {
            return;
        };
        let (graph, weights) = pass::fold_batch_norm(&model.graph, &model.weights);
        let folded = Model { graph, weights, ..model.clone() };
        for (form, model) in [("as it is", &model), ("folded", &folded)] {
            let found = forward::<f32>(model, &tensors).expect("the fixture's image fits");
            let problems = compare(&found, &tensors, |tensor, expected| match tensor {
                // Detections are compared in f64; in f32 a score at the threshold may fall to either side.
                "det" | "det_num" => f64::INFINITY,
                _ => (5.0 * gaps.get(tensor).copied().unwrap_or(0.0)).max(1e-4 * deviation(expected)),
            });
            let problems = problems.into_iter().filter(|problem| !problem.starts_with("det"));
            wrong.extend(problems.map(|problem| format!("{name} {form}: {problem}")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_pdparams_file_is_the_same_network() {
    let (Some(path), Some((model, _))) =
        (shared_path("golden/forward/legacy_s_320.pdparams"), fixture("legacy_s_320"))
    else {
        return;
    };
    let other = convert(&path, &model.variant, &ConvertOptions::default()).expect("a sound file");
    assert_eq!(other.weights, model.weights);
    let bytes = other.to_bytes(picodet::Storage::F32);
    assert_eq!(Model::from_bytes(&bytes).expect("our own file").weights, model.weights);
}

#[test]
fn faults_in_the_weights_are_named() {
    let Some((model, _)) = fixture("v2_xs_320") else {
        return;
    };
    let mut wrong = Vec::new();
    let mut expect = |change: &dyn Fn(&mut Model), word: &str| {
        let mut model = model.clone();
        change(&mut model);
        match Model::from_bytes(&model.to_bytes(picodet::Storage::F32)) {
            Ok(_) => wrong.push(format!("accepted, where `{word}` is wrong")),
            Err(error) if error.to_string().contains(word) => {}
            Err(error) => wrong.push(format!("`{error}` does not contain `{word}`")),
        }
    };
    expect(
        &|m| drop(m.weights.remove("neck.reduce.0.conv.weight")),
        "`neck.reduce.0.conv.weight` [96, 48, 1, 1] is missing",
    );
    expect(
        &|m| drop(m.weights.insert("head.extra".into(), Tensor::full(&[1], 0.0))),
        "unexpected tensor `head.extra`",
    );
    expect(
        &|m| drop(m.weights.insert("head.level0.reg.bias".into(), Tensor::full(&[31], 0.0))),
        "shape [31], not [32]",
    );
    expect(&|m| m.metadata.variant = "v9".into(), "v9");
    expect(&|m| m.metadata.input_size = (100, 320), "100x320");
    expect(&|m| m.metadata.classes = vec!["one".into()], "category ids");
    expect(&|m| m.metadata.std = [0.0; 3], "standard deviation");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
