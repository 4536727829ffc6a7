//! The evolution: which candidates to evaluate next.

use std::collections::HashSet;

use picodet_train::random::{Purpose, Stream};

use crate::front::{front, ranked};
use crate::latency::{Predict, fastest, repair};
use crate::surrogate::Surrogate;
use crate::{Evaluated, Genome, SearchError};

/// Spaces of at most this many candidates are searched completely in each round.
const SMALL_SPACE: usize = 20_000;
/// Children for each place of a round, among which the surrogate chooses.
const CHILDREN: usize = 10;
/// Attempts to draw a new candidate for each place of a round.
const ATTEMPTS: usize = 50;

/// Options of an [`Evolution`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// Random seed.
    pub seed: u64,
    /// Maximum latency in milliseconds; without one, the front of accuracy and latency is searched.
    pub constraint: Option<f64>,
    /// Number of candidates of the first round.
    pub first: usize,
    /// Number of candidates of each later round.
    pub round: usize,
    /// Choose candidates at random, as a baseline at the same cost.
    pub random: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 0, constraint: None, first: 40, round: 25, random: false }
    }
}

/// Proposes candidates, given all that were evaluated. The same archive gives the same proposals, so that a search
/// continues from its archive.
#[derive(Clone, Debug)]
pub struct Evolution {
    counts: Vec<usize>,
    seeds: Vec<Genome>,
    options: Options,
}

impl Evolution {
    /// Returns the evolution of genomes with `counts` values for each gene, at most 256; the first round contains `seeds`.
    #[must_use]
    pub fn new(counts: Vec<usize>, seeds: Vec<Genome>, options: Options) -> Self {
        Self { counts, seeds, options }
    }

    /// Returns the number of the next round and the candidates that it still has to evaluate; none when the whole space
    /// is evaluated. `predict` is the latency of a candidate in milliseconds.
    ///
    /// # Errors
    /// [`SearchError::Impossible`] when no candidate keeps the constraint.
    pub fn next(
        &self,
        archive: &[Evaluated],
        predict: &dyn Fn(&Genome) -> f64,
    ) -> Result<(u32, Vec<Genome>), SearchError> {
        if let Some(constraint) = self.options.constraint {
            let (_, fastest) = fastest(&self.counts, predict);
            if fastest > constraint {
                return Err(SearchError::Impossible { constraint, fastest });
            }
        }
        let Some(last) = archive.iter().map(|found| found.round).max() else {
            return Ok((0, self.propose(&[], 0, predict)));
        };
        // An interrupted round is completed first.
        let before: Vec<Evaluated> = archive.iter().filter(|found| found.round < last).cloned().collect();
        let mut left = self.propose(&before, last, predict);
        left.retain(|genome| archive.iter().all(|found| found.genome != *genome));
        match left.is_empty() {
            true => Ok((last + 1, self.propose(archive, last + 1, predict))),
            false => Ok((last, left)),
        }
    }

    /// Whether the slowest candidate keeps the constraint, so that it excludes no candidate.
    pub fn is_slack(&self, predict: &dyn Fn(&Genome) -> f64) -> bool {
        let slowest = |genome: &Genome| -predict(genome);
        self.options.constraint.is_none_or(|limit| -fastest(&self.counts, &slowest).1 <= limit)
    }

    fn propose(&self, archive: &[Evaluated], round: u32, predict: &Predict<'_>) -> Vec<Genome> {
        let mut stream = Stream::new(self.options.seed, Purpose::Search, u64::from(round), 0);
        let size = if round == 0 { self.options.first } else { self.options.round };
        let known: HashSet<&Genome> = archive.iter().map(|found| &found.genome).collect();
        let mut chosen = Chosen { known, genomes: Vec::new(), size };
        if round == 0 {
            for seed in &self.seeds {
                chosen.add(self.keep(seed.clone(), predict, &mut stream));
            }
        } else if !self.options.random {
            self.children(archive, &mut chosen, predict, &mut stream);
        }
        for _ in 0..ATTEMPTS * size {
            if chosen.is_full() {
                break;
            }
            chosen.add(self.keep(Genome::random(&self.counts, &mut stream), predict, &mut stream));
        }
        if !chosen.is_full()
            && let Some(all) = self.all()
        {
            let limit = self.options.constraint.unwrap_or(f64::INFINITY);
            all.filter(|genome| predict(genome) <= limit).for_each(|genome| chosen.add(Some(genome)));
        }
        chosen.genomes
    }

    /// The candidate, changed until it keeps the constraint.
    fn keep(&self, genome: Genome, predict: &Predict<'_>, stream: &mut Stream) -> Option<Genome> {
        match self.options.constraint {
            Some(limit) => repair(genome, &self.counts, predict, limit, stream),
            None => Some(genome),
        }
    }

