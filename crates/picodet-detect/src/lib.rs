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
mod instructions;
mod nms;
mod options;
mod prepare;

pub use detection::{Detection, ImageBox, InputBox, ScaleFactor, ScoredBox};
pub use detections::{Detections, Drawing};
pub use detector::{Detector, StageTimes};
pub use error::Error;
pub use input::Input;
pub use instructions::{Instructions, UnknownInstructions};
pub use nms::Nms;
pub use options::{MAX_INPUT_SIDE, Options};
pub use picodet_engine::precision_name;
pub use picodet_model::{Model, ModelError, graph_of};
pub use prepare::{engine, network, precision_of, prepare};
