//! Post-training quantisation: 8-bit weights, and a scale and a zero point per channel of every map, from a folded float
//! network and some images.
//!
//! [`quantise`] walks through the network once with all images, as two streams: the values of the float network, and
//! those of the network quantised so far. [`Method::MinMax`] takes ranges of the former and rounds weights to the nearest
//! integer. [`Method::ClosedForm`] fits the weights of each convolution to the float result by least squares, rounds them
//! with error feedback, and corrects the mean of the result by the bias.

#![forbid(unsafe_code)]

mod block;
mod error;
mod linear;
mod moments;
mod options;
mod rounding;
mod step;
mod stream;
mod walk;

pub use error::QuantiseError;
pub use options::{Method, Options, Scales};
pub use walk::{Sample, StepReport, quantise};
