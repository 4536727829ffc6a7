//! An exported model is read back by the ONNX reader as the same network with the same weights.

use std::collections::BTreeMap;

use picodet_export::{Batch, ExportError, ExportOptions, HeadOutput, to_onnx};
use picodet_graph::{Graph, Tensor, Weights, pass};
use picodet_zoo::variants;

fn weights(graph: &Graph) -> Weights {
    let mut noise = picodet_testing::Noise::new(1);
    let mut random = || noise.uniform(0.1, 1.1);
    let tensor = |shape: &Vec<usize>, random: &mut dyn FnMut() -> f32| Tensor {
        shape: shape.clone(),
        data: (0..shape.iter().product()).map(|_| random()).collect(),
    };
    graph.params.iter().map(|param| (param.name.clone(), tensor(&param.shape, &mut random))).collect()
}

fn options(head: HeadOutput, opset: i64, strides: Vec<usize>) -> ExportOptions {
    let metadata = BTreeMap::from([("variant".to_owned(), "x".to_owned())]);
    ExportOptions { head, batch: Batch::Dynamic, opset, input_size: (64, 96), strides, metadata }
}

#[test]
fn every_network_is_read_back() {
    let heads = [
        HeadOutput::Raw,
        HeadOutput::Decoded,
        HeadOutput::Nms { score_threshold: 0.1, iou_threshold: 0.6, max_detections: 100 },
    ];
    let mut wrong = Vec::new();
    for (index, variant) in variants().iter().enumerate() {
        let graph = variant.architecture.graph(variant.classes.len());
        let weights = weights(&graph);
        let head = heads[index % heads.len()];
        let opset = 11 + index as i64 % 7;
        let written = to_onnx(&graph, &weights, &options(head, opset, variant.architecture.strides()));
        let outcome = written.map_err(|error| error.to_string()).and_then(|bytes| {
            let network = picodet_weights::onnx::read(&bytes).map_err(|error| error.to_string())?;
            if network.metadata.get("variant").map(String::as_str) != Some("x") {
                return Err("the metadata is lost".to_owned());
            }
            picodet_weights::import(&graph, &network).map_err(|error| error.to_string())
        });
        match outcome {
            Ok(found) if found.weights == pass::fold_batch_norm(&graph, &weights).1 => {}
            Ok(_) => wrong.push(format!("{}: other numbers", variant.name)),
            Err(error) => wrong.push(format!("{}: {error}", variant.name)),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn what_cannot_be_written_is_refused() {
    let variant = &variants()[0];
    let graph = variant.architecture.graph(2);
    let with = |opset| options(HeadOutput::Raw, opset, variant.architecture.strides());
    assert_eq!(to_onnx(&graph, &weights(&graph), &with(9)), Err(ExportError::Opset(9)));
    assert!(matches!(to_onnx(&graph, &Weights::new(), &with(11)), Err(ExportError::Weights(_))));
    let too_many = options(HeadOutput::Raw, 11, vec![8, 16, 32, 64, 128]);
    assert_eq!(to_onnx(&graph, &weights(&graph), &too_many), Err(ExportError::Output("score.4".to_owned())));
}
