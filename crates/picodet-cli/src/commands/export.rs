//! `picodet export`: writes a model as ONNX.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, bail};
use picodet::Model;
use picodet::crates::export::{Batch, ExportOptions, HeadOutput, to_onnx};

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
        ExportHead::Nms => HeadOutput::Nms { score_threshold: command.score, iou_threshold: command.nms_iou },
    };
    let options = ExportOptions {
        head,
        batch,
        opset: command.opset,
        input_size: command.input_size.unwrap_or(model.metadata.input_size),
        strides: model.variant.architecture.strides(),
        metadata: metadata(&model),
    };
    let bytes = match command.format {
        ExportFormat::Onnx => to_onnx(&model.graph, &model.weights, &options)?,
    };
    write_file(&command.output, &bytes)?;
    status(&format!("{}: {} bytes", command.output.display(), bytes.len()));
    Ok(ExitCode::SUCCESS)
}

/// Returns the metadata of the exported file: classes, category ids, normalisation, resize, origin and licence.
fn metadata(model: &Model) -> BTreeMap<String, String> {
    let metadata = &model.metadata;
    BTreeMap::from([
        ("variant".to_owned(), metadata.variant.clone()),
        ("classes".to_owned(), serde_json::json!(metadata.classes).to_string()),
        ("category_ids".to_owned(), serde_json::json!(metadata.category_ids).to_string()),
        ("mean".to_owned(), serde_json::json!(metadata.mean).to_string()),
        ("std".to_owned(), serde_json::json!(metadata.std).to_string()),
        ("resize".to_owned(), metadata.resize.clone()),
        ("origin".to_owned(), metadata.origin.clone()),
        ("licence".to_owned(), metadata.licence.clone()),
    ])
}
