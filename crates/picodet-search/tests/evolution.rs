//! The evolution on a space whose optimum is known.

use std::cell::Cell;

use picodet_search::{Evaluated, Evolution, Genome, Options, SearchError, front};
use picodet_train::random::{Purpose, Stream};

const GENES: usize = 6;
const VALUES: usize = 5;
const EVALUATIONS: usize = 300;

/// Accuracies and latencies of 15,625 candidates: sums over genes, and a term for each pair of genes in the accuracy.
struct Landscape {
    accuracy: [[f64; VALUES]; GENES],
    pairs: Vec<f64>,
    latency: [[f64; VALUES]; GENES],
    limit: f64,
}

impl Landscape {
    fn new(seed: u64) -> Self {
        let mut stream = Stream::new(seed, Purpose::Initialisation, 77, 0);
        // Larger values are slower and, for the most part, more accurate.
        let mut table = |spread: f64| -> [[f64; VALUES]; GENES] {
            std::array::from_fn(|_| {
                let weight = stream.uniform(0.3, 1.0);
                std::array::from_fn(|value| weight * value as f64 + spread * stream.normal())
            })
        };
        let (accuracy, latency) = (table(0.5), table(0.1));
        let pairs = (0..GENES * GENES * VALUES * VALUES).map(|_| 0.15 * stream.normal()).collect();
        let mut landscape = Self { accuracy, pairs, latency, limit: 0.0 };
        let mut latencies: Vec<f64> = all().map(|genome| landscape.latency(&genome)).collect();
        latencies.sort_by(f64::total_cmp);
        landscape.limit = latencies[latencies.len() * 2 / 5];
        landscape
    }

    fn accuracy(&self, genome: &Genome) -> f64 {
        let value = |gene: usize| usize::from(genome.0[gene]);
        let single: f64 = (0..GENES).map(|gene| self.accuracy[gene][value(gene)]).sum();
        let pairs: f64 = (0..GENES)
            .flat_map(|a| (a + 1..GENES).map(move |b| (a, b)))
            .map(|(a, b)| self.pairs[((a * GENES + b) * VALUES + value(a)) * VALUES + value(b)])
            .sum();
        0.3 + 0.02 * (single + pairs)
    }

    fn latency(&self, genome: &Genome) -> f64 {
        10.0 + genome.0.iter().zip(&self.latency).map(|(&value, gene)| gene[usize::from(value)]).sum::<f64>()
    }

    fn optimum(&self) -> f64 {
        let allowed = all().filter(|genome| self.latency(genome) <= self.limit);
        allowed.map(|genome| self.accuracy(&genome)).fold(0.0, f64::max)
    }

    /// The archive of a search of at most `EVALUATIONS` candidates.
    fn search(&self, options: Options) -> Vec<Evaluated> {
        let mut archive = Vec::new();
        self.resume(&evolution(options), &mut archive, EVALUATIONS);
        archive
    }

    fn resume(&self, evolution: &Evolution, archive: &mut Vec<Evaluated>, evaluations: usize) {
        while archive.len() < evaluations {
            let (round, genomes) = evolution.next(archive, &|genome| self.latency(genome)).expect("possible");
            if genomes.is_empty() {
                return;
            }
            for genome in genomes.into_iter().take(evaluations - archive.len()) {
                let (accuracy, latency) = (self.accuracy(&genome), self.latency(&genome));
                archive.push(Evaluated::new(genome, accuracy, latency, round));
            }
        }
    }

    fn options(&self, seed: u64) -> Options {
        let mut options = Options::default();
        options.seed = seed;
        options.constraint = Some(self.limit);
        options
    }
}

fn all() -> impl Iterator<Item = Genome> {
    (0..VALUES.pow(GENES as u32)).map(|index| {
        Genome((0..GENES as u32).map(|gene| (index / VALUES.pow(gene) % VALUES) as u8).collect())
    })
}

fn evolution(options: Options) -> Evolution {
    let seeds = (0..VALUES as u8).map(|value| Genome(vec![value; GENES])).collect();
    Evolution::new(vec![VALUES; GENES], seeds, options)
}

fn best(archive: &[Evaluated]) -> f64 {
    archive.iter().map(|found| found.accuracy).fold(0.0, f64::max)
}

