//! Running statistics of batch norms (SPEC §0).

use picodet_graph::Weights;

/// Fraction of the running statistics that a step keeps.
const MOMENTUM: f32 = 0.9;

/// Moves running statistics towards those of a batch, except parameters whose name begins with one of `frozen`.
pub fn update_running_statistics(weights: &mut Weights, batch: &[(String, Vec<f32>)], frozen: &[String]) {
    for (name, batch) in batch.iter().filter(|(name, _)| !is_frozen(frozen, name)) {
        let Some(running) = weights.get_mut(name) else { continue };
        for (running, batch) in running.data.iter_mut().zip(batch) {
            *running = MOMENTUM * *running + (1.0 - MOMENTUM) * batch;
        }
    }
}

/// Returns whether the name of a parameter begins with one of `frozen`.
pub(crate) fn is_frozen(frozen: &[String], name: &str) -> bool {
    frozen.iter().any(|prefix| name.starts_with(prefix.as_str()))
}
