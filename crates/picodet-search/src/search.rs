//! The search: rounds of candidates are judged until the budget is used, then one of them is recommended.

use serde::{Deserialize, Serialize};

use crate::judge::Accuracy;
use crate::rank::kendall;
use crate::{Archive, Evaluated, Evolution, Genome, SearchError, front};

/// Below this rank correlation between the halves of the images, the images cannot distinguish the candidates.
pub const LEAST_AGREEMENT: f64 = 0.3;

/// The reason why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SearchEnding {
    /// The number of evaluations was reached.
    Budget,
    /// There is no other candidate within the constraint.
    Exhausted,
    /// The caller ended it, such as at a time limit.
    Stopped,
}

/// The judged candidates of a search, in the order of its rounds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SearchResult {
    /// The candidates.
    pub candidates: Vec<Evaluated>,
    /// The accuracy of each candidate on both halves of the images.
    pub halves: Vec<[f64; 2]>,
    /// The reason why it ended.
    pub ending: SearchEnding,
}

impl SearchResult {
    /// Returns Kendall's rank correlation between the accuracies on the two halves of the images: -1 to 1.
    #[must_use]
    pub fn agreement(&self) -> f64 {
        let half = |index: usize| self.halves.iter().map(|halves| halves[index]).collect::<Vec<f64>>();
        kendall(&half(0), &half(1))
    }

    /// Returns the candidates that no other one dominates, by latency.
    #[must_use]
    pub fn front(&self) -> Vec<&Evaluated> {
        front(&self.candidates)
    }
}

/// A candidate that was judged.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Judged<'a> {
    /// The candidate.
    pub candidate: &'a Evaluated,
    /// Number of judged candidates.
    pub done: usize,
    /// Number of candidates of the search.
    pub of: usize,
    /// Whether the accuracy was known before.
    pub is_known: bool,
}

/// Judges candidates that `evolution` proposes until `evaluations` are judged. Accuracies that are in `archive` are taken from
/// it, the others are added, so that an interrupted search continues as if it had not been.
///
/// `predict` is the latency in milliseconds; `judge` computes the accuracy; `listen` receives each candidate and returns whether
/// to continue.
///
/// # Errors
/// [`SearchError::Impossible`] when no candidate keeps the constraint, [`SearchError::NoObjects`] when the accuracy is
/// undefined, and the errors of `judge` and of the archive.
pub fn search(
    evolution: &Evolution,
    evaluations: usize,
    archive: &mut Archive,
    predict: &dyn Fn(&Genome) -> f64,
    judge: &mut dyn FnMut(&Genome) -> Result<Accuracy, SearchError>,
    listen: &mut dyn FnMut(Judged<'_>) -> bool,
) -> Result<SearchResult, SearchError> {
    let mut result =
        SearchResult { candidates: Vec::new(), halves: Vec::new(), ending: SearchEnding::Budget };
    while result.candidates.len() < evaluations {
        let (round, genomes) = evolution.next(&result.candidates, predict)?;
        if genomes.is_empty() {
            result.ending = SearchEnding::Exhausted;
            break;
        }
        for genome in genomes.into_iter().take(evaluations - result.candidates.len()) {
            let known = archive.get(&genome);
            let Accuracy { accuracy, halves } = match known {
                Some(accuracy) => accuracy,
                None => {
                    let found = judge(&genome)?;
                    archive.add(&genome, found)?;
                    found
                }
            };
            if accuracy < 0.0 {
                return Err(SearchError::NoObjects);
            }
            let latency = predict(&genome);
            result.candidates.push(Evaluated::new(genome, accuracy, latency, round));
            result.halves.push(halves);
            let (Some(candidate), done) = (result.candidates.last(), result.candidates.len()) else { break };
            let judged = Judged { candidate, done, of: evaluations, is_known: known.is_some() };
            if !listen(judged) {
                result.ending = SearchEnding::Stopped;
                return Ok(result);
            }
        }
    }
    Ok(result)
}

/// Returns the index of the recommended candidate of a front, by latency: the fastest whose accuracy is within one standard
/// error of the best. `errors` are the standard errors of the differences between the accuracy of each candidate and that of
/// the best.
#[must_use]
pub fn recommend(front: &[&Evaluated], errors: &[f64]) -> Option<usize> {
    let best = front.last()?.accuracy;
    let is_near = |(candidate, error): (&&Evaluated, &f64)| best - candidate.accuracy <= *error;
    Some(front.iter().zip(errors).position(is_near).unwrap_or(front.len() - 1))
}