#[test]
fn the_optimum_is_found_where_random_search_fails() {
    let seeds = 100;
    let (mut found, mut regret, mut random_regret) = (0, 0.0, 0.0);
    for seed in 0..seeds {
        let landscape = Landscape::new(seed);
        let optimum = landscape.optimum();
        let archive = landscape.search(landscape.options(seed));
        assert_eq!(archive.len(), EVALUATIONS);
        assert!(archive.iter().all(|found| found.latency <= landscape.limit), "the constraint is kept");
        found += u32::from(best(&archive) >= optimum - 1e-12);
        regret += optimum - best(&archive);
        let mut options = landscape.options(seed);
        options.random = true;
        random_regret += optimum - best(&landscape.search(options));
    }
    assert!(found >= 99, "{found} of {seeds}");
    assert!(regret <= random_regret / 3.0, "regret {regret} against {random_regret}");
}

#[test]
fn a_search_continues_from_its_archive() {
    let landscape = Landscape::new(5);
    for constrained in [true, false] {
        let mut options = landscape.options(1);
        options.constraint = options.constraint.filter(|_| constrained);
        let evolution = evolution(options.clone());
        let mut whole = Vec::new();
        landscape.resume(&evolution, &mut whole, 130);
        for cut in [0, 1, 39, 40, 41, 77, 129] {
            let mut archive = whole[..cut].to_vec();
            landscape.resume(&evolution, &mut archive, 130);
            assert!(archive == whole, "interrupted after {cut}");
        }
        let genomes: std::collections::HashSet<_> = whole.iter().map(|found| &found.genome).collect();
        assert_eq!(genomes.len(), 130, "no candidate is evaluated twice");
    }
}

#[test]
fn without_a_constraint_the_front_is_searched() {
    let landscape = Landscape::new(9);
    let points = |genomes: &mut dyn Iterator<Item = Genome>| -> Vec<Evaluated> {
        genomes.map(|g| Evaluated::new(g.clone(), landscape.accuracy(&g), landscape.latency(&g), 0)).collect()
    };
    let every = points(&mut all());
    // The area below the front, for latencies of the whole space.
    let area = |archive: &[Evaluated]| -> f64 {
        let end = every.iter().map(|found| found.latency).fold(0.0, f64::max);
        let front = front(archive);
        let ends = front.iter().skip(1).map(|found| found.latency).chain([end]);
        front.iter().zip(ends).map(|(found, end)| found.accuracy * (end - found.latency)).sum()
    };
    let archive = landscape.search(Options::default());
    let mut options = Options::default();
    options.random = true;
    let (found, possible, random) = (area(&archive), area(&every), area(&landscape.search(options)));
    assert!(found >= 0.99 * possible, "{found} of {possible}");
    assert!(possible - found <= (possible - random) / 3.0, "{found} and {random} of {possible}");
}

#[test]
fn impossible_slack_and_exhausted_spaces_are_named() {
    let landscape = Landscape::new(2);
    let mut options = landscape.options(0);
    options.constraint = Some(1.0);
    let error = evolution(options).next(&[], &|genome| landscape.latency(genome)).expect_err("impossible");
    assert!(
        matches!(error, SearchError::Impossible { .. }) && error.to_string().contains("1.00 ms"),
        "{error}"
    );
    assert!(!evolution(landscape.options(0)).is_slack(&|genome| landscape.latency(genome)));
    let mut options = landscape.options(0);
    options.constraint = Some(1e6);
    assert!(evolution(options).is_slack(&|genome| landscape.latency(genome)));

    // Nine candidates: all are evaluated once, then no candidate is left.
    let small = Evolution::new(vec![3, 3], vec![], Options::default());
    let predicted = Cell::new(0);
    let predict = |genome: &Genome| {
        predicted.set(predicted.get() + 1);
        f64::from(genome.0[0])
    };
    let (round, genomes) = small.next(&[], &predict).expect("possible");
    assert_eq!((round, genomes.len()), (0, 9));
    let archive: Vec<Evaluated> =
        genomes.into_iter().map(|genome| Evaluated::new(genome, 0.5, 1.0, 0)).collect();
    assert_eq!(small.next(&archive, &predict).expect("possible").1, []);
}
