//! The exports of every network are converted, whatever their head and version: no layer of them is unknown, and the channels
//! of every convolution are compared.

use std::collections::BTreeMap;

use picodet_export::{Batch, ExportOptions, HeadOutput, to_onnx};
use picodet_model::{ConvertOptions, convert};
use picodet_testing::Cases;
use picodet_weights::{ChannelCoverage, compare_channels};
use picodet_zoo::variants;

mod common;

use common::weights;

#[test]
fn every_export_is_converted() {
    let heads = [
        HeadOutput::Raw,
        HeadOutput::Decoded,
        HeadOutput::Nms { score_threshold: 0.1, iou_threshold: 0.6, max_detections: 100 },
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("m.onnx");
    let mut cases = Cases::new();
    for (index, variant) in variants().iter().enumerate() {
        let graph = variant.architecture.graph(variant.classes.len());
        let options = ExportOptions {
            head: heads[index % heads.len()],
            batch: Batch::Dynamic,
            opset: 11 + index as i64 % 7,
            input_size: (64, 96),
            strides: variant.architecture.strides(),
            metadata: BTreeMap::new(),
        };
        let bytes = to_onnx(&graph, &weights(&graph), &options).expect("an export");
        let network = picodet_weights::onnx::read(&bytes).expect("an export");
        let imported = picodet_weights::import(&graph, &network).expect("the same network");
        let coverage = compare_channels(&imported.graph, &network, &imported.matches);
        let count = imported.matches.len();
        let complete = ChannelCoverage { compared: count, exact: count, skipped: Vec::new() };
        cases.equal(format!("{} {}", variant.name, options.opset), coverage, Ok(complete));
        std::fs::write(&path, bytes).expect("a file");
        let found = convert(&path, variant, &ConvertOptions::default()).map(drop);
        let problem = found.as_ref().map_err(ToString::to_string).err().unwrap_or_default();
        cases.check(format!("{}: {problem}", variant.name), found.is_ok());
    }
    cases.finish();
}