    /// Every candidate of a small space.
    fn all(&self) -> Option<impl Iterator<Item = Genome> + '_> {
        let size = self.counts.iter().try_fold(1usize, |size, &count| size.checked_mul(count));
        let size = size.filter(|&size| size <= SMALL_SPACE)?;
        Some((0..size).map(|mut index| {
            let digit = |&count: &usize| {
                let value = index % count;
                index /= count;
                value as u8
            };
            Genome(self.counts.iter().map(digit).collect())
        }))
    }

    /// Chooses children that the surrogate expects to be accurate, or is uncertain about.
    fn children(
        &self,
        archive: &[Evaluated],
        chosen: &mut Chosen<'_>,
        predict: &Predict<'_>,
        stream: &mut Stream,
    ) {
        let limit = self.options.constraint.unwrap_or(f64::INFINITY);
        // A tenth of each round is random, so that no part of the space is given up.
        let places = chosen.size - chosen.size / 10;
        let pool: Vec<Genome> = match self.all() {
            Some(all) => all.filter(|genome| predict(genome) <= limit).collect(),
            None => self.bred(archive, CHILDREN * chosen.size, predict, stream),
        };
        let known: Vec<(&Genome, f64)> = (archive.iter())
            .filter(|found| found.accuracy.is_finite())
            .map(|found| (&found.genome, found.accuracy))
            .collect();
        let Some(surrogate) = Surrogate::fit(&known, &self.counts) else {
            pool.into_iter().take(places).for_each(|genome| chosen.add(Some(genome)));
            return;
        };
        let references = front(archive);
        // The accuracy that a candidate has to exceed: the best within the constraint, or the best that is as fast.
        let reference = |genome: &Genome| {
            let latency = if self.options.constraint.is_some() { limit } else { predict(genome) };
            references.iter().rev().find(|found| found.latency <= latency).map_or(0.0, |found| found.accuracy)
        };
        let mut scored: Vec<(f64, Genome)> = (pool.into_iter())
            .filter(|genome| !chosen.known.contains(genome))
            .map(|genome| (surrogate.mean(&genome) - reference(&genome), genome))
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        if let Some((_, best)) = scored.first() {
            chosen.add(Some(self.climbed(best.clone(), &surrogate, predict, limit)));
        }
        let by_mean = places / 2;
        scored.iter().take(by_mean).for_each(|(_, genome)| chosen.add(Some(genome.clone())));
        let mut uncertain: Vec<(f64, &Genome)> = (scored.iter().skip(by_mean).take(CHILDREN * chosen.size))
            .map(|(gain, genome)| (gain + surrogate.deviation(genome), genome))
            .collect();
        uncertain.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        for (_, genome) in uncertain {
            if chosen.genomes.len() >= places {
                break;
            }
            chosen.add(Some(genome.clone()));
        }
    }

    /// Children of the best candidates.
    fn bred(
        &self,
        archive: &[Evaluated],
        count: usize,
        predict: &Predict<'_>,
        stream: &mut Stream,
    ) -> Vec<Genome> {
        let parents: Vec<&Genome> = match self.options.constraint {
            None => ranked(archive, 20).into_iter().map(|index| &archive[index].genome).collect(),
            Some(limit) => {
                let mut best: Vec<&Evaluated> = (archive.iter())
                    .filter(|found| found.latency <= limit && found.accuracy.is_finite())
                    .collect();
                best.sort_by(|a, b| b.accuracy.total_cmp(&a.accuracy));
                best.truncate(10);
                best.extend(front(archive).into_iter().filter(|found| found.latency <= limit));
                best.into_iter().map(|found| &found.genome).collect()
            }
        };
        if parents.is_empty() {
            return Vec::new();
        }
        let mut children = Vec::with_capacity(count);
        for number in 0..count {
            let parent = parents[stream.index(parents.len())];
            let child = match number % 2 {
                0 => parent.crossover(parents[stream.index(parents.len())], stream),
                _ => parent.clone(),
            };
            let child = child.mutated(&self.counts, stream);
            children.extend(self.keep(child, predict, stream));
        }
        children.sort_unstable();
        children.dedup();
        children
    }

    /// The local maximum of the expected accuracy within the limit.
    fn climbed(&self, start: Genome, surrogate: &Surrogate<'_>, predict: &Predict<'_>, limit: f64) -> Genome {
        let (mut best, mut value) = (surrogate.mean(&start), start);
        loop {
            let next = value
                .neighbours(&self.counts)
                .filter(|genome| predict(genome) <= limit)
                .map(|genome| (surrogate.mean(&genome), genome))
                .max_by(|a, b| a.0.total_cmp(&b.0));
            match next {
                Some((higher, genome)) if higher > best => (best, value) = (higher, genome),
                _ => return value,
            }
        }
    }
}

/// The new candidates of a round.
struct Chosen<'a> {
    known: HashSet<&'a Genome>,
    genomes: Vec<Genome>,
    size: usize,
}

impl Chosen<'_> {
    fn is_full(&self) -> bool {
        self.genomes.len() >= self.size
    }

    fn add(&mut self, genome: Option<Genome>) {
        let Some(genome) = genome.filter(|_| !self.is_full()) else { return };
        if !self.known.contains(&genome) && !self.genomes.contains(&genome) {
            self.genomes.push(genome);
        }
    }
}
