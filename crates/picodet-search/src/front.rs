//! Evaluated candidates and the front of those that no other one dominates.

use serde::{Deserialize, Serialize};

use crate::Genome;

/// A candidate whose accuracy is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evaluated {
    /// The candidate.
    pub genome: Genome,
    /// Its accuracy (AP), 0 to 1.
    pub accuracy: f64,
    /// Its predicted latency in milliseconds.
    pub latency: f64,
    /// 0-based round of the search in which it was proposed.
    pub round: u32,
}

impl Evaluated {
    /// Returns an evaluated candidate.
    #[must_use]
    pub fn new(genome: Genome, accuracy: f64, latency: f64, round: u32) -> Self {
        Self { genome, accuracy, latency, round }
    }

    fn dominates(&self, other: &Self) -> bool {
        let not_worse = self.accuracy >= other.accuracy && self.latency <= other.latency;
        not_worse && (self.accuracy > other.accuracy || self.latency < other.latency)
    }
}

/// Returns the candidates that no other one dominates in accuracy and latency, by latency; one of equal ones.
#[must_use]
pub fn front(archive: &[Evaluated]) -> Vec<&Evaluated> {
    let mut sorted: Vec<&Evaluated> = archive.iter().filter(|found| !found.accuracy.is_nan()).collect();
    sorted.sort_by(|a, b| a.latency.total_cmp(&b.latency).then(b.accuracy.total_cmp(&a.accuracy)));
    let mut front: Vec<&Evaluated> = Vec::new();
    for found in sorted {
        if front.last().is_none_or(|last| found.accuracy > last.accuracy) {
            front.push(found);
        }
    }
    front
}

/// The candidates by fronts: first those that none dominates, then those that only these dominate, and so on; within a
/// front the loneliest first (NSGA-II). Returns at most `count` indices.
pub(crate) fn ranked(archive: &[Evaluated], count: usize) -> Vec<usize> {
    let mut left: Vec<usize> =
        (0..archive.len()).filter(|&index| !archive[index].accuracy.is_nan()).collect();
    let mut ranked = Vec::new();
    while !left.is_empty() && ranked.len() < count {
        let dominated = |&index: &usize| left.iter().any(|&other| archive[other].dominates(&archive[index]));
        let (rest, mut best): (Vec<usize>, Vec<usize>) = left.iter().copied().partition(dominated);
        best.sort_by(|&a, &b| archive[a].latency.total_cmp(&archive[b].latency));
        let crowding = crowding(archive, &best);
        let mut order: Vec<usize> = (0..best.len()).collect();
        order.sort_by(|&a, &b| crowding[b].total_cmp(&crowding[a]));
        ranked.extend(order.into_iter().map(|at| best[at]));
        left = rest;
    }
    ranked.truncate(count);
    ranked
}

/// For each candidate of a front, sorted by latency, the distance between its neighbours.
fn crowding(archive: &[Evaluated], front: &[usize]) -> Vec<f64> {
    let at = |position: usize| &archive[front[position]];
    let (Some(first), Some(last)) = (front.first(), front.last()) else { return Vec::new() };
    let latency = (archive[*last].latency - archive[*first].latency).max(f64::MIN_POSITIVE);
    let accuracy = (archive[*last].accuracy - archive[*first].accuracy).abs().max(f64::MIN_POSITIVE);
    (0..front.len())
        .map(|position| {
            if position == 0 || position + 1 == front.len() {
                return f64::INFINITY;
            }
            let (before, after) = (at(position - 1), at(position + 1));
            (after.latency - before.latency) / latency + (after.accuracy - before.accuracy).abs() / accuracy
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_has_what_nothing_dominates() {
        let of = |accuracy, latency| Evaluated::new(Genome(vec![]), accuracy, latency, 0);
        let archive = [
            of(0.5, 2.0),
            of(0.4, 3.0),
            of(0.6, 3.0),
            of(0.6, 3.0),
            of(0.3, 1.0),
            of(f64::NAN, 0.1),
            of(0.55, 2.5),
        ];
        let found: Vec<f64> = front(&archive).iter().map(|found| found.accuracy).collect();
        assert_eq!(found, [0.3, 0.5, 0.55, 0.6]);
        let ranked = ranked(&archive, 10);
        // Both of the equal ones are in the first front; the dominated one comes last, NaN never.
        assert_eq!((ranked.len(), ranked[5]), (6, 1));
        assert!(!ranked.contains(&5));
    }
}
