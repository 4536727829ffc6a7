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
//! [`Detector::detect`] takes the path of an image, the bytes of an image file, or an [`Image`]. The library embeds a
//! model of document layout, with which this example runs:
//!
//! ```
//! # fn main() -> Result<(), picodet::Error> {
//! # let page = include_bytes!("../../../examples/page.png");
//! let detector = picodet::Detector::new(&picodet::default_model()?, &picodet::Options::default())?;
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
//! # let page = include_bytes!("../../../examples/page.png");
//! let options = picodet::Options::new().with_threads(2).with_score_threshold(0.4);
//! let detector = picodet::Detector::new(&picodet::default_model()?, &options)?;
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

pub mod bench;
mod default_model;
#[cfg(feature = "download")]
pub mod download;
pub mod evaluate;
pub mod forward;
pub mod results;
pub mod train;
pub mod verify;

use std::path::Path;

pub use default_model::{DEFAULT_MODEL, default_model};
pub use picodet_detect::{
    Detection, Detections, Detector, Drawing, Error, ImageBox, Input, Model, Nms, Options, ScoredBox,
    StageTimes,
};
pub use picodet_engine::Precision;
pub use picodet_image::{FontError, Fonts, Image, Interpolation, Limits};
pub use picodet_model::{ConvertError, ConvertOptions, ModelError, convert};
pub use picodet_weights::{Metadata, Storage};

/// The parts, for those who need more than this facade.
pub use {
    picodet_data as data, picodet_detect as detect, picodet_engine as engine, picodet_eval as eval,
    picodet_export as export, picodet_graph as graph, picodet_image as image, picodet_train as training,
    picodet_weights as weights, picodet_zoo as zoo,
};

/// Reads and decodes an image file, upright, within the default [`Limits`].
///
/// # Errors
/// When the file cannot be read or is not an image.
pub fn open_image(path: impl AsRef<Path>) -> Result<Image, Error> {
    Ok(Input::from(path.as_ref()).read()?.into_owned())
}
