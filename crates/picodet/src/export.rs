//! Export of models to ONNX.
//!
//! ```
//! use picodet::export::{HeadOutput, options, to_onnx};
//!
//! let model = picodet::default_model()?;
//! let file = to_onnx(&model, &options(&model, HeadOutput::Decoded))?;
//! assert!(file.len() > 1_000_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use picodet_export::{Batch, ExportError, ExportOptions, HeadOutput, OPSETS};
use serde_json::json;

use crate::Model;

/// Returns the options to export a model for one image of the model's input size, with opset 14, in which hard-swish is one
/// operator. The metadata of the file holds the classes, category ids, normalisation, resize, origin and licence.
#[must_use]
pub fn options(model: &Model, head: HeadOutput) -> ExportOptions {
    let metadata = &model.metadata;
    let architecture = metadata.architecture.clone().map(|json| ("architecture".to_owned(), json));
    let entries = [
        ("variant".to_owned(), metadata.variant.clone()),
        ("classes".to_owned(), json!(metadata.classes).to_string()),
        ("category_ids".to_owned(), json!(metadata.category_ids).to_string()),
        ("mean".to_owned(), json!(metadata.mean).to_string()),
        ("std".to_owned(), json!(metadata.std).to_string()),
        ("resize".to_owned(), metadata.resize.clone()),
        ("origin".to_owned(), metadata.origin.clone()),
        ("licence".to_owned(), metadata.licence.clone()),
    ];
    ExportOptions {
        head,
        batch: Batch::Fixed(1),
        opset: 14,
        input_size: metadata.input_size,
        strides: model.variant.architecture.strides(),
        metadata: entries.into_iter().chain(architecture).collect(),
    }
}

/// Returns the bytes of a model as an ONNX file; a quantised model keeps its integers, up to a second rounding of the weights.
///
/// # Errors
/// [`ExportError`] when the opset is not one of [`OPSETS`].
pub fn to_onnx(model: &Model, options: &ExportOptions) -> Result<Vec<u8>, ExportError> {
    match &model.quantisation {
        Some(quantisation) => {
            picodet_export::to_quantised_onnx(&model.graph, &model.weights, quantisation, options)
        }
        None => picodet_export::to_onnx(&model.graph, &model.weights, options),
    }
}
