//! The commands as a user runs them: output, files and exit codes.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use picodet_testing::shared_path;

fn picodet(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("picodet").expect("the command is built");
    command.args(arguments).env("PICODET_CACHE", "/nonexistent");
    command
}

fn page() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/page.png"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// Exit code, standard output, standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = picodet(arguments).output().expect("the command runs");
    let words = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().unwrap_or(-1), words(output.stdout), words(output.stderr))
}

#[test]
fn the_first_command_finds_the_objects_of_the_photo_and_draws_them() {
    let photo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/coffee.jpg");
    let folder = tempfile::tempdir().expect("a folder");
    let (code, out, err) = run(&["detect", photo, "--output", text(folder.path())]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains(": cup 0.8") && out.contains(": dining table 0.9"), "{out}");
    let drawn = picodet::open_image(folder.path().join("coffee.jpg")).expect("a drawing");
    assert_eq!((drawn.width(), drawn.height()), (600, 400));
    // The embedded model, the same bytes as a file, and the default are one.
    let model = folder.path().join("m.safetensors");
    let embedded = picodet::embedded_model(picodet::DEFAULT_MODEL).expect("the default model");
    std::fs::write(&model, embedded.bytes).expect("a file");
    for name in [embedded.name, text(&model)] {
        assert_eq!(run(&["detect", photo, "--model", name]).1, out, "{name}");
    }
}

#[test]
fn the_layout_model_finds_the_parts_of_the_page_and_draws_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, out, err) =
        run(&["detect", text(&page()), "--model", "layout_cdla", "--output", text(folder.path())]);
    assert_eq!(code, 0, "{err}");
    for class in ["table", "figure", "text", "title"] {
        assert!(out.contains(&format!(": {class} 0.")), "no {class} in\n{out}");
    }
    let drawn = picodet::open_image(folder.path().join("page.png")).expect("a drawing");
    let original = picodet::open_image(page()).expect("the page");
    assert_eq!((drawn.width(), drawn.height()), (original.width(), original.height()));
    assert_ne!(drawn.data(), original.data());
}

#[test]
fn a_drawing_that_cannot_be_written_does_not_hide_what_was_found() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("page.png")).expect("a folder in the way");
    let (code, out, err) =
        run(&["detect", text(&page()), "--model", "layout_cdla", "--output", text(folder.path())]);
    assert_eq!(code, 1, "{err}");
    assert!(out.contains(": table 0."), "{out}");
    assert!(err.contains("page.png"), "{err}");
}

#[test]
fn bf16_finds_the_same_objects_or_is_refused() {
    let image = page();
    let arguments =
        ["detect", text(&image), "--model", "layout_cdla", "--precision", "bf16", "--score", "0.9"];
    let (code, out, err) = run(&arguments);
    let able = picodet::crates::engine::CpuEngine::new().with_precision(picodet::Precision::Bf16).is_some();
    if !able {
        assert_eq!((code, err.lines().count()), (2, 1), "{err}");
        assert!(err.contains("no instructions for bf16"), "{err}");
        return;
    }
    assert_eq!(code, 0, "{err}");
    let (_, exact, _) = run(&["detect", text(&image), "--model", "layout_cdla", "--score", "0.9"]);
    let classes = |lines: &str| -> Vec<String> {
        let mut classes: Vec<String> = lines
            .lines()
            .filter_map(|line| line.split(": ").nth(1)?.split(' ').next().map(str::to_owned))
            .collect();
        classes.sort();
        classes
    };
    assert!(classes(&exact).len() > 3, "{exact}");
    assert_eq!(classes(&out), classes(&exact), "{out}\n{exact}");
    assert_ne!(out, exact, "bf16 changes no score");
}

