//! Every command takes a network whose architecture is not published, and its recipe.

use std::path::Path;
use std::process::Command;

mod squares;

use squares::dataset;

/// A recipe for one epoch of a network with narrower blocks, neck and towers.
const RECIPE: &str = r#"
model = "legacy_s_320"
epochs = 1
loss = "paper"

[architecture]
ratios = [0.5, 1.0, 0.75, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.625]
neck_channels = 48
neck_kernel = 3
tower_convolutions = 1
tower_kernel = 3

[batch]
images = 4
sizes = [64]
augmentation = ["flip 0.5"]

[rate]
base = 0.01
epochs = 1

[assigner]
kind = "sim_ota"
"#;

/// Runs the command in a folder; returns its standard output.
fn run(folder: &Path, arguments: &str) -> String {
    let program = assert_cmd::cargo::cargo_bin("picodet");
    let output = Command::new(program)
        .args(arguments.split(' '))
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .output()
        .expect("the command runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_command_takes_a_searched_network() {
    let directory = tempfile::tempdir().expect("a folder");
    let folder = directory.path();
    dataset(folder);
    std::fs::write(folder.join("searched.toml"), RECIPE).expect("a recipe");
    std::fs::write(folder.join("classes.txt"), "square").expect("a class");
    run(folder, "train searched.toml --data squares.json --threads 1 --unchecked --output run");
    let model = "run/final.safetensors";

    // The file has the architecture of the recipe, which the published network does not have.
    let info: serde_json::Value =
        serde_json::from_str(&run(folder, &format!("info {model} --json"))).expect("JSON");
    let published: serde_json::Value =
        serde_json::from_str(&run(folder, "info legacy_s_320 --json")).expect("JSON");
    assert_eq!(info["architecture"]["neck_channels"], 48);
    assert_eq!(
        (&published["architecture"], &info["network"]),
        (&serde_json::Value::Null, &published["network"])
    );
    assert!(info["parameters"].as_u64() < published["parameters"].as_u64());
    assert!(run(folder, &format!("info {model}")).contains("\"tower_kernel\":3"));

    for command in [
        format!("detect 0.png 1.png --model {model} --score 0"),
        format!("eval {model} squares.json"),
        format!("bench --model {model} --runs 1 --warmup 0 --profile"),
        "train --resume run".to_owned(),
    ] {
        run(folder, &command);
    }

    // An exported network comes back with its architecture and computes the same.
    run(folder, &format!("export --model {model} --head raw --output searched.onnx"));
    for variant in ["legacy_s_320", "searched.toml"] {
        run(
            folder,
            &format!(
                "convert searched.onnx --variant {variant} --input-size 64x64 --classes classes.txt --output back.safetensors"
            ),
        );
        let verified =
            run(folder, &format!("verify {model} back.safetensors --images 0.png 1.png --score 0.005"));
        let counterparts = verified.lines().find_map(|line| line.strip_prefix("1: ")).expect("a comparison");
        let count: usize =
            counterparts.split(' ').next().and_then(|count| count.parse().ok()).expect("a number");
        assert!(count > 0 && counterparts.starts_with(&format!("{count} of {count} ")), "{verified}");
    }

    // A published recipe takes the architecture of the weights.
    run(
        folder,
        &format!(
            "train legacy_s_320 --weights {model} --data squares.json --epochs 1 --sizes 64x64 --threads 1 --unchecked --output more"
        ),
    );
    let more: serde_json::Value =
        serde_json::from_str(&run(folder, "info more/final.safetensors --json")).expect("JSON");
    assert_eq!(more["architecture"], info["architecture"]);
}
