//! Measures the parts of a space's networks on this machine.

use std::collections::BTreeMap;
use std::time::Instant;

use picodet_engine::Plan;
use picodet_train::random::{Purpose, Stream};

use super::part::Part;
use super::prepared::{Prepared, prepare_all};
use super::table::FORMAT;
use super::{LatencyError, LatencyOptions, LatencyTable, Predictor, WholeRuns};
use crate::{Gene, Genome, Space};

/// Runs of each network in a burst, of which the median counts.
const RUNS: usize = 7;
/// Bursts of each network, of which the fastest counts; slow networks get the first number only.
const BURSTS: std::ops::RangeInclusive<usize> = 5..=12;
/// Most bursts of whole inferences.
const MOST_WHOLE: usize = 60;
/// Candidates whose whole inferences are measured.
const WHOLE: usize = 8;
/// The share of runs that are faster than the reported time of a whole inference.
const PERCENTILE: f64 = 0.1;

/// A candidate that was predicted and measured.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LatencyCheck {
    /// The candidate.
    pub genome: Genome,
    /// Predicted sum of its steps in milliseconds.
    pub predicted_steps: f64,
    /// Measured sum of its steps in milliseconds.
    pub steps: f64,
    /// Predicted time of a whole inference in milliseconds.
    pub predicted_whole: f64,
    /// Measured time of a whole inference in milliseconds.
    pub whole: f64,
}

/// Measures the parts of the networks of a space. `listen` receives the number of measured input sizes and their total.
///
/// # Errors
/// If the networks cannot be prepared for this CPU.
pub fn measure_latency(
    space: &Space,
    options: &LatencyOptions,
    listen: &mut dyn FnMut(usize, usize),
) -> Result<LatencyTable, LatencyError> {
    let count = sizes(space);
    let mut parts = BTreeMap::new();
    for size in 0..count {
        let genomes = profiled(space, size);
        let mut networks = prepare_all(space, &genomes, options)?;
        measure(&mut networks, 0.6 * options.seconds / count as f64, false)?;
        parts.extend(means(&networks));
        listen(size + 1, count + 1);
    }
    let mut table = LatencyTable {
        format: FORMAT,
        network: space.base().name.to_owned(),
        classes: options.classes,
        date: options.date.clone(),
        machine: options.machine(),
        whole: WholeRuns { scale: 1.0, offset: 0.0, reference: 0.0, median_error: 0.0, worst_error: 0.0 },
        parts,
    };
    let genomes = [vec![space.published_genome()], random(space, WHOLE, 0)].concat();
    let mut networks = prepare_all(space, &genomes, options)?;
    measure(&mut networks, 0.4 * options.seconds, true)?;
    let pairs: Vec<[f64; 2]> =
        networks.iter().map(|network| [network.sum_of_steps(), percentile(&network.whole)]).collect();
    table.whole = fit(&pairs, options.threads > 1);
    listen(count + 1, count + 1);
    Ok(table)
}

/// Measures `count` random candidates, by steps and as a whole, and predicts them from a table of this machine.
///
/// # Errors
/// If the table is not of this space, or the networks cannot be prepared for this CPU.
pub fn check_latency(
    space: &Space,
    table: &LatencyTable,
    options: &LatencyOptions,
    count: usize,
    seed: u64,
) -> Result<Vec<LatencyCheck>, LatencyError> {
    let predictor = Predictor::new(table, space, options.classes)?;
    let genomes = random(space, count, seed);
    let mut networks = prepare_all(space, &genomes, options)?;
    measure(&mut networks, options.seconds, true)?;
    let checked = genomes.into_iter().zip(&networks).map(|(genome, network)| LatencyCheck {
        predicted_steps: predictor.sum_of_steps(&genome),
        steps: network.sum_of_steps(),
        predicted_whole: predictor.predict(&genome),
        whole: percentile(&network.whole),
        genome,
    });
    Ok(checked.collect())
}

/// Measures whole inferences of candidates and of the network nearest to the published one side by side; returns their
/// milliseconds, that of the reference last.
///
/// # Errors
/// If a candidate is not of the space or cannot be prepared for this CPU.
pub fn measure_candidates(
    space: &Space,
    genomes: &[Genome],
    options: &LatencyOptions,
) -> Result<Vec<f64>, LatencyError> {
    let genomes = [genomes, &[space.published_genome()]].concat();
    let mut networks = prepare_all(space, &genomes, options)?;
    measure(&mut networks, options.seconds, true)?;
    Ok(networks.iter().map(|network| percentile(&network.whole)).collect())
}

/// The number of input sizes.
fn sizes(space: &Space) -> usize {
    space.genes().iter().find(|(gene, _)| *gene == Gene::Input).map_or(1, |(_, values)| values.len())
}

/// Candidates of one input size that contain every part of every value: uniform ratios of ESNet with every width of the neck and every
/// kernel, all with the largest tower.
fn profiled(space: &Space, size: usize) -> Vec<Genome> {
    let count_of = |wanted: Gene| {
        let of_gene = |(gene, values): &(Gene, Vec<f64>)| (*gene == wanted).then_some(values.len());
        space.genes().iter().find_map(of_gene).unwrap_or(1)
    };
    let widths = count_of(Gene::Neck);
    let kernels = count_of(Gene::NeckKernel).max(count_of(Gene::TowerKernel));
    let scales = count_of(Gene::Scale(0));
    if scales > 1 {
        return profiled_pairs(space, size, scales.max(widths).max(kernels));
    }
    let ratios = space.genes().iter().filter(|(gene, _)| matches!(gene, Gene::Ratio(_)));
    let ratios = ratios.map(|(_, values)| values.len()).max().unwrap_or(1);
    let networks = ratios.max(widths * kernels);
    let genome = |number: usize| {
        let value = |(gene, values): &(Gene, Vec<f64>)| match gene {
            Gene::Ratio(_) | Gene::Neck => number % values.len(),
            Gene::NeckKernel | Gene::TowerKernel => number / widths % values.len(),
            Gene::Scale(_) => 0,
            Gene::Tower => values.len() - 1,
            Gene::Input => size,
        };
        Genome(space.genes().iter().map(|gene| value(gene) as u8).collect())
    };
    (0..networks).map(genome).collect()
}

