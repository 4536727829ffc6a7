//! The options of a detector as JavaScript passes them, and the errors that it gets.

use picodet::crates::image::DecodeError;
use picodet::{Error, Nms, Options};
use serde::{Deserialize, Serialize};

/// The options of a detector, from JSON.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[non_exhaustive]
pub struct CreateOptions {
    /// Lower bound of the scores, 0 to 1.
    pub score: Option<f32>,
    /// IoU above which a box is suppressed by a better one of its class, 0 to 1.
    pub iou: Option<f32>,
    /// Maximum number of detections per image.
    pub max_detections: Option<usize>,
    /// Height and width of the network input instead of the model's own.
    pub input_size: Option<(usize, usize)>,
    /// Number of threads of a detection.
    pub threads: Option<usize>,
}

impl CreateOptions {
    /// Returns the options of the library.
    pub(crate) fn to_options(&self) -> Options {
        let default = Nms::default();
        let nms = Nms {
            score_threshold: self.score.unwrap_or(default.score_threshold),
            iou_threshold: self.iou.unwrap_or(default.iou_threshold),
            max_detections: self.max_detections.unwrap_or(default.max_detections),
            ..default
        };
        Options::new().with_nms(nms).with_input_size(self.input_size).with_threads(self.threads.unwrap_or(1))
    }
}

/// The reasons why a call fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The options are not valid JSON of [`CreateOptions`].
    #[error("options: {0}")]
    Options(#[from] serde_json::Error),
    /// The library refuses the model, an option or the image.
    #[error(transparent)]
    Detect(#[from] Error),
    /// The pixels do not fill the given size.
    #[error("an image of {width} x {height} pixels must have {} bytes, not {bytes}", 4 * width * height)]
    Size {
        /// Columns.
        width: u64,
        /// Rows.
        height: u64,
        /// Bytes that came.
        bytes: usize,
    },
    /// The image has no pixels.
    #[error("the image is empty ({width} x {height} pixels); wait until it has loaded")]
    Empty {
        /// Columns.
        width: u64,
        /// Rows.
        height: u64,
    },
    /// No model has been loaded.
    #[error("no model is loaded")]
    NoModel,
}

/// An error as JavaScript reads it.
#[derive(Serialize)]
struct Report {
    code: &'static str,
    message: String,
}

impl Failure {
    /// Returns the class of the error in the JavaScript API: `model`, `image` or `option`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Options(_) | Self::Detect(Error::Option(_)) => "option",
            Self::Detect(Error::Decode(DecodeError::Unsupported(_) | DecodeError::UnknownFormat)) => {
                "unsupported"
            }
            Self::Detect(Error::Decode(_) | Error::DecodeFile { .. } | Error::Run(_)) => "image",
            Self::Size { .. } | Self::Empty { .. } => "image",
            _ => "model",
        }
    }

    /// Returns the JSON object `{code, message}`.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        // Options of the command line have no meaning in a page.
        let message = self.to_string().replace(", or raise the limit (--max-pixels)", "");
        report(self.code(), message)
    }
}

/// Returns the JSON object of an error.
pub(crate) fn report(code: &'static str, message: String) -> Vec<u8> {
    serde_json::to_vec(&Report { code, message }).unwrap_or_default()
}
