//! Exports a model to ONNX with non-maximum suppression, for batches of any size.
//!
//! ```sh
//! cargo run --release -p picodet --features export --example export -- MODEL.safetensors OUTPUT.onnx
//! ```
//!
//! The input is `image` `[n, 3, h, w]`, normalised; the output is `detections` `[m, 7]`: image of the batch, class,
//! score, x1, y1, x2, y2 in pixels of the input.

use std::error::Error;

use picodet::Model;
use picodet::export::{Batch, ExportOptions, HeadOutput, options, to_onnx};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, output] = &arguments[..] else {
        return Err("usage: export MODEL.safetensors OUTPUT.onnx".into());
    };
    let model = Model::from_bytes(&std::fs::read(model)?)?;
    let head = HeadOutput::Nms { score_threshold: 0.25, iou_threshold: 0.6, max_detections: 100 };
    let options = ExportOptions { batch: Batch::Dynamic, ..options(&model, head) };
    std::fs::write(output, to_onnx(&model, &options)?)?;
    Ok(())
}
