//! Forward and backward of a graph in training on the CPU.
//!
//! A [`Tape`] runs any graph of the zoo with batch statistics in its batch norms, keeps the values that the gradients
//! depend on, and differentiates. Maps are f32, channels last; a batch norm and its activation are one operation;
//! concats and slices of channels are computed in place; all memory of a step is one arena, laid out by lifetimes and
//! reused by the next step. The division of work and the order of sums do not depend on the number of threads, so
//! neither do the results.
//!
//! ```
//! use picodet_gradient::Tape;
//! use picodet_graph::{Builder, Tensor};
//!
//! let mut builder = Builder::new();
//! let image = builder.input();
//! let map = builder.scope("head", |g| g.pointwise_with_bias(image, 2, 0.0));
//! builder.output("map", map);
//! let graph = builder.finish();
//! let weights = [("head.weight", vec![2, 3, 1, 1], 0.5), ("head.bias", vec![2], 0.0)]
//!     .map(|(name, shape, value)| (name.to_owned(), Tensor::full(&shape, value)))
//!     .into();
//!
//! let mut tape = Tape::new(&graph, 1)?;
//! tape.forward(&weights, [1, 3, 1, 1], &[1.0, 2.0, 3.0])?;
//! let map = tape.output("map").expect("an output").to_tensor();
//! assert_eq!((map.shape, &map.data[..]), ([1, 2, 1, 1], &[3.0, 3.0][..]));
//! let gradient = Tensor::new([1, 2, 1, 1], vec![1.0, 0.0]).expect("two values");
//! let gradients = tape.backward(&[("map".to_owned(), gradient)])?;
//! assert_eq!(gradients["head.weight"].data, [1.0, 2.0, 3.0, 0.0, 0.0, 0.0]);
//! # Ok::<(), picodet_gradient::GradientError>(())
//! ```

#![forbid(unsafe_code)]

mod backward;
mod context;
mod error;
mod forward;
mod gradients;
mod layout;
mod parameters;
mod program;
mod shard;
mod tape;

pub use error::GradientError;
pub use picodet_simd::Isa;
pub use shard::AllReduce;
pub use tape::{StepTime, Tape};
