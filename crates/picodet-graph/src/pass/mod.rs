//! Passes: `(graph, weights) -> (graph, weights)`, each small and alone.

mod fold_batch_norm;
mod prune;

pub use fold_batch_norm::{fold_batch_norm, fold_batch_norm_structure};
pub use prune::{keep_outputs, keep_weights};
