//! Results and status of the commands.

use crate::fixture;
use crate::harness::{Case, DECIMALS, Filter, JSON_NUMBERS, check};

/// Times, throughputs and thread counts.
const TIMES: &[Filter] = &[
    (r"\d+(\.\d+)? (ms|min \d\d s|s)\b", "[TIME]"),
    (r"\d+ threads?", "[N] threads"),
    (r"data wait \d+ %", "data wait [N] %"),
    // On slow machines, further steps have their own lines.
    (r"(?m)(^step .*\n)(^step .*\n)*", "$1"),
    DECIMALS,
];

#[test]
fn networks() {
    let cases: &[Case] = &[
        ("models", "models"),
        ("info", "info"),
        ("info-layout", "info layout_cdla --depth 1"),
        ("info-depth", "info v2_xs_320 --depth 2"),
        ("info-input-size", "info legacy_s_320 --depth 1 --input-size 416"),
        ("info-json", "info v2_s_320 --json"),
        ("info-nodes", "info esnet_x0_25 --nodes"),
    ];
    check(fixture::folder().path(), cases, &[]);
}

#[test]
fn detections() {
    let cases: &[Case] = &[
        ("detect-photo", "detect coffee.jpg"),
        ("detect-text", "detect page.png --model layout_cdla --score 0.7"),
        ("detect-nothing", "detect squares/0.bmp --score 0.9"),
        ("detect-csv", "detect page.png --model layout_cdla --format csv --score 0.7"),
        ("verify-equal", "verify layout_cdla layout_cdla --images 42.png"),
        ("verify-differs", "verify layout_cdla results.json --images 42.png --score 0.7"),
    ];
    check(fixture::folder().path(), cases, &[DECIMALS]);
    let cases: &[Case] = &[
        ("detect-json", "detect page.png --model layout_cdla --format json --score 0.7"),
        ("detect-coco", "detect 42.png --model layout_cdla --format coco --score 0.7"),
    ];
    check(fixture::folder().path(), cases, &[DECIMALS]);
}

#[test]
fn datasets() {
    let cases: &[Case] = &[
        ("check-clean", "check squares"),
        ("check-faulty", "check squares_faulty"),
        ("check-faulty-json", "check squares_faulty --format json"),
        ("check-fix", "check squares_faulty --fix fixed --html report.html"),
        ("check-fixed", "check squares_faulty --fix repaired --allow-loss"),
        ("data-convert", "data convert squares --to yolo --output yolo_out"),
        ("data-convert-lossy", "data convert squares_faulty --to voc --output voc_out"),
        ("data-split", "data split squares --parts train=0.5,val=0.5 --output parts"),
        ("data-convert-splits", "data convert parts --to yolo --output parts_yolo"),
        ("data-split-joined-coco", "data split parts --parts train=0.5,val=0.5 --output parts_coco"),
        ("data-split-joined", "data split parts_yolo --parts train=0.5,val=0.5 --output parts_again"),
        ("eval-detections", "eval squares --detections results.json"),
        ("eval-detections-json", "eval squares --detections results.json --format json"),
        ("eval-html", "eval squares --detections results.json --html eval.html --output again.json"),
    ];
    check(fixture::folder().path(), cases, &[]);
}

#[test]
fn measurements() {
    let cases: &[Case] = &[
        ("bench", "bench --runs 2 --warmup 0"),
        ("bench-json", "bench --runs 2 --warmup 0 --format json"),
        ("eval-model", "eval layout_cdla squares"),
    ];
    let machine: &[Filter] = &[
        (r"(?m)^engine     [^,]+,", "engine     [ISA],"),
        (r"(?m)^processor  .*\n", ""),
        (r"(?m)^memory     .*\n", ""),
        (r#"("instruction_set"|"processor"): "[^"]*""#, r#"$1: "[MACHINE]""#),
        (r#""processor": null"#, r#""processor": "[MACHINE]""#),
        (r#""peak_memory_bytes": null"#, r#""peak_memory_bytes": [N]"#),
        JSON_NUMBERS,
        (r" +-?\d+\.\d+", " [N]"),
        (r"\d+ objects", "[N] objects"),
        TIMES[0],
        DECIMALS,
    ];
    check(fixture::folder().path(), cases, machine);
}

#[test]
fn models_that_are_written() {
    let cases: &[Case] = &[
        ("export", "export --output out.onnx --input-size 64"),
        ("forward", "forward --model layout_cdla --input input.safetensors --output out.safetensors"),
    ];
    check(fixture::folder().path(), cases, &[(r"\d{4,} bytes", "[N] bytes")]);
}

/// A run that stops at once, its resumption, and a second run in the same folder.
#[test]
fn runs() {
    let cases: &[Case] = &[
        ("train-start", "train recipe.toml --data squares --batch 4 --time-limit 0"),
        ("train-exists", "train recipe.toml --data squares --batch 4 --time-limit 0"),
        ("train-resume", "train --resume run"),
        (
            "train-weights",
            "train recipe.toml --data squares --batch 4 --time-limit 0 --weights run/last.safetensors --output two",
        ),
        (
            "train-small-batch",
            "train recipe.toml --data squares --batch 4 --time-limit 0 --freeze-backbone --output three",
        ),
    ];
    check(fixture::folder().path(), cases, TIMES);
}
