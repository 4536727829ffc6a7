//! Every error that wrong arguments or files lead to: one line, with what, where and a remedy.

use crate::fixture;
use crate::harness::{Case, DECIMALS, check, run};

const USAGE: &[Case] = &[
    ("error-no-command", ""),
    ("error-unknown-command", "detekt page.png"),
    ("error-unknown-option", "detect page.png --treshold 0.5"),
    ("error-detect-no-image", "detect"),
    ("error-score-text", "detect page.png --score high"),
    ("error-format", "detect page.png --format xml"),
    ("error-precision", "detect page.png --precision int8"),
    ("error-size-text", "detect page.png --input-size big"),
    ("error-size-multiple", "detect page.png --input-size 100x100"),
    ("error-interpolation", "detect page.png --resize best"),
    ("error-info-conflict", "info --nodes --plan"),
    ("error-data-format", "data convert squares --to tfrecord --output out"),
    ("error-train-arguments", "train v2_xs_320"),
    ("error-train-resume-conflict", "train --resume run --epochs 3"),
    ("error-train-batch", "train v2_xs_320 --data squares --batch 0"),
    ("error-train-on-nan", "train v2_xs_320 --data squares --on-nan ignore"),
];

const IMAGES: &[Case] = &[
    ("error-image-missing", "detect missing.jpg"),
    ("error-image-folder", "detect no_images"),
    ("error-image-glob", "detect missing*.jpg"),
    ("error-image-bad-glob", "detect missing[.jpg"),
    ("error-image-empty", "detect empty.jpg"),
    ("error-image-format", "detect text.jpg"),
    ("error-image-broken", "detect broken.png"),
    ("error-image-huge", "detect huge.bmp"),
    ("error-image-some", "detect page.png broken.png --model layout_cdla --score 0.99 --output drawn"),
    ("error-image-id", "detect page.png --format coco"),
    ("error-annotations-list", "detect 42.png --format coco --annotations no_list.json"),
    ("error-annotations-missing", "detect 42.png --format coco --annotations missing.json"),
    ("error-annotations-syntax", "detect 42.png --format coco --annotations syntax.json"),
    ("error-drawing-folder", "detect page.png --output file/drawn"),
    ("error-score-range", "detect page.png --score 7"),
];

const MODELS: &[Case] = &[
    ("error-model-missing", "detect page.png --model missing.safetensors"),
    ("error-model-network", "detect page.png --model ablation_1_base_416"),
    ("error-model-http", "detect page.png --model http://example.org/m"),
    ("error-model-offline", "detect page.png --model https://example.org/m --offline"),
    ("error-model-image", "detect page.png --model page.png"),
    ("error-model-text", "detect page.png --model model_text.safetensors"),
    ("error-model-cut", "detect page.png --model model_cut.safetensors"),
    ("error-model-variant", "detect page.png --model model_variant.safetensors"),
    ("error-model-tensor", "detect page.png --model model_tensor.safetensors"),
    ("error-model-rows", "detect page.png --model model_rows.safetensors"),
    ("error-model-format", "detect page.png --model model_format.safetensors"),
    ("error-model-no-metadata", "detect page.png --model tensors.safetensors"),
    ("error-model-folder", "detect page.png --model squares"),
    ("error-info-missing", "info missing"),
    ("error-info-plan", "info v2_l_640 --plan"),
    ("error-bench-image", "bench --image text.jpg"),
    (
        "error-forward-input",
        "forward --model layout_cdla --input tensors.safetensors --output out.safetensors",
    ),
    ("error-forward-size", "forward --model layout_cdla --input image.safetensors --output out.safetensors"),
    ("error-forward-text", "forward --model layout_cdla --input file --output out.safetensors"),
    ("error-convert-variant", "convert weights.onnx --variant v9 --output out.safetensors"),
    ("error-convert-missing", "convert missing.onnx --variant v2_s_320 --output out.safetensors"),
    ("error-convert-format", "convert weights.xyz --variant v2_s_320 --output out.safetensors"),
    ("error-convert-pdparams", "convert weights.pdparams --variant v2_s_320 --output out.safetensors"),
    ("error-convert-onnx", "convert weights.onnx --variant v2_s_320 --output out.safetensors"),
    ("error-convert-ncnn", "convert weights.param --variant v2_s_320 --output out.safetensors"),
    (
        "error-convert-bin",
        "convert weights.param --variant v2_s_320 --bin missing.bin --output out.safetensors",
    ),
    ("error-convert-safetensors", "convert tensors.safetensors --variant v2_s_320 --output out.safetensors"),
    ("error-export-batch", "export --batch many --output out.onnx"),
    ("error-export-nms", "export --max-detections 10 --output out.onnx"),
    ("error-export-opset", "export --opset 99 --output out.onnx"),
    ("error-export-folder", "export --output file/out.onnx"),
];

const QUANTISATION: &[Case] = &[
    ("error-quantise-data", "quantise layout_cdla --data missing --output out.safetensors"),
    ("error-quantise-empty", "quantise layout_cdla --data no_images --output out.safetensors"),
    ("error-quantise-broken", "quantise layout_cdla --data broken.png --output out.safetensors"),
    ("error-quantise-count", "quantise layout_cdla --data page.png --images 0 --output out.safetensors"),
    (
        "error-quantise-objects",
        "quantise layout_cdla --data grey.bmp --method minmax --output out.safetensors",
    ),
];

