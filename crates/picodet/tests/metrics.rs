//! Metrics on real detections equal pycocotools', and our detections measure as the reference's do.

use std::ops::ControlFlow;

use picodet::crates::data::Dataset;
use picodet::crates::eval::{DEFAULT_LIMIT, Evaluation, evaluate, read_results};
use picodet::crates::zoo::variant;
use picodet::evaluate::{GroundTruths, detect_dataset};
use picodet::{ConvertOptions, convert};
use picodet::{Interpolation, Options};
use picodet_testing::shared_path;

/// Printed by pycocotools 2.0 for the detections of ncnn and of ONNX Runtime in the shared folder.
const S_416_NCNN: [f64; 12] = [
    0.37547884936317644,
    0.5306123565023186,
    0.4129219692723355,
    0.14795085328295116,
    0.42258427454184044,
    0.5925381969740882,
    0.35231205117905673,
    0.5011995296949553,
    0.5217362789022862,
    0.21320764613233673,
    0.589916523900254,
    0.7500772012103737,
];
const XS_320_ONNX_RUNTIME: [f64; 12] = [
    0.2817048705649699,
    0.41652757080465286,
    0.3032450314528867,
    0.10152285984468182,
    0.29107189459043964,
    0.4682740172728586,
    0.28809355140548953,
    0.400321384415273,
    0.4175816780149113,
    0.14545313757590045,
    0.432403714951068,
    0.6692662252183973,
];

fn dataset() -> Option<Dataset> {
    let mut dataset =
        Dataset::open(shared_path("data/coco-mini/instances_val.json")?, None).expect("sound data");
    dataset.root = shared_path("data/coco-mini/val")?;
    Some(dataset)
}

fn measure(dataset: &Dataset, detections: &[picodet::crates::eval::Detection]) -> Evaluation {
    let truth = GroundTruths::of(dataset);
    evaluate(&truth.image_ids, &truth.categories, &truth.objects, detections).expect("sound data")
}

fn measured_file(dataset: &Dataset, name: &str) -> Option<[f64; 12]> {
    let file = std::fs::File::open(shared_path(&format!("data/coco-mini/{name}"))?).expect("a readable file");
    let detections = read_results(file, DEFAULT_LIMIT).expect("sound results");
    Some(measure(dataset, &detections).summary().values())
}

#[test]
fn metrics_equal_pycocotools() {
    let Some(dataset) = dataset() else { return };
    let mut wrong = Vec::new();
    for (name, expected) in [
        ("detections_picodet_s_416_ncnn.json", S_416_NCNN),
        ("detections_picodet_xs_320_onnxruntime.json", XS_320_ONNX_RUNTIME),
    ] {
        let Some(found) = measured_file(&dataset, name) else { return };
        let differences = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs());
        if differences.fold(0.0, f64::max) > 1e-12 {
            wrong.push(format!("{name}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn our_detections_measure_as_the_references_do() {
    let Some(dataset) = dataset() else { return };
    let weights = "data/weights/picodet";
    let cases = [
        ("legacy_s_416", "_s_416_esnet_legacy.ncnn.param", None, Interpolation::Linear, S_416_NCNN[0]),
        ("v2_xs_320", "_xs_320_lcnet_postprocessed.onnx", None, Interpolation::Cubic, XS_320_ONNX_RUNTIME[0]),
        // No detections of others exist for these weights on these images; on 328 images, of which these are a part,
        // ncnn has an AP of 0.298.
        (
            "legacy_s_320",
            "_s_416_esnet_legacy.ncnn.param",
            Some("_s_320_esnet_legacy.ncnn.bin"),
            Interpolation::Linear,
            f64::NAN,
        ),
    ];
    let mut wrong = Vec::new();
    for (name, source, bin, resize, expected) in cases {
        let Some(source) = shared_path(&format!("{weights}{source}")) else { return };
        let bin = bin.and_then(|bin| shared_path(&format!("{weights}{bin}")));
        let options = ConvertOptions { bin, ..ConvertOptions::default() };
        let model = convert(&source, variant(name).expect("a variant"), &options).expect("sound weights");
        let options = Options::new().with_resize(resize);
        let found = detect_dataset(&model, &options, &dataset, 0, &|_| ControlFlow::Continue(()))
            .expect("a detector");
        assert!(found.failures.is_empty() && found.unknown_classes.is_empty(), "{found:?}");
        let ap = measure(&dataset, &found.detections).summary().ap;
        let near = if expected.is_nan() { (0.27..0.37).contains(&ap) } else { (ap - expected).abs() < 0.001 };
        if !near {
            wrong.push(format!("{name}: AP {ap}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
