//! `picodet forward`: writes every named tensor of a network.

use crate::ExitCode;
use std::collections::BTreeMap;

use anyhow::{Context, Result};
use picodet::crates::weights::{read_tensors, write_tensors};
use picodet::forward::forward;

use crate::args::{Dtype, Forward, ModelArguments};
use crate::model;
use crate::output::write_file;

pub(crate) fn run(command: &Forward) -> Result<ExitCode> {
    let arguments = ModelArguments::named(&command.model);
    let model = model::open(&arguments)?;
    let path = || command.input.display().to_string();
    let bytes = std::fs::read(&command.input).with_context(path)?;
    let (input, _) = read_tensors(&bytes).with_context(path)?;
    let tensors = match command.dtype {
        Dtype::F32 => forward::<f32>(&model, &input),
        Dtype::F64 => forward::<f64>(&model, &input),
    }
    .with_context(path)?;
    let bytes = write_tensors(&tensors, &BTreeMap::new());
    write_file(&command.output, &bytes)?;
    Ok(ExitCode::SUCCESS)
}
