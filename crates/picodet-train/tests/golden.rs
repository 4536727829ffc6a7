//! Assignments, losses, gradients, learning rates and averages equal the reference's.

use picodet_graph::TensorView;
use picodet_graph::{Tensor, Weights};
use picodet_testing::shared;
use picodet_train::assign::{SimOta, SimOtaCost, atss, loader_atss, task_aligned};
use picodet_train::group::SingleProcess;
use picodet_train::loss::{Assigned, Loss, base, paper, second_generation};
use picodet_train::recipes::recipe;
use picodet_train::{Assignment, HeadGradients, LevelMaps, MovingAverage, Predictions, Truth};
use picodet_weights::read_tensors;

const STRIDES: [usize; 4] = [8, 16, 32, 64];

fn fixture(name: &str) -> Option<Weights> {
    Some(read_tensors(&shared(&format!("golden/train/{name}.safetensors"))?).expect("a sound fixture").0)
}

fn map(tensors: &Weights, name: String) -> TensorView<'_> {
    let tensor = &tensors[&name];
    let shape = tensor.shape.as_slice().try_into().expect("four axes");
    TensorView::channels_first(&tensor.data, shape).expect("a whole tensor")
}

fn predictions(tensors: &Weights, levels: usize) -> Predictions<'_> {
    let level = |level: usize| LevelMaps {
        cls: map(tensors, format!("cls_logit.{level}")),
        reg: map(tensors, format!("reg.{level}")),
        align: tensors
            .contains_key(&format!("align_logit.{level}"))
            .then(|| map(tensors, format!("align_logit.{level}"))),
        stride: STRIDES[level],
    };
    Predictions::new(&(0..levels).map(level).collect::<Vec<_>>())
}

fn boxes(values: &[f32]) -> Vec<[f64; 4]> {
    values.as_chunks::<4>().0.iter().map(|bbox| bbox.map(f64::from)).collect()
}

/// The objects of both images: a list an image, or padded with a mask.
fn truths(tensors: &Weights) -> Vec<Truth> {
    (0..2)
        .map(|image| match tensors.get("gt_bbox") {
            None => Truth {
                boxes: boxes(&tensors[&format!("gt_bbox.{image}")].data),
                classes: tensors[&format!("gt_class.{image}")]
                    .data
                    .iter()
                    .map(|&class| class as usize)
                    .collect(),
            },
            Some(padded) => {
                let count = padded.shape[1];
                let mask = &tensors["pad_gt_mask"].data[image * count..][..count];
                let real = |index: &usize| mask[*index] > 0.0;
                let all = boxes(&padded.data[image * count * 4..][..count * 4]);
                let classes = &tensors["gt_class"].data[image * count..][..count];
                Truth {
                    boxes: (0..count).filter(real).map(|index| all[index]).collect(),
                    classes: (0..count).filter(real).map(|index| classes[index] as usize).collect(),
                }
            }
        })
        .collect()
}

/// Labels (80 for background) that differ, and box targets of positives that do.
fn differences(assignment: &Assignment, truth: &Truth, labels: &[f32], targets: &[f32]) -> Vec<String> {
    let targets = boxes(targets);
    let mut wrong = Vec::new();
    for (anchor, object) in assignment.object.iter().enumerate() {
        let label = object.map_or(80, |object| truth.classes[object]);
        if label != labels[anchor] as usize {
            wrong.push(format!("cell {anchor}: class {label}, not {}", labels[anchor]));
        } else if let Some(object) = *object {
            let distance = truth.boxes[object].iter().zip(targets[anchor]).map(|(a, b)| (a - b).abs());
            if distance.fold(0.0, f64::max) > 1e-3 {
                wrong
                    .push(format!("cell {anchor}: box {:?}, not {:?}", truth.boxes[object], targets[anchor]));
            }
        }
    }
    wrong
}

