//! Quantised models with the commands: writing, judging, and computing them in each precision.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use assert_cmd::Command;
use tempfile::TempDir;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/page.png");

/// Exit code, standard output, standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("picodet").expect("the command is built");
    let output = command.args(arguments).env("PICODET_CACHE", "/nonexistent").output().expect("it runs");
    let words = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().unwrap_or(-1), words(output.stdout), words(output.stderr))
}

/// A quantised model, and what the command printed.
fn quantised() -> &'static (TempDir, PathBuf, String) {
    static MODEL: OnceLock<(TempDir, PathBuf, String)> = OnceLock::new();
    MODEL.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("s8.safetensors");
        let (code, out, err) = quantise(&file, &["--min-fidelity", "50", "--any-speed"]);
        assert_eq!(code, 0, "{out}{err}");
        (folder, file, out)
    })
}

fn quantise(file: &Path, more: &[&str]) -> (i32, String, String) {
    let file = file.to_str().expect("a path of text");
    let mut arguments =
        vec!["quantise", "layout_cdla", "--data", PAGE, "--method", "minmax", "--output", file];
    arguments.extend(more);
    run(&arguments)
}

fn detect(model: &str, more: &[&str]) -> (i32, String, String) {
    let mut arguments = vec!["detect", PAGE, "--model", model, "--score", "0.3", "--format", "json"];
    arguments.extend(more);
    run(&arguments)
}

#[test]
fn a_quantised_file_is_computed_in_int8_or_f32_and_nothing_else() {
    let file = quantised().1.to_str().expect("a path of text");
    let (code, own, err) = detect(file, &[]);
    assert_eq!(code, 0, "{err}");
    assert!(own.contains("table"), "{own}");
    for same in ["int8", "auto"] {
        assert_eq!(detect(file, &["--precision", same]).1, own, "{same}");
    }
    let (code, float, err) = detect(file, &["--precision", "f32"]);
    assert_eq!(code, 0, "{err}");
    assert!(float.contains("table"), "{float}");
    assert_ne!(float, own, "floats give the same scores as bytes");
    let (code, _, err) = detect(file, &["--precision", "bf16"]);
    assert_eq!(code, 2);
    assert!(err.contains("computed in int8, or in f32 for comparison, not in bf16"), "{err}");
    let (code, _, err) = detect("layout_cdla", &["--precision", "int8"]);
    assert_eq!(code, 2);
    assert!(err.contains("the model is not quantised; `picodet quantise` writes one"), "{err}");

    let verify = |more: &[&str]| {
        let mut arguments = vec!["verify", file, file, "--images", PAGE];
        arguments.extend(more);
        run(&arguments)
    };
    assert_eq!(verify(&["--precision", "f32"]).0, 0);
    assert_eq!(verify(&["--precision", "f16"]).0, 2);
}

#[test]
fn every_instruction_set_of_the_machine_gives_the_same_detections_in_int8() {
    let file = quantised().1.to_str().expect("a path of text");
    let (_, own, _) = detect(file, &[]);
    for set in picodet::Instructions::available() {
        let (code, found, err) = detect(file, &["--isa", set.name()]);
        assert_eq!((code, &found), (0, &own), "{set}: {err}");
    }
    let (code, _, err) = detect(file, &["--isa", "mmx"]);
    assert_eq!(code, 2);
    assert!(err.contains("no instruction set `mmx`; it has ") && err.contains("portable"), "{err}");
}

#[test]
fn info_and_bench_show_a_quantised_model() {
    let (_, file, report) = quantised();
    let file = file.to_str().expect("a path of text");
    assert!(report.contains("\nlatency     f32 ") && report.contains("times as fast as"), "{report}");
    let (_, info, _) = run(&["info", file, "--plan"]);
    for part in ["minmax, scales from 1 images", "fidelity ", "int8 ", " ms on ", "depthwise 5x5/1 int8"] {
        assert!(info.contains(part), "no `{part}` in\n{info}");
    }
    let bench = ["bench", "--model", file, "--image", PAGE, "--runs", "1", "--warmup", "0"];
    let (code, out, err) = run(&[&bench[..], &["--profile", "--isa", "portable"]].concat());
    assert_eq!(code, 0, "{err}");
    for part in ["portable, int8, 1 thread", "pointwise int8", "depthwise 5x5/1 int8"] {
        assert!(out.contains(part), "no `{part}` in\n{out}");
    }
    let (code, out, _) = run(&[&bench[..], &["--precision", "f32"]].concat());
    assert!(code == 0 && out.contains(", f32, 1 thread"), "{out}");
}

#[test]
fn maps_with_one_scale_are_exported_as_signed_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("map.safetensors");
    let (code, out, err) = quantise(&file, &["--scales", "map", "--min-fidelity", "0", "--any-speed"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("fidelity "), "{out}");
    let file = file.to_str().expect("a path of text");
    let (_, info, _) = run(&["info", file]);
    assert!(info.contains(", one symmetric scale per map"), "{info}");
    let (_, info, _) = run(&["info", quantised().1.to_str().expect("a path of text")]);
    assert!(!info.contains("one symmetric scale"), "{info}");

    let onnx = folder.path().join("map.onnx");
    let output = onnx.to_str().expect("a path of text");
    let (code, _, err) =
        run(&["export", "--model", file, "--head", "raw", "--opset", "14", "--output", output]);
    assert_eq!(code, 0, "{err}");
    let bytes = std::fs::read(&onnx).expect("the model");
    let count = |text: &str| bytes.windows(text.len()).filter(|part| *part == text.as_bytes()).count();
    // Maps are not divided by vectors of scales before they are rounded.
    assert!(count("QuantizeLinear") > 50, "{}", count("QuantizeLinear"));
    assert_eq!((count(".scaled"), count("quantised.one")), (0, 0));
}

#[test]
fn a_model_that_loses_too_much_is_kept_with_exit_code_3() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("s8.safetensors");
    let (code, out, err) = quantise(&file, &["--min-fidelity", "100.5", "--any-speed"]);
    assert_eq!(code, 3, "{out}{err}");
    assert!(err.contains("is below 100.5; the noisiest step is"), "{err}");
    assert!(err.contains("try --method closed-form. The file is kept"), "{err}");
    assert!(picodet::Model::from_bytes(&std::fs::read(file).expect("a file")).is_ok());
}

#[test]
fn the_time_for_steps_in_f32_is_milliseconds() {
    for wrong in ["much", "-1", "NaN"] {
        let (code, _, err) = quantise(Path::new("none.safetensors"), &[&format!("--mixed={wrong}")]);
        assert_eq!(code, 2, "{wrong}");
        assert!(err.contains("expected auto or milliseconds such as 0.5"), "{wrong}: {err}");
    }
}

#[test]
fn labels_of_other_classes_are_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(PAGE, folder.path().join("page.png")).expect("the page");
    let labels = r#"{"images": [{"id": 1, "file_name": "page.png", "width": 1216, "height": 1600}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40], "area": 1200, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "bee"}]}"#;
    let data = folder.path().join("labels.json");
    std::fs::write(&data, labels).expect("written");
    let file = folder.path().join("s8.safetensors");
    let judge = ["--judge", data.to_str().expect("text"), "--min-fidelity", "0", "--any-speed"];
    let (code, out, err) = quantise(&file, &judge);
    assert_eq!(code, 0, "{out}{err}");
    assert!(err.contains("no class in common") && err.contains("AP is not measured"), "{err}");
    assert!(out.contains("fidelity") && !out.contains("AP  "), "{out}");
}
