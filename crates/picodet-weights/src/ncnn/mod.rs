//! ncnn: a `.param` text that lists the layers and a `.bin` with their weights in the same order.
//!
//! Files of `onnx2ncnn`, `ncnnoptimize` and `pnnx` are read: batch norms, scales and separate biases are
//! folded into the convolution before them, and an `InnerProduct`, which `pnnx` writes for 1×1 convolutions
//! after global pooling, is a 1×1 convolution.

mod activation;
mod bin;
mod flow;
mod layer;
mod options;

use std::collections::HashMap;

use crate::contents::NCNN;
use crate::foreign::fold;
use crate::{ForeignNetwork, ReadError};

use bin::Reader;
use layer::{Constants, Line, wrong};

const MAGIC: &str = "7767517";
/// Largest number of layers.
const MAX_LAYERS: usize = 100_000;

/// Reads a network from the bytes of its `.param` and its `.bin`.
///
/// # Errors
/// [`ReadError`] when the text is not a list of layers, or a layer with weights is of an unsupported kind;
/// [`ReadError::Paired`] when the `.bin` does not hold exactly the weights of the layers.
pub fn read(param: &[u8], bin: &[u8]) -> Result<ForeignNetwork, ReadError> {
    parse(param, bin).map_err(|error| match error {
        ReadError::Paired(error) => ReadError::Paired(Box::new(error.explained(bin, None))),
        error => error.explained(param, Some(NCNN)),
    })
}

fn parse(param: &[u8], bin: &[u8]) -> Result<ForeignNetwork, ReadError> {
    let text = std::str::from_utf8(param)
        .map_err(|error| wrong(1, format!("byte {} is not UTF-8 text", error.valid_up_to())))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    match lines.next() {
        Some((_, line)) if line.trim() == MAGIC => {}
        _ => return Err(wrong(1, format!("`{MAGIC}` expected"))),
    }
    let (line, counts) =
        lines.next().ok_or(ReadError::Truncated { at: param.len(), what: "the layer count" })?;
    let layers: usize = counts
        .split_whitespace()
        .next()
        .and_then(|count| count.parse().ok())
        .filter(|&count| count <= MAX_LAYERS)
        .ok_or_else(|| wrong(line, format!("a layer count up to {MAX_LAYERS} expected")))?;
    let mut weights = Reader::new(bin);
    let mut network = ForeignNetwork::default();
    let mut foldable = Vec::new();
    let mut constants: Constants = HashMap::new();
    for (line, text) in lines.filter(|(_, text)| !text.trim().is_empty()) {
        if network.nodes.len() == layers {
            return Err(wrong(line, format!("more layers than the {layers} of the header")));
        }
        let (node, fold) = Line::parse(line, text)?.read(&mut weights, &mut constants)?;
        network.nodes.push(node);
        foldable.push(fold);
    }
    if network.nodes.len() < layers {
        return Err(ReadError::Truncated { at: param.len(), what: "the list of layers" });
    }
    if weights.remaining() > 0 {
        let problem = format!("{} bytes follow the weights of the last layer", weights.remaining());
        let error = ReadError::Format { format: "the .bin of this .param file", problem };
        return Err(ReadError::Paired(Box::new(error)));
    }
    fold(&mut network, &foldable);
    Ok(network)
}
