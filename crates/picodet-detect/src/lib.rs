//! From an image to boxes.
//!
//! [`Detector::detect`] is the whole way of an image, read top to bottom in `detector.rs`; [`decode`] and [`Nms`] are
//! its last steps, [`Model`] what it starts from.

pub mod decode;
mod detection;
mod detector;
mod error;
mod nms;

pub use detection::{Detection, ImageBox, InputBox, ScaleFactor};
pub use detector::{Detector, Options, StageTimes, engine, network};
pub use error::Error;
pub use nms::Nms;
pub use picodet_model::{Model, ModelError, graph_of};
