//! Every network of the PicoDet family, as functions that append to a graph.
//!
//! [`variants`] lists the published networks; each is an [`Architecture`] of a [`Backbone`], a [`Neck`] and a
//! [`Head`], written once in the folder of that name. [`names`] maps the reference's parameter names to ours.

mod backbone;
mod block;
mod classifier;
mod detector;
mod head;
pub mod names;
mod neck;
mod variant;

pub use backbone::{Backbone, EsNet, SEARCHED_L, SEARCHED_M, SEARCHED_S};
pub use block::{HARD_SWISH, LEAKY_RELU, RELU6, make_divisible};
pub use classifier::Classifier;
pub use detector::Architecture;
pub use head::{BINS, Head, HeadKind, HeadMap, REG_CHANNELS, REG_MAX};
pub use neck::Neck;
pub use variant::{
    COCO_CATEGORY_IDS, COCO_CLASSES, ClassifierVariant, Variant, classifiers, variant, variants,
};
