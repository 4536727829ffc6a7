//! Paddle inference models: a program and its parameters in one stream of tensors.
//!
//! The program is a protocol buffer (`.pdmodel`, Paddle 1 and 2) or JSON (`inference.json`, Paddle 3 and
//! PaddleX). The parameters (`.pdiparams`) follow each other in the alphabetical order of their names.

mod activation;
mod flow;
mod json;
mod network;
mod operation;
mod program;
mod tensors;
mod values;

use crate::contents::JSON;
use crate::{ForeignNetwork, ReadError};

/// Reads a network from the bytes of a `.pdmodel` or `.json` file and of its `.pdiparams` file.
///
/// Batch norms and separate biases are folded into the convolutions before them.
///
/// # Errors
/// [`ReadError`] when the program is damaged, the parameters are not those of the program, or a convolution is
/// of an unsupported kind; [`ReadError::Paired`] when a tensor is damaged.
pub fn read(program: &[u8], parameters: &[u8]) -> Result<ForeignNetwork, ReadError> {
    let is_json = program.trim_ascii_start().first() == Some(&b'{');
    let parsed = if is_json { json::read(program) } else { program::read(program) };
    let parsed = parsed.map_err(|error| error.explained(program, Some(JSON)))?;
    let tensors = tensors::read(parameters)
        .map_err(|error| ReadError::Paired(Box::new(error.explained(parameters, None))))?;
    network::assemble(parsed, tensors)
}
