//! Assembles an ONNX model: graph, weights, inputs, outputs, metadata.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use picodet_format::protobuf::Message;
use picodet_graph::{Graph, Quantisation, Weights, pass};
use picodet_zoo::{Head, HeadMap, REG_CHANNELS};

use crate::lower::Lowering;
use crate::message::{Extent, value_info};
use crate::quantised::QuantisedLowering;
use crate::tail::{Level, Suppression, decode, suppress};

/// The supported opsets.
pub const OPSETS: RangeInclusive<i64> = 11..=17;

/// The first opset for quantised models.
const QUANTISED_OPSET: i64 = 13;

/// The outputs of the model.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum HeadOutput {
    /// The maps of each level: `score.L` `[n, classes, h, w]` (probabilities) and `reg.L` `[n, 32, h, w]`
    /// (logits).
    Raw,
    /// `scores` `[n, classes, anchors]` and `boxes` `[n, anchors, 4]` in pixels of the input.
    Decoded,
    /// `detections` `[m, 7]`: image of the batch, class, score, x1, y1, x2, y2 in pixels of the input, by
    /// image and descending score.
    Nms {
        /// Boxes with a lower score are dropped.
        score_threshold: f32,
        /// A box is dropped if its overlap with a better one of its class is larger.
        iou_threshold: f32,
        /// Largest number of detections per image.
        max_detections: usize,
    },
}

/// The batch size of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// A fixed number of images.
    Fixed(usize),
    /// Any number of images.
    Dynamic,
}

/// Options of an export.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportOptions {
    /// The outputs.
    pub head: HeadOutput,
    /// The batch size.
    pub batch: Batch,
    /// The opset, one of [`OPSETS`]; from 14 on hard-swish is a single operation.
    pub opset: i64,
    /// Height and width of the input in pixels.
    pub input_size: (usize, usize),
    /// Stride of each pyramid level.
    pub strides: Vec<usize>,
    /// Key-value metadata of the file.
    pub metadata: BTreeMap<String, String>,
}

/// Why a model cannot be exported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The opset is not one of [`OPSETS`].
    #[error("opset {0} is not supported; choose 11 to 17")]
    Opset(i64),
    /// The opset has no scales per channel.
    #[error("opset {0} cannot hold a quantised model; choose {QUANTISED_OPSET} to 17")]
    QuantisedOpset(i64),
    /// The weights do not match the graph.
    #[error("the weights do not match the network: {0}")]
    Weights(picodet_graph::CheckError),
    /// The graph is not a detector.
    #[error("the network has no output `{0}`; only detectors can be exported")]
    Output(String),
}

/// Returns the bytes of a detector as an ONNX model; batch norms are folded first.
///
/// # Errors
/// [`ExportError`] when the opset is not supported, the weights do not match the graph, or the graph is not a
/// detector.
pub fn to_onnx(graph: &Graph, weights: &Weights, options: &ExportOptions) -> Result<Vec<u8>, ExportError> {
    export(graph, weights, None, options)
}

/// Returns the bytes of a quantised detector, whose batch norms are folded, as an ONNX model of QuantizeLinear and
/// DequantizeLinear.
///
/// # Errors
/// As [`to_onnx`], and [`ExportError::QuantisedOpset`] for an opset below 13.
pub fn to_quantised_onnx(
    graph: &Graph,
    weights: &Weights,
    quantisation: &Quantisation,
    options: &ExportOptions,
) -> Result<Vec<u8>, ExportError> {
    if options.opset < QUANTISED_OPSET {
        return Err(ExportError::QuantisedOpset(options.opset));
    }
    quantisation.check(graph).map_err(ExportError::Weights)?;
    export(graph, weights, Some(quantisation), options)
}