type Total = fn(&Assigned<'_>, &mut HeadGradients) -> Loss;

/// A total loss and its gradients.
fn compute(
    total: Total,
    predictions: &Predictions<'_>,
    truths: &[Truth],
    assignments: &[Assignment],
) -> (Loss, HeadGradients) {
    let mut gradients = HeadGradients::for_predictions(predictions);
    let assigned = Assigned { predictions, truths, assignments, group: &SingleProcess, threads: 2 };
    (total(&assigned, &mut gradients), gradients)
}

fn compare_loss(name: &str, loss: &Loss, gradients: &HeadGradients, tensors: &Weights) -> Vec<String> {
    let mut wrong = Vec::new();
    let cls = if tensors.contains_key("loss_qfl") { "loss_qfl" } else { "loss_vfl" };
    for (term, found) in [(cls, loss.cls), ("loss_bbox", loss.bbox), ("loss_dfl", loss.dfl)] {
        let expected = f64::from(tensors[term].data[0]);
        if (found - expected).abs() > 2e-6 * expected.abs() {
            wrong.push(format!("{name}: {term} {found}, not {expected}"));
        }
    }
    for (output, found) in gradients.outputs() {
        let expected = map(tensors, format!("grad_{output}"));
        let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let difference = found.iter().zip(expected.iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        if difference > 1e-4 * largest {
            wrong.push(format!("{name}: gradient of {output} differs by {difference} of {largest}"));
        }
    }
    wrong
}

#[test]
fn the_papers_loss_equals_the_reference() {
    let mut wrong = Vec::new();
    for name in ["loss_legacy_A", "loss_legacy_C"] {
        let Some(tensors) = fixture(name) else { return };
        let (predictions, truths) = (predictions(&tensors, 4), truths(&tensors));
        let variants = [
            ("assign", SimOta::default()),
            ("vfl_w5", SimOta { lambda: 5.0, ..SimOta::default() }),
            ("vfl_w7", SimOta { lambda: 7.0, ..SimOta::default() }),
            ("orig_w3", SimOta { cost: SimOtaCost::Original, lambda: 3.0 }),
        ];
        for (prefix, assigner) in variants {
            for (image, truth) in truths.iter().enumerate() {
                let assignment = assigner.assign(&predictions, image, truth);
                let labels = &tensors[&format!("{prefix}.label.{image}")].data;
                let targets = &tensors[&format!("{prefix}.bbox_target.{image}")].data;
                let found = differences(&assignment, truth, labels, targets);
                wrong.extend(
                    found.into_iter().map(|problem| format!("{name} {prefix} image {image}: {problem}")),
                );
            }
        }
        let assign = |(image, truth): (usize, &Truth)| SimOta::default().assign(&predictions, image, truth);
        let assignments: Vec<_> = truths.iter().enumerate().map(assign).collect();
        let (loss, gradients) = compute(paper, &predictions, &truths, &assignments);
        wrong.extend(compare_loss(name, &loss, &gradients, &tensors));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_second_generations_loss_equals_the_reference() {
    let mut wrong = Vec::new();
    for name in ["loss_v2_atss_A", "loss_v2_tal_A"] {
        let Some(tensors) = fixture(name) else { return };
        let (predictions, truths) = (predictions(&tensors, 4), truths(&tensors));
        let assign = |(image, truth): (usize, &Truth)| match name {
            "loss_v2_atss_A" => atss(&predictions, image, truth, 9),
            _ => task_aligned(&predictions, image, truth),
        };
        let assignments: Vec<_> = truths.iter().enumerate().map(assign).collect();
        let count = predictions.anchors.len();
        for (image, (assignment, truth)) in assignments.iter().zip(&truths).enumerate() {
            let labels = &tensors["assign.label"].data[image * count..][..count];
            let targets = &tensors["assign.bbox"].data[image * count * 4..][..count * 4];
            let found = differences(assignment, truth, labels, targets);
            wrong.extend(found.into_iter().map(|problem| format!("{name} image {image}: {problem}")));
            let qualities = &tensors["assign.score_max"].data[image * count..][..count];
            let distances = assignment.quality.iter().zip(qualities).map(|(a, b)| (a - f64::from(*b)).abs());
            let largest = distances.fold(0.0, f64::max);
            if largest > 1e-5 {
                wrong.push(format!("{name} image {image}: qualities differ by {largest}"));
            }
        }
        let (loss, gradients) = compute(second_generation, &predictions, &truths, &assignments);
        wrong.extend(compare_loss(name, &loss, &gradients, &tensors));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_base_loss_equals_the_reference() {
    let (Some(inputs), Some(tensors)) = (fixture("loss_legacy_A"), fixture("loss_base_gfl_A")) else {
        return;
    };
    let (predictions, truths) = (predictions(&inputs, 3), truths(&inputs));
    let assignments: Vec<_> = truths.iter().map(|truth| loader_atss(&predictions.anchors, truth)).collect();
    let count = predictions.anchors.len();
    let mut wrong = Vec::new();
    for (image, (assignment, truth)) in assignments.iter().zip(&truths).enumerate() {
        let labels = &tensors["labels"].data[image * count..][..count];
        let targets = &tensors["bbox_targets"].data[image * count * 4..][..count * 4];
        let found = differences(assignment, truth, labels, targets);
        wrong.extend(found.into_iter().map(|problem| format!("image {image}: {problem}")));
    }
    let (loss, gradients) = compute(base, &predictions, &truths, &assignments);
    wrong.extend(compare_loss("base", &loss, &gradients, &tensors));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn learning_rates_equal_the_reference() {
    let Some(bytes) = shared("golden/misc/lr.jsonl") else { return };
    let mut wrong = Vec::new();
    let mut points = 0;
    for line in String::from_utf8(bytes).expect("text").lines() {
        let trace: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let (base, steps_per_epoch) = (trace["base_lr"].as_f64().expect("a rate"), 50);
        let config = trace["config"].as_str().expect("a name");
        let name = if config.contains("npu") { "npu_s_416" } else { "legacy_s_416" };
        let mut experiment = recipe(name).expect("a recipe");
        (experiment.rate.base, experiment.batch.images) = (base, 1);
        let schedule = experiment.schedule(1, 300 * steps_per_epoch, steps_per_epoch);
        for (step, expected) in trace["points"].as_object().expect("points") {
            points += 1;
            let expected = expected.as_f64().expect("a rate");
            let found = schedule.rate(step.parse().expect("a step"));
            if (found - expected).abs() > 1e-12 {
                wrong.push(format!("{config} step {step}: {found}, not {expected}"));
            }
        }
    }
    assert!(points > 50, "only {points} points");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_cycled_average_equals_the_reference() {
    let Some(bytes) = shared("golden/misc/ema.json") else { return };
    let trace: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    let mut average = MovingAverage::new(trace["cycle_epoch"].as_u64().map(|cycle| cycle as usize));
    let mut applied = 0;
    let mut wrong = Vec::new();
    for entry in trace["log"].as_array().expect("a log") {
        let value = |key: &str| entry[key].as_f64().map(|value| value as f32);
        let tensor = |key: &str| Tensor { shape: vec![1], data: vec![value(key).expect("a value")] };
        let weights = Weights::from([("w".to_owned(), tensor("w")), ("b".to_owned(), tensor("b"))]);
        average.update(&weights);
        if let (Some(w), Some(b)) = (value("apply_w"), value("apply_b")) {
            applied += 1;
            let found = average.apply(&weights);
            let differs = (found["w"].data[0] - w).abs().max((found["b"].data[0] - b).abs()) > 2e-6;
            if differs || average.steps() != entry["step_after"].as_u64().unwrap_or(0) as usize {
                wrong.push(format!("step {}: {found:?}, not {w} and {b}", entry["t"]));
            }
        }
    }
    assert!(applied >= 4, "only {applied} applications");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn odd_truths_give_finite_losses() {
    let Some(tensors) = fixture("loss_legacy_A") else { return };
    let predictions = predictions(&tensors, 4);
    let cases: [Vec<[f64; 4]>; 5] = [
        vec![],
        vec![[10.0, 10.0, 10.0, 10.0]],
        vec![[-500.0, -500.0, 2000.0, 2000.0]],
        vec![[900.0, 900.0, 910.0, 910.0]],
        vec![[20.0, 20.0, 60.0, 60.0]; 3],
    ];
    let mut wrong = Vec::new();
    for boxes in cases {
        let truth = Truth { classes: vec![1; boxes.len()], boxes };
        let truths = vec![truth.clone(), Truth::default()];
        let images = || truths.iter().enumerate();
        let simota = images().map(|(image, truth)| SimOta::default().assign(&predictions, image, truth));
        let nearest = images().map(|(image, truth)| atss(&predictions, image, truth, 9));
        let aligned = images().map(|(image, truth)| task_aligned(&predictions, image, truth));
        let cases: [(&str, Total, Vec<Assignment>); 3] = [
            ("paper", paper, simota.collect()),
            ("second generation", second_generation, nearest.collect()),
            ("task aligned", second_generation, aligned.collect()),
        ];
        let all = cases.map(|(name, total, assignments)| {
            let (loss, gradients) = compute(total, &predictions, &truths, &assignments);
            (name, loss, gradients)
        });
        for (name, loss, gradients) in all {
            let outputs = gradients.outputs();
            let mut values = outputs.iter().flat_map(|(_, gradient)| gradient.iter());
            if !loss.total().is_finite() || values.any(|value| !value.is_finite()) {
                wrong.push(format!("{name} of {:?}: {}", truth.boxes, loss.total()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
