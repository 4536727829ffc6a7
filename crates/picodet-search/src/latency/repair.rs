//! Keeping candidates below a maximum latency.

use picodet_train::random::Stream;

use crate::Genome;

/// The predicted latency of a candidate in milliseconds.
pub(crate) type Predict<'a> = dyn Fn(&Genome) -> f64 + 'a;

/// The fastest candidate, if the latency is a sum over genes; else a local minimum.
pub(crate) fn fastest(counts: &[usize], predict: &Predict<'_>) -> (Genome, f64) {
    let mut best = Genome(vec![0; counts.len()]);
    let mut latency = predict(&best);
    loop {
        let next = best.neighbours(counts).map(|genome| (predict(&genome), genome));
        match next.min_by(|a, b| a.0.total_cmp(&b.0)) {
            Some((lower, genome)) if lower < latency => (best, latency) = (genome, lower),
            _ => return (best, latency),
        }
    }
}

/// Changes random genes to faster values until the latency is at most `limit`; `None` if that ends above it.
pub(crate) fn repair(
    mut genome: Genome,
    counts: &[usize],
    predict: &Predict<'_>,
    limit: f64,
    stream: &mut Stream,
) -> Option<Genome> {
    let mut latency = predict(&genome);
    while latency > limit {
        let lower: Vec<(Genome, f64)> = genome
            .neighbours(counts)
            .map(|genome| (predict(&genome), genome))
            .filter(|(other, _)| *other < latency)
            .map(|(other, genome)| (genome, other))
            .collect();
        if lower.is_empty() {
            return None;
        }
        (genome, latency) = lower[stream.index(lower.len())].clone();
    }
    Some(genome)
}
