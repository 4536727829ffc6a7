//! PicoDet, the ultra-light object detector, as a library: what the `picodet` command does, as functions.
//!
//! ```no_run
//! # fn main() -> Result<(), picodet::Error> {
//! let image = picodet::open_image("street.jpg")?;
//! let mut detector = picodet::Detector::load("model.safetensors")?;
//! for found in detector.detect(&image)? {
//!     println!("{} {:.2} {:?}", detector.classes()[found.class], found.score, found.bbox.0);
//! }
//! # Ok(())
//! # }
//! ```

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
pub use picodet_detect::{Detection, Detector, Error, ImageBox, Model, Nms, Options, StageTimes};
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

/// Returns a copy of `image` with `detections` drawn in: boxes in the colour of their class, with name and score.
pub fn draw(image: &Image, detections: &[Detection], classes: &[String]) -> Image {
    draw_with(image, detections, classes, &Fonts::default())
}

/// As [`draw`], with the given fonts. Where no font has a character of a class name, its index is drawn, such as
/// `#12`; see [`Fonts::missing`].
pub fn draw_with(image: &Image, detections: &[Detection], classes: &[String], fonts: &Fonts) -> Image {
    let mut worst_first: Vec<&Detection> = detections.iter().collect();
    worst_first.sort_by(|a, b| a.score.total_cmp(&b.score));
    let label = |found: &&Detection| {
        let name = classes.get(found.class).map_or("?", String::as_str);
        picodet_image::Label::new(
            found.bbox.0,
            format!("{name} {:.2}", found.score),
            picodet_image::class_colour(found.class),
        )
        .with_fallback(format!("#{} {:.2}", found.class, found.score))
    };
    picodet_image::draw_with(image, &worst_first.iter().map(label).collect::<Vec<_>>(), fonts)
}

/// Reads and decodes an image file, upright, with the usual limits.
///
/// # Errors
/// When the file cannot be read or is not an image.
pub fn open_image(path: impl AsRef<Path>) -> Result<Image, Error> {
    let path = path.as_ref();
    let read = |source| Error::Read { path: path.display().to_string(), source };
    let bytes = std::fs::read(path).map_err(read)?;
    Ok(picodet_image::decode(&bytes, &Limits::default())?)
}
