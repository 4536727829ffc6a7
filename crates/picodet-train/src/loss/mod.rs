//! Losses and their gradients (SPEC §4).
//!
//! [`paper`], [`second_generation`] and [`base`] compute the total losses; `element.rs`, `class.rs` and `boxes.rs` hold their
//! terms. Sums over objects are computed in f64, those over the background in f32 by [`picodet_kernel::focal`].

mod boxes;
mod class;
mod element;
mod total;

pub(crate) use class::Score;
pub(crate) use element::negative;

pub use boxes::{distribution_focal, generalised_iou};
pub use element::{quality_focal, varifocal_logit, varifocal_probability};
pub use total::{Assigned, Loss, base, paper, second_generation};

/// An anchor that learns an object.
#[derive(Clone, Copy, Debug)]
struct Positive {
    image: usize,
    anchor: usize,
    object: usize,
    /// The object's class.
    class: usize,
    /// Weight of its box losses.
    weight: f64,
}