fn export(
    graph: &Graph,
    weights: &Weights,
    quantisation: Option<&Quantisation>,
    options: &ExportOptions,
) -> Result<Vec<u8>, ExportError> {
    if !OPSETS.contains(&options.opset) {
        return Err(ExportError::Opset(options.opset));
    }
    graph.check_weights(weights).map_err(ExportError::Weights)?;
    let (graph, weights) = pass::fold_batch_norm(graph, weights);
    let graph = pass::keep_outputs(&graph, Head::is_detection_output);
    let mut lowering = Lowering::new(options.opset, options.input_size);
    // The outputs of the raw head are the maps themselves, under their names.
    let mut names = HashMap::new();
    if options.head == HeadOutput::Raw {
        for map in Head::detection_outputs() {
            let outputs = (0..options.strides.len()).map(|level| map.name(level));
            names.extend(outputs.filter_map(|name| Some((graph.output(&name)?, name))));
        }
    }
    let results = match quantisation {
        Some(quantisation) => {
            QuantisedLowering::new(&mut lowering, &graph, &weights, quantisation).run(&names)
        }
        None => lowering.graph(&graph, &weights, &names),
    };

    let mut levels = Vec::new();
    let mut classes = 0;
    for (index, &stride) in options.strides.iter().enumerate() {
        let result = |map: HeadMap| {
            let name = map.name(index);
            graph.output(&name).ok_or(ExportError::Output(name))
        };
        let (score, reg) = (result(HeadMap::Score)?, result(HeadMap::Box)?);
        let [channels, height, width] = graph.node(score).shape.resolve(options.input_size);
        classes = channels;
        let (score, reg) = (results[score.0].clone(), results[reg.0].clone());
        levels.push(Level { score, reg, stride, cells: (height, width) });
    }
    let batch = match options.batch {
        Batch::Fixed(batch) => Extent::Fixed(batch),
        Batch::Dynamic => Extent::Named("batch"),
    };
    let outputs = outputs(&mut lowering, options.head, &levels, classes, &batch);
    Ok(model(lowering, &outputs, options, batch))
}

fn outputs(
    lowering: &mut Lowering,
    head: HeadOutput,
    levels: &[Level],
    classes: usize,
    batch: &Extent,
) -> Vec<Message> {
    let fixed = Extent::Fixed;
    if head == HeadOutput::Raw {
        let mut outputs = Vec::new();
        for map in Head::detection_outputs() {
            for (index, level) in levels.iter().enumerate() {
                let name = map.name(index);
                let (source, channels) = match map {
                    HeadMap::Score => (&level.score, classes),
                    _ => (&level.reg, REG_CHANNELS),
                };
                // A map that is two outputs has the name of one of them.
                if *source != name {
                    lowering.push("Identity", &name, &[source], &[]);
                }
                let shape = [batch.clone(), fixed(channels), fixed(level.cells.0), fixed(level.cells.1)];
                outputs.push(value_info(&name, &shape, false));
            }
        }
        return outputs;
    }
    let anchors = levels.iter().map(|level| level.cells.0 * level.cells.1).sum();
    decode(lowering, levels, classes);
    if let HeadOutput::Nms { score_threshold, iou_threshold, max_detections } = head {
        let suppression = Suppression { score_threshold, iou_threshold, max_detections, classes, anchors };
        suppress(lowering, suppression);
        return vec![value_info("detections", &[Extent::Named("detections"), fixed(7)], false)];
    }
    vec![
        value_info("scores", &[batch.clone(), fixed(classes), fixed(anchors)], false),
        value_info("boxes", &[batch.clone(), fixed(anchors), fixed(4)], false),
    ]
}

fn model(lowering: Lowering, outputs: &[Message], options: &ExportOptions, batch: Extent) -> Vec<u8> {
    let (height, width) = options.input_size;
    let image = [batch, Extent::Fixed(3), Extent::Fixed(height), Extent::Fixed(width)];
    let graph = lowering.nodes.iter().fold(Message::default(), |graph, node| graph.message(1, node));
    let graph = graph.text(2, "picodet");
    let graph = lowering.constants.iter().fold(graph, |graph, constant| graph.message(5, constant));
    let graph = graph.message(11, &value_info("image", &image, false));
    let graph = outputs.iter().fold(graph, |graph, output| graph.message(12, output));

    // The oldest IR version that allows the opset, so that old runtimes accept the file.
    let version = match options.opset {
        11 => 6,
        12..=14 => 7,
        _ => 8,
    };
    let model = Message::default()
        .integer(1, version)
        .text(2, "picodet")
        .text(3, env!("CARGO_PKG_VERSION"))
        .message(7, &graph)
        .message(8, &Message::default().text(1, "").integer(2, options.opset));
    let entries = options.metadata.iter();
    let model = entries.fold(model, |model, (key, value)| {
        model.message(14, &Message::default().text(1, key).text(2, value))
    });
    model.into_bytes()
}
