//! Object detection: from an image to labelled boxes.
//!
//! [`Detector::detect`] is the whole pipeline, in order in `detector.rs`; [`decode`] and [`Nms`] are its last steps, a
//! [`Model`] its first.

#![forbid(unsafe_code)]

pub mod decode;
mod detection;
mod detections;
mod detector;
mod error;
mod input;
mod nms;
mod options;

pub use detection::{Detection, ImageBox, InputBox, ScaleFactor, ScoredBox};
pub use detections::{Detections, Drawing};
pub use detector::{Detector, StageTimes, engine, network};
pub use error::Error;
pub use input::Input;
pub use nms::Nms;
pub use options::Options;
pub use picodet_model::{Model, ModelError, graph_of};
