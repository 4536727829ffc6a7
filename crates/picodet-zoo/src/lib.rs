//! Every network of the PicoDet family, as functions that append to a graph.
//!
//! [`variants`] lists the published networks; each is an [`Architecture`] of a [`Backbone`], a [`Neck`] and a
//! [`Head`], written once in the folder of that name. [`names`] maps the reference's parameter names to ours.

#![forbid(unsafe_code)]

mod backbone;
mod block;
mod classes;
mod classifier;
mod detector;
mod head;
pub mod names;
mod neck;
mod overrides;
mod published;
mod variant;

pub use backbone::{Backbone, ESNET_DEPTHS, EsNet, LCNET_GROUPS, LcNet, SEARCHED_L, SEARCHED_M, SEARCHED_S};
pub use block::{HARD_SWISH, LEAKY_RELU, RELU6, make_divisible};
pub use classes::{COCO_CATEGORY_IDS, COCO_CLASSES};
pub use classifier::Classifier;
pub use detector::Architecture;
pub use head::{BINS, Head, HeadKind, HeadMap, REG_CHANNELS, REG_MAX};
pub use neck::Neck;
pub use overrides::{ArchitectureOverrides, OverrideError};
pub use published::{PUBLISHED_LICENCE, Published, published, published_weights};
pub use variant::{ClassifierVariant, Variant, classifiers, variant, variants};
