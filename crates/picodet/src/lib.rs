//! PicoDet, the ultra-light object detector, as a library: the functions behind the `picodet` command.
//!
//! # Detect
//!
//! ```no_run
//! # fn main() -> Result<(), picodet::Error> {
//! let detector = picodet::Detector::load("model.safetensors")?;
//! for found in detector.detect("street.jpg")? {
//!     println!("{} {:.2} {:?}", found.label, found.score, found.bbox.xyxy());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Detector::detect`] takes the path of an image, the bytes of an image file, or an [`Image`]. The library
//! embeds a model for photos ([`default_model`], the 80 classes of COCO) and one for document pages ([`layout_model`]):
//!
//! ```
//! # fn main() -> Result<(), picodet::Error> {
//! # let page = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/page.png"));
//! let detector = picodet::Detector::new(&picodet::layout_model()?, &picodet::Options::default())?;
//! let found = detector.detect(page)?;
//! assert!(found.iter().any(|found| &*found.label == "table" && found.bbox.width() > 400.0));
//! # Ok(())
//! # }
//! ```
//!
//! # Draw, and write as JSON
//!
//! ```no_run
//! # fn main() -> Result<(), picodet::Error> {
//! # let detector = picodet::Detector::load("model.safetensors")?;
//! let image = picodet::open_image("street.jpg")?;
//! let found = detector.detect(&image)?;
//! found.draw(&image).save("street-detected.png")?;
//! println!("{}", found.to_json());
//! # Ok(())
//! # }
//! ```
//!
//! # Many images, many threads
//!
//! A [`Detector`] is `Send` and `Sync`, and its methods take `&self`: any number of threads may use one. A clone costs
//! little and shares the packed weights. [`Detector::detect_batch`] distributes images over the threads of the options.
//!
//! ```
//! # fn main() -> Result<(), picodet::Error> {
//! # let page = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/page.png"));
//! let options = picodet::Options::new().with_threads(2).with_score_threshold(0.4);
//! let detector = picodet::Detector::new(&picodet::layout_model()?, &options)?;
//! let found = detector.detect_batch([page, page])?;
//! assert_eq!(found[0], found[1]);
//! # Ok(())
//! # }
//! ```
//!
//! # Options
//!
//! [`Options`] holds the thresholds of the suppression ([`Nms`]), the size of the network input, the interpolation of the
//! resize, the number of threads of each inference, and the [`Precision`] of the convolutions. Defaults are the model's
//! own size and interpolation, one thread and f32.
//!
//! # Features
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `detect` (default) | [`Detector`], the embedded models, [`results`], [`verify`], [`forward`], [`bench`](mod@bench) |
//! | `data` | datasets: reading, checking and converting COCO, VOC, YOLO and LabelMe ([`crates::data`]) |
//! | `eval` | COCO metrics ([`crates::eval`]); with `detect` and `data` also [`evaluate`] |
//! | `export` | [`export`](mod@export): ONNX files |
//! | `quantise` | [`quantise`](mod@quantise): models in 8 bits; includes `detect`, `data` and `eval` |
//! | `train` | [`train`](mod@train), [`search`]; includes `detect`, `data` and `eval` |
//! | `download` | [`download`]: models by https URL, and the published models by name |
//! | `cuda`, `rocm`, `vulkan`, `metal`, `wgpu`, `burn` | training on devices of burn |
//! | `mpi` | training with several processes |
//!
//! [`Model`] and [`convert`] of published weights need no feature.

#![forbid(unsafe_code)]

#[cfg(feature = "detect")]
pub mod bench;
pub mod crates;
#[cfg(any(feature = "download", feature = "quantise"))]
mod digest;
#[cfg(feature = "download")]
pub mod download;
#[cfg(feature = "detect")]
mod embedded;
#[cfg(all(feature = "detect", feature = "data", feature = "eval"))]
pub mod evaluate;
#[cfg(feature = "export")]
pub mod export;
#[cfg(feature = "detect")]
pub mod forward;
#[cfg(feature = "quantise")]
pub mod quantise;
#[cfg(feature = "detect")]
pub mod results;
#[cfg(feature = "train")]
pub mod search;
#[cfg(feature = "train")]
pub mod train;
#[cfg(feature = "detect")]
pub mod verify;

#[cfg(feature = "detect")]
use std::path::Path;

#[cfg(feature = "detect")]
pub use embedded::{
    DEFAULT_MODEL, EMBEDDED_MODELS, EmbeddedModel, LAYOUT_MODEL, default_model, embedded_model, layout_model,
};
#[cfg(feature = "detect")]
pub use picodet_detect::{
    Detection, Detections, Detector, Drawing, Error, ImageBox, Input, Instructions, MAX_INPUT_SIDE, Nms,
    Options, ScoredBox, StageTimes, UnknownInstructions,
};
#[cfg(feature = "detect")]
pub use picodet_engine::Precision;
#[cfg(feature = "detect")]
pub use picodet_image::{
    ChannelOrder, FontError, Fonts, Image, Interpolation, Limits, Packed, Pixels, Plane, RawError, RawImage,
    RawPixels, Rotation, UnknownInterpolation, YuvRange,
};
pub use picodet_model::{ConvertError, ConvertOptions, Model, ModelError, convert, convert_with_notes};
pub use picodet_weights::{Metadata, Storage};

/// Reads and decodes an image file, upright, within the default [`Limits`].
///
/// # Errors
/// When the file cannot be read or is not an image.
#[cfg(feature = "detect")]
pub fn open_image(path: impl AsRef<Path>) -> Result<Image, Error> {
    Ok(Input::from(path.as_ref()).read()?.into_owned())
}