#[test]
fn the_bench_names_every_step_and_its_share_of_the_limit() {
    let (code, out, err) = run(&["bench", "--runs", "2", "--warmup", "0", "--profile", "--format", "json"]);
    assert_eq!(code, 0, "{err}");
    let value: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let number = |value: &serde_json::Value| value.as_f64().unwrap_or(f64::NAN);
    let profile = &value["profile"];
    assert!(number(&profile["peak_gmacs_per_second"]) > 0.0, "{out}");
    let steps = profile["steps"].as_array().expect("steps");
    let macs: f64 = steps.iter().map(|step| number(&step["macs"])).sum();
    assert_eq!(macs, number(&profile["macs"]), "the steps make up the network");
    assert!(steps.iter().all(|step| number(&step["percent_of_peak"]) >= 0.0), "{out}");
}

#[test]
fn every_format_holds_the_same_objects() {
    let (_, lines, _) = run(&["detect", text(&page()), "--model", "layout_cdla"]);
    let count = lines.lines().count();
    assert!(count > 5, "{lines}");

    let (_, json, _) = run(&["detect", text(&page()), "--model", "layout_cdla", "--format", "json"]);
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(value["detections"].as_array().map(Vec::len), Some(count));
    assert_eq!(value["width"], 1216);

    let (_, csv, _) = run(&["detect", text(&page()), "--model", "layout_cdla", "--format", "csv"]);
    assert_eq!(csv.lines().count(), count + 1);

    let folder = tempfile::tempdir().expect("a folder");
    let numbered = folder.path().join("000042.png");
    std::fs::copy(page(), &numbered).expect("a copy");
    let (code, coco, _) = run(&["detect", text(&numbered), "--model", "layout_cdla", "--format", "coco"]);
    let value: serde_json::Value = serde_json::from_str(&coco).expect("JSON");
    assert_eq!(code, 0);
    assert_eq!(value.as_array().map(Vec::len), Some(count));
    assert_eq!(value[0]["image_id"], 42);
    assert!(value[0]["bbox"][2].as_f64().is_some_and(|width| width > 0.0));

    let (code, _, err) = run(&["detect", text(&page()), "--model", "layout_cdla", "--format", "coco"]);
    assert!(code == 1 && err.contains("no image id"), "{code}: {err}");
}

#[test]
fn one_bad_image_does_not_stop_the_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a_broken.png"), b"\x89PNG\r\n\x1a\nnothing").expect("a file");
    std::fs::write(folder.path().join("b_empty.jpg"), b"").expect("a file");
    std::fs::copy(page(), folder.path().join("c_page.png")).expect("a copy");
    std::fs::write(folder.path().join("notes.txt"), b"not an image").expect("a file");
    let (code, out, err) = run(&["detect", text(folder.path()), "--model", "layout_cdla"]);
    assert_eq!(code, 1, "{err}");
    assert!(out.contains("c_page.png: table"), "{out}");
    assert!(
        err.contains("a_broken.png") && err.contains("b_empty.jpg") && !err.contains("notes.txt"),
        "{err}"
    );
    assert!(!err.contains("panicked"), "{err}");
}

