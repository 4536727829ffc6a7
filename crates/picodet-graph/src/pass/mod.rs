//! Analyses and rewrites of graphs.
//!
//! Rewrites map a graph, and its weights where they change, to new ones; [`fuse()`] and [`place`] are the analyses that
//! inference and training share when they lower a graph to steps on memory.

mod channel_order;
mod fold_batch_norm;
mod fuse;
mod lifetimes;
mod prune;
mod slice;

pub use channel_order::sort_channels;
pub use fold_batch_norm::{fold_batch_norm, fold_batch_norm_structure};
pub use fuse::{Block, ChannelSource, Fusion, Sum, fuse, reads_image};
pub use lifetimes::{Lifetime, Placement, place};
pub use prune::{keep_outputs, keep_weights};
pub use slice::{NotASlice, ParamSlice, SliceMap, SliceRule, slice_map};
