//! Text of a YOLO label file, and of a `data.yaml`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use picodet_data::{Findings, yolo};

fuzz_target!(|text: &str| {
    let _ = yolo::parse_labels(text, (640, 480), 3, "label.txt", &mut Findings::default());
    let _ = yolo::parse_data_yaml(text, std::path::Path::new("data.yaml"), &mut Findings::default());
});
