//! Paddle inference models: a program and its parameters in one stream of tensors.
//!
//! The program is a protocol buffer (`.pdmodel`, Paddle 1 and 2) or JSON (`inference.json`, Paddle 3 and
//! PaddleX). The parameters (`.pdiparams`) follow each other in the alphabetical order of their names.

mod json;
mod network;
mod program;
mod tensors;

use crate::{ForeignNetwork, ReadError};

/// Largest number of operations and of variables.
const MAX_OPERATIONS: usize = 100_000;

/// Reads a network from the bytes of a `.pdmodel` or `.json` file and of its `.pdiparams` file.
///
/// Batch norms and separate biases are folded into the convolutions before them.
///
/// # Errors
/// [`ReadError`] when the program or a tensor is damaged, the parameters are not those of the program, or a
/// convolution is of an unsupported kind.
pub fn read(program: &[u8], parameters: &[u8]) -> Result<ForeignNetwork, ReadError> {
    let is_json = program.trim_ascii_start().first() == Some(&b'{');
    let program = if is_json { json::read(program)? } else { program::read(program)? };
    network::assemble(program, tensors::read(parameters)?)
}

/// A program in its own order.
#[derive(Debug, Default)]
struct Program {
    /// Names of the parameters; those of a JSON program with the value that holds each.
    parameters: Vec<Parameter>,
    operations: Vec<Operation>,
}

/// A parameter of a program.
#[derive(Debug)]
struct Parameter {
    /// Name in the stream of tensors.
    name: String,
    /// Name of the value in the operations.
    value: String,
}

/// One operation; inputs are in the order of its kind.
#[derive(Debug, Default)]
struct Operation {
    /// Name of its kind, as in `conv2d`.
    kind: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    strides: Vec<i64>,
    paddings: Vec<i64>,
    dilations: Vec<i64>,
    groups: i64,
    epsilon: f32,
    padding_algorithm: String,
    data_format: String,
}

impl Operation {
    fn new(kind: String) -> Self {
        Self { kind, groups: 1, epsilon: 1e-5, ..Self::default() }
    }

    /// Sets a list of integers by the name of its attribute.
    fn set_integers(&mut self, name: &str, values: Vec<i64>) {
        match name {
            "strides" => self.strides = values,
            "paddings" => self.paddings = values,
            "dilations" => self.dilations = values,
            "groups" => self.groups = values.first().copied().unwrap_or(1),
            _ => {}
        }
    }

    /// Sets a text by the name of its attribute.
    fn set_text(&mut self, name: &str, value: String) {
        match name {
            "padding_algorithm" => self.padding_algorithm = value,
            "data_format" | "data_layout" => self.data_format = value,
            _ => {}
        }
    }
}

/// Whether a kind of operation is a batch norm; its inputs are x, mean, variance, scale, bias.
fn is_batch_norm(kind: &str) -> bool {
    kind.trim_end_matches('_').ends_with("batch_norm")
}

/// Whether a kind of operation is a convolution; its inputs are x and weight.
fn is_convolution(kind: &str) -> bool {
    matches!(kind, "conv2d" | "depthwise_conv2d")
}