#[test]
fn errors_are_one_line_with_a_remedy() {
    let page = page();
    let page = text(&page);
    let cases: [(&[&str], i32, &str); 9] = [
        (&["detect", "missing.jpg"], 2, "missing.jpg: no such file"),
        (&["detect", page, "--model", "ablation_1_base_416"], 2, "picodet convert"),
        (&["detect", page, "--model", "missing.safetensors"], 2, "no such file"),
        (&["detect", page, "--model", "http://example.org/m"], 2, "only https"),
        (&["detect", page, "--model", "https://example.org/m", "--offline"], 2, "--offline"),
        (&["detect", page, "--model", page], 2, "not a picodet model"),
        (&["detect", page, "--score", "7"], 2, "between 0 and 1"),
        (&["detect", page, "--input-size", "100x100"], 2, "multiples of 32"),
        (&["convert", page, "--variant", "v9", "-o", "x"], 2, "picodet models"),
    ];
    let mut wrong = Vec::new();
    for (arguments, expected, word) in cases {
        let (code, _, err) = run(arguments);
        if code != expected
            || !err.contains(word)
            || err.contains("panicked")
            || err.contains("stack backtrace")
        {
            wrong.push(format!("{arguments:?}: {code}: {err}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn an_image_comes_from_standard_input() {
    let output = picodet(&["detect", "-", "--format", "json"])
        .write_stdin(std::fs::read(page()).expect("the page"))
        .output()
        .expect("the command runs");
    assert!(output.status.success());
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(value["file"], "-");
}

#[test]
fn info_and_models_show_what_there_is() {
    let (code, models, _) = run(&["models"]);
    assert!(code == 0 && models.contains("legacy_s_320 ") && models.contains("992715"), "{models}");
    let (code, info, _) = run(&["info", "legacy_s_320"]);
    assert!(code == 0 && info.contains("351.0 M") && info.contains("tower"), "{info}");
    assert!(models.contains("\ncoco_s_416 ") && models.contains("\nlayout_cdla  "), "{models}");
    let (code, info, _) = run(&["info"]);
    assert!(code == 0 && info.contains("Apache-2.0") && info.contains("hair drier"), "{info}");
    let (code, info, _) = run(&["info", "layout_cdla"]);
    assert!(code == 0 && info.contains("8-bit rows 1746400") && info.contains("figure_caption"), "{info}");
    let (code, plan, err) = run(&["info", "--plan"]);
    assert!(code == 0 && plan.contains("head.level0.prediction"), "{err}{plan}");
    let (code, _, err) = run(&["info", "v2_l_640", "--plan"]);
    assert!(code == 2 && err.contains("--plan needs weights"), "{err}");
    let (_, json, _) = run(&["info", "v2_l_640", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(value["parameters"], 5_804_500);
    let (code, nodes, _) = run(&["info", "esnet_x1_0", "--nodes"]);
    assert!(code == 0 && nodes.contains("channel_shuffle"), "{nodes}");
}

#[test]
fn converted_weights_run_forward_as_the_reference_does() {
    let Some(pdparams) = shared_path("golden/forward/legacy_s_320.pdparams") else {
        return;
    };
    let Some(input) = shared_path("golden/forward/legacy_s_320.128x160.safetensors") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (model, output) = (folder.path().join("s.safetensors"), folder.path().join("out.safetensors"));
    let (code, _, err) = run(&["convert", text(&pdparams), "--variant", "legacy_s_320", "-o", text(&model)]);
    assert_eq!(code, 0, "{err}");
    let arguments = [
        "forward",
        "--model",
        text(&model),
        "--input",
        text(&input),
        "--output",
        text(&output),
        "--dtype",
        "f64",
    ];
    let (code, _, err) = run(&arguments);
    assert_eq!(code, 0, "{err}");
    let read = |path: &Path| {
        picodet::crates::weights::read_tensors(&std::fs::read(path).expect("a file")).expect("tensors").0
    };
    let (found, expected) = (read(&output), read(&input));
    let missing: Vec<&String> = expected
        .keys()
        .filter(|name| !found.contains_key(*name) && *name != "image" && *name != "scale_factor")
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let largest = found["boxes"]
        .data
        .iter()
        .zip(&expected["boxes"].data)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(largest < 1e-3, "boxes differ by {largest} pixels");
}

#[cfg(not(feature = "mpi"))]
#[test]
fn processes_that_were_started_together_without_mpi_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("run");
    let arguments = ["train", "v2_xs_320", "--data", "nowhere", "--output", text(&output)];
    for name in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"] {
        let result = picodet(&arguments).env(name, "2").output().expect("the command runs");
        let errors = String::from_utf8(result.stderr).expect("text");
        assert_eq!(result.status.code(), Some(2), "{errors}");
        assert!(
            errors.contains("2 processes were started together") && errors.lines().count() == 1,
            "{errors}"
        );
        assert!(!output.exists());
        // A single process is accepted: the error is about the data.
        let result = picodet(&arguments).env(name, "1").output().expect("the command runs");
        let errors = String::from_utf8(result.stderr).expect("text");
        assert!(errors.contains("nowhere") && !errors.contains("processes"), "{errors}");
    }
}
