//! `picodet export`: writes a model as ONNX.

use crate::ExitCode;
use std::path::Path;

use anyhow::{Result, bail};
use picodet::export::{Batch, ExportOptions, HeadOutput, options, to_onnx};

use crate::args::{Export, ExportFormat, ExportHead};
use crate::model;
use crate::output::{refuse_own_source, status, write_file};

pub(crate) fn run(command: &Export) -> Result<ExitCode> {
    refuse_own_source(Path::new(&command.model.model), &command.output)?;
    let model = model::open(&command.model)?;
    let batch = match command.batch.as_str() {
        "dynamic" => Batch::Dynamic,
        number => match number.parse() {
            Ok(batch) if batch > 0 => Batch::Fixed(batch),
            _ => bail!("--batch {number}: expected a number of at least 1, or `dynamic`"),
        },
    };
    let given = [
        ("--score", command.score.is_some()),
        ("--nms-iou", command.nms_iou.is_some()),
        ("--max-detections", command.max_detections.is_some()),
    ];
    if command.head != ExportHead::Nms
        && let Some((option, _)) = given.iter().find(|(_, is_given)| *is_given)
    {
        bail!("{option} is an option of the NMS in the exported model; it needs --head nms");
    }
    let head = match command.head {
        ExportHead::Raw => HeadOutput::Raw,
        ExportHead::Decoded => HeadOutput::Decoded,
        ExportHead::Nms => HeadOutput::Nms {
            score_threshold: command.score.unwrap_or(0.025),
            iou_threshold: command.nms_iou.unwrap_or(0.6),
            max_detections: command.max_detections.unwrap_or(100),
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
