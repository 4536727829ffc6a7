//! `picodet export`: writes a model as ONNX.

use crate::ExitCode;

use anyhow::{Result, bail};
use picodet::export::{Batch, ExportOptions, HeadOutput, options, to_onnx};

use crate::args::{Export, ExportFormat, ExportHead};
use crate::model;
use crate::output::{status, write_file};

pub(crate) fn run(command: &Export) -> Result<ExitCode> {
    let model = model::open(&command.model)?;
    let batch = match command.batch.as_str() {
        "dynamic" => Batch::Dynamic,
        number => match number.parse() {
            Ok(batch) if batch > 0 => Batch::Fixed(batch),
            _ => bail!("--batch {number}: expected a number of at least 1, or `dynamic`"),
        },
    };
    let head = match command.head {
        ExportHead::Raw => HeadOutput::Raw,
        ExportHead::Decoded => HeadOutput::Decoded,
        ExportHead::Nms => HeadOutput::Nms {
            score_threshold: command.score,
            iou_threshold: command.nms_iou,
            max_detections: command.max_detections,
        },
    };
    let defaults = options(&model, head);
    let input_size = command.input_size.unwrap_or(defaults.input_size);
    let options = ExportOptions { batch, opset: command.opset, input_size, ..defaults };
    let bytes = match command.format {
        ExportFormat::Onnx => to_onnx(&model, &options)?,
    };
    write_file(&command.output, &bytes)?;
    status(&format!("{}: {} bytes", command.output.display(), bytes.len()));
    Ok(ExitCode::SUCCESS)
}
