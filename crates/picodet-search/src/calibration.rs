//! Statistics of the batch norms of a candidate, measured on batches of training images.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use picodet_data::Dataset;
use picodet_graph::{Graph, Op, Weights};
use picodet_image::Limits;
use picodet_train::loader::{Batch, BatchRecipe, Batches};
use picodet_train::state::State;
use picodet_train::{BackendError, CpuNetwork, ExperimentError, TrainingBackend};

use crate::SearchError;

/// Bytes of decoded images that are kept while the batches of one input size are prepared.
const CACHE: usize = 256 << 20;

/// Batches of training images with the augmentation of training, on which the batch norms of candidates are measured. All
/// candidates of an input size get the same ones.
#[derive(Debug)]
pub struct Calibration {
    batches: Batches,
    recipe: BatchRecipe,
    /// Steps after the end of training, whose batches are used.
    steps: std::ops::Range<usize>,
    threads: usize,
    /// The batches of each input size.
    kept: BTreeMap<(usize, usize), Vec<Batch>>,
    network: Option<CpuNetwork>,
}

impl Calibration {
    /// Returns the calibration on at least `images` images of the dataset of a run, in batches of the size of the run.
    ///
    /// # Errors
    /// If the experiment of the run is invalid.
    pub fn new(
        state: &State,
        dataset: Arc<Dataset>,
        images: usize,
        limits: Limits,
    ) -> Result<Self, ExperimentError> {
        let recipe = state.batch_recipe(&state.progress.experiment.variant()?);
        let sampler = state.sampler(dataset.images.len());
        let first = state.progress.experiment.epochs * sampler.batches_per_epoch();
        let batches = Batches::new(dataset, sampler, recipe.clone(), CACHE).with_limits(limits);
        let count = images.div_ceil(state.progress.batch.max(1)).max(1);
        let (threads, kept) = (state.progress.threads, BTreeMap::new());
        Ok(Self { batches, recipe, steps: first..first + count, threads, kept, network: None })
    }

    /// Sets the running statistics of a network to those of its input `[h, w]` over all batches.
    ///
    /// # Errors
    /// If an image cannot be read, or the network cannot be run.
    pub fn recalibrate(
        &mut self,
        graph: &Graph,
        weights: &mut Weights,
        size: (usize, usize),
    ) -> Result<(), SearchError> {
        if !self.kept.contains_key(&size) {
            self.batches.set_recipe(BatchRecipe { sizes: vec![size], ..self.recipe.clone() });
            let made =
                picodet_parallel::map(self.steps.clone(), self.threads, |step| self.batches.make(step));
            self.kept.insert(size, made.into_iter().collect::<Result<_, _>>()?);
        }
        let network = match &mut self.network {
            Some(network) => {
                network.select(graph).map_err(BackendError::from)?;
                network
            }
            empty => {
                empty.insert(CpuNetwork::new(graph, self.threads, &[], 0, 0).map_err(BackendError::from)?)
            }
        };
        let mut moments = Moments::default();
        for batch in &self.kept[&size] {
            network.forward(weights, batch.view())?;
            moments.add(graph, &network.statistics());
        }
        moments.write(weights);
        Ok(())
    }
}

/// Mean and variance of the input of each batch norm over batches of equal size.
#[derive(Debug, Default)]
struct Moments {
    batches: f64,
    /// For each channel of a batch norm, the sums of mean, squared mean, and variance; by the names of its running mean and
    /// variance.
    sums: BTreeMap<[String; 2], Vec<[f64; 3]>>,
}

impl Moments {
    /// Adds the statistics of a batch.
    fn add(&mut self, graph: &Graph, statistics: &[(String, Vec<f32>)]) {
        let by_name: HashMap<&str, &[f32]> =
            statistics.iter().map(|(name, values)| (name.as_str(), values.as_slice())).collect();
        self.batches += 1.0;
        for node in graph.nodes.iter().filter(|node| node.op == Op::BatchNorm) {
            let names = [2, 3].map(|place| &graph.params[node.params[place].0].name);
            let [Some(mean), Some(variance)] = names.map(|name| by_name.get(name.as_str())) else { continue };
            let sums = self.sums.entry(names.map(Clone::clone)).or_insert_with(|| vec![[0.0; 3]; mean.len()]);
            for (sums, (&mean, &variance)) in sums.iter_mut().zip(mean.iter().zip(*variance)) {
                let (mean, variance) = (f64::from(mean), f64::from(variance));
                for (sum, value) in sums.iter_mut().zip([mean, mean * mean, variance]) {
                    *sum += value;
                }
            }
        }
    }

    /// Writes the statistics: the variance of all values is the mean of the variances and the variance of the means.
    fn write(&self, weights: &mut Weights) {
        for ([mean_name, variance_name], sums) in &self.sums {
            for (channel, sums) in sums.iter().enumerate() {
                let [mean, square, variance] = sums.map(|sum| sum / self.batches);
                let values = [(mean_name, mean), (variance_name, variance + (square - mean * mean).max(0.0))];
                for (name, value) in values {
                    if let Some(tensor) = weights.get_mut(name) {
                        tensor.data[channel] = value as f32;
                    }
                }
            }
        }
    }
}