/// As [`profiled`], for parts that depend on pairs of genes: the scales of neighbouring groups, a scale and the width of the
/// neck, that width and a kernel. Genes have at most `values` values. Of the three numbers below any two have all pairs.
fn profiled_pairs(space: &Space, size: usize, values: usize) -> Vec<Genome> {
    let genome = |number: usize| {
        let (first, second) = (number % values, number / values);
        let third = (first + second) % values;
        let value = |(gene, values): &(Gene, Vec<f64>)| match gene {
            Gene::Scale(group) if group % 2 == 0 => first % values.len(),
            Gene::Scale(_) | Gene::NeckKernel | Gene::TowerKernel => second % values.len(),
            Gene::Neck => third % values.len(),
            Gene::Ratio(_) => 0,
            Gene::Tower => values.len() - 1,
            Gene::Input => size,
        };
        Genome(space.genes().iter().map(|gene| value(gene) as u8).collect())
    };
    (0..values * values).map(genome).collect()
}

/// Random candidates.
fn random(space: &Space, count: usize, seed: u64) -> Vec<Genome> {
    let mut stream = Stream::new(seed, Purpose::Search, u64::MAX, 0);
    (0..count).map(|_| Genome::random(&space.counts(), &mut stream)).collect()
}

/// Measures the steps of networks in bursts, one network after the other, so that a disturbance meets few of its bursts; with
/// `whole` also whole inferences after each burst, which are disturbed alike.
fn measure(networks: &mut [Prepared], seconds: f64, whole: bool) -> Result<(), LatencyError> {
    let start = Instant::now();
    let mut bursts = 0;
    let most = if whole { MOST_WHOLE } else { *BURSTS.end() };
    while bursts < *BURSTS.start() || (bursts < most && start.elapsed().as_secs_f64() < seconds) {
        for network in &mut *networks {
            let found = network.plan.profile(&network.image, RUNS)?;
            if network.steps.is_empty() {
                network.steps = found;
            } else {
                let pairs = network.steps.iter_mut().zip(found);
                pairs.for_each(|(least, step)| least.seconds = least.seconds.min(step.seconds));
            }
            for _ in 0..if whole { RUNS } else { 0 } {
                let start = Instant::now();
                if network.plan.run_in_place(&network.image)?.is_none() {
                    network.plan.run(&network.image)?;
                }
                network.whole.push(1e3 * start.elapsed().as_secs_f64());
            }
        }
        bursts += 1;
    }
    Ok(())
}

/// The milliseconds of each part, the mean of the networks that have it.
fn means(networks: &[Prepared]) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for network in networks {
        let mut own: BTreeMap<String, f64> = BTreeMap::new();
        for step in &network.steps {
            let part = Part::of_scope(&step.scope, &network.candidate.architecture.backbone);
            if let Some(key) = part.key(&network.candidate) {
                *own.entry(key).or_default() += 1e3 * step.seconds;
            }
        }
        for (key, time) in own {
            let sum = sums.entry(key).or_default();
            *sum = (sum.0 + time, sum.1 + 1.0);
        }
    }
    sums.into_iter().map(|(key, (sum, count))| (key, sum / count)).collect()
}

/// The time that this share of the runs does not reach.
fn percentile(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times.get((PERCENTILE * times.len() as f64) as usize).copied().unwrap_or_default()
}

/// Returns the median and the largest absolute value of relative errors; zeros without any.
#[must_use]
pub fn median_and_worst(errors: impl Iterator<Item = f64>) -> [f64; 2] {
    let mut errors: Vec<f64> = errors.map(f64::abs).collect();
    errors.sort_by(f64::total_cmp);
    let places = [errors.len() / 2, errors.len().saturating_sub(1)];
    places.map(|place| errors.get(place).copied().unwrap_or_default())
}

/// Fits whole inferences to sums of steps; the first pair is that of the reference. Several threads wait for each other between
/// steps, so that only with them a constant time is added.
fn fit(pairs: &[[f64; 2]], has_offset: bool) -> WholeRuns {
    let count = pairs.len() as f64;
    let mean = |index: usize| pairs.iter().map(|pair| pair[index]).sum::<f64>() / count;
    let [x, y] = [mean(0), mean(1)];
    let variance: f64 = pairs.iter().map(|pair| (pair[0] - x).powi(2)).sum();
    let covariance: f64 = pairs.iter().map(|pair| (pair[0] - x) * (pair[1] - y)).sum();
    let (scale, offset) = match has_offset && variance > 0.0 {
        true => (covariance / variance, y - covariance / variance * x),
        false => (y / x, 0.0),
    };
    let errors = pairs.iter().map(|[steps, whole]| (scale * steps + offset) / whole - 1.0);
    let [median_error, worst_error] = median_and_worst(errors);
    WholeRuns {
        scale,
        offset,
        reference: pairs.first().map_or(0.0, |pair| pair[1]),
        median_error,
        worst_error,
    }
}