const DATA: &[Case] = &[
    ("error-dataset-missing", "check missing"),
    ("error-dataset-nothing", "check nothing"),
    ("error-dataset-text", "check names.txt"),
    ("error-dataset-syntax", "check syntax.json"),
    ("error-dataset-array", "check array.json"),
    ("error-dataset-split", "check squares/squares.json --split val"),
    ("error-dataset-split-name", "data convert splits --to yolo --output out --split test"),
    ("error-dataset-splits", "eval splits --detections results.json"),
    ("error-dataset-yolo", "check yolo"),
    ("error-dataset-faulty", "data split yolo_row --output out"),
    ("error-data-output", "data convert squares --to yolo --output nothing"),
    ("error-data-inside", "data convert squares --to yolo --output squares/out"),
    ("error-split-part", "data split squares --parts train --output out"),
    ("error-split-number", "data split squares --parts train=most --output out"),
    ("error-split-sum", "data split squares --parts train=0.5,val=0.2 --output out"),
    ("error-split-negative", "data split squares --parts train=1.5,val=-0.5 --output out"),
    ("error-split-names", "data split squares --parts train=0.5,train=0.5 --output out"),
    ("error-fix-output", "check squares_faulty --fix nothing"),
];

const EVALUATION: &[Case] = &[
    ("error-eval-one-input", "eval squares"),
    ("error-eval-two-inputs", "eval layout_cdla squares --detections results.json"),
    ("error-eval-missing", "eval squares --detections missing.json"),
    ("error-eval-image", "eval squares --detections results_image.json"),
    ("error-eval-type", "eval squares --detections results_type.json"),
    ("error-eval-box", "eval squares --detections results_box.json"),
    ("error-eval-nan", "eval squares --detections results_nan.json"),
    ("error-eval-cut", "eval squares --detections results_cut.json"),
    ("error-eval-object", "eval squares --detections results_object.json"),
    ("error-verify-object", "verify layout_cdla results_object.json --images 42.png"),
    ("error-verify-category", "verify layout_cdla results_category.json --images 42.png"),
    ("error-verify-id", "verify layout_cdla results.json --images page.png"),
];

const TRAINING: &[Case] = &[
    ("error-train-data", "train v2_xs_320 --data missing"),
    ("error-train-recipe", "train v9 --data squares"),
    ("error-train-recipe-key", "train recipe_key.toml --data squares"),
    ("error-train-recipe-syntax", "train recipe_syntax.toml --data squares"),
    ("error-train-recipe-model", "train recipe_model.toml --data squares"),
    ("error-train-recipe-size", "train recipe_size.toml --data squares"),
    ("error-train-recipe-rate", "train recipe_rate.toml --data squares"),
    ("error-train-recipe-zero", "train recipe_zero.toml --data squares"),
    ("error-train-augment", "train recipe.toml --data squares --augment blur"),
    ("error-train-augment-probability", "train recipe.toml --data squares --augment flip"),
    ("error-train-faulty", "train recipe.toml --data squares_faulty"),
    ("error-train-split", "train recipe.toml --data splits --split test"),
    ("error-train-weights", "train recipe.toml --data squares --weights missing.safetensors"),
    ("error-train-device", "train recipe.toml --data squares --device tpu --time-limit 0"),
    ("error-train-auto-device", "train recipe.toml --data squares --batch auto --device cuda"),
    ("error-train-rate", "train recipe.toml --data squares --rate=-1"),
    ("error-train-output", "train recipe.toml --data squares --output file/run --time-limit 0"),
    ("error-resume-missing", "train --resume missing"),
    ("error-resume-none", "train --resume run_none"),
    ("error-resume-broken", "train --resume run_broken"),
    ("error-resume-other", "train --resume run_other"),
];

macro_rules! group {
    ($name:ident, $cases:ident, $filters:expr) => {
        #[test]
        fn $name() {
            check(fixture::folder().path(), $cases, $filters);
        }
    };
}

group!(usage_errors, USAGE, &[]);
group!(image_errors, IMAGES, &[DECIMALS]);
group!(model_errors, MODELS, &[]);
group!(quantisation_errors, QUANTISATION, &[DECIMALS]);
group!(data_errors, DATA, &[]);
group!(evaluation_errors, EVALUATION, &[]);
group!(training_errors, TRAINING, &[(r"\d+ threads?", "[N] threads")]);

/// Each error is one line; only usage errors, which clap writes, have several.
#[test]
fn errors_are_one_line() {
    let folder = fixture::folder();
    let groups = [IMAGES, MODELS, DATA, EVALUATION];
    for (name, arguments) in groups.into_iter().flatten() {
        let text = run(folder.path(), arguments, &[]);
        let errors = text.split("----- stderr -----\n").nth(1).unwrap_or_default();
        // `check` prints what is wrong with a dataset as findings.
        assert!(!errors.is_empty() || arguments.starts_with("check "), "{name}: no error in {text}");
        assert!(errors.lines().all(|line| line.starts_with("picodet: ")), "{name}: {text}");
    }
}
