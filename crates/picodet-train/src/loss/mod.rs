//! Losses and their gradients (SPEC §4).
//!
//! [`paper`], [`second_generation`] and [`base`] are the totals of the three generations; `element.rs` and `boxes.rs` hold
//! the terms.

mod boxes;
mod element;
mod total;

pub use boxes::{distribution_focal, generalised_iou};
pub use element::{quality_focal, varifocal_logit, varifocal_probability};
pub use total::{Loss, base, paper, scores, second_generation};
