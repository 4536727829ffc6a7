//! The search among the networks of a trained supernet, and the files of its front.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use picodet_detect::Model;
use picodet_engine::Precision;
use picodet_eval::Detection;
use picodet_search::{
    Accuracy, Archive, Calibration, Evaluated, Evolution, Genome, Inheritance, Judged, Measure, Options,
    SearchError, SearchResult, recommend, search,
};
use picodet_train::loader::data_digest;
use picodet_train::recipes::recipe;
use picodet_train::{Experiment, InputSize};
use picodet_weights::Storage;

use super::images::paired_error;
use super::{SearchImages, SearchRunError, Searcher, write};
use crate::train::TrainError;

/// Settings of a search among the networks of a supernet.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Find {
    /// Constraint, seed, sizes of the rounds.
    pub options: Options,
    /// Number of candidates to judge.
    pub evaluations: usize,
    /// Precision in which candidates are judged.
    pub precision: Precision,
    /// Folder of the networks of the front; `None` for that of the search.
    pub front: Option<PathBuf>,
}

impl Default for Find {
    fn default() -> Self {
        Self { options: Options::default(), evaluations: 500, precision: Precision::default(), front: None }
    }
}

/// A network of the front.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FrontEntry {
    /// The candidate with its accuracy and predicted latency.
    pub candidate: Evaluated,
    /// Standard error of the difference of its accuracy to that of the best.
    pub error: f64,
    /// Number of parameters.
    pub parameters: usize,
    /// Its experiment, from which `picodet train` continues.
    pub experiment: PathBuf,
    /// The model with the weights of the supernet.
    pub model: PathBuf,
}

/// The result of a search.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// All judged candidates.
    pub result: SearchResult,
    /// The candidates that no other one dominates, by latency.
    pub front: Vec<FrontEntry>,
    /// Index of the recommended one in the front: the fastest within one standard error of the best.
    pub recommended: usize,
    /// Rank correlation between the accuracies on two halves of the images; below [`picodet_search::LEAST_AGREEMENT`], the images
    /// cannot distinguish the candidates.
    pub agreement: f64,
    /// Whether the slowest network keeps the constraint as well.
    pub is_slack: bool,
}

impl Searcher {
    /// Searches among the networks of the trained supernet and writes those of the front. `predict` is the latency of a
    /// candidate in milliseconds; `listen` receives each judged candidate and returns whether to continue.
    ///
    /// # Errors
    /// If the supernet is not trained, no candidate keeps the constraint, or a file cannot be read or written.
    pub fn find(
        &self,
        find: &Find,
        predict: &dyn Fn(&Genome) -> f64,
        listen: &mut dyn FnMut(Judged<'_>) -> bool,
    ) -> Result<Finding, SearchRunError> {
        let supernet = self.supernet()?;
        let (mut inheritance, mut images) = self.candidates(&supernet, find.precision)?;
        let key = format!(
            "{} {} {} {}",
            inheritance.digest(),
            data_digest(&self.trainer.validation),
            self.settings.calibration,
            find.precision
        );
        let mut archive = Archive::open(&self.folder.archive(), &key)?;
        let evolution = Evolution::new(self.space.counts(), self.space.seeds(), find.options.clone());
        let is_slack = find.options.constraint.is_some() && evolution.is_slack(predict);
        let mut judge = |genome: &Genome| -> Result<Accuracy, SearchError> {
            Ok(images.measure(&inheritance.model(genome)?)?)
        };
        let result = search(&evolution, find.evaluations, &mut archive, predict, &mut judge, listen)?;
        let front = result.front();
        let (models, detections) = take(&front, &mut inheritance, &mut images)?;
        let samples = detections.iter().map(|own| images.sampled(own));
        let samples: Vec<Vec<f64>> = samples.collect::<Result<_, _>>()?;
        let Some(best) = samples.last() else { return Err(SearchError::Genome.into()) };
        let errors: Vec<f64> = samples.iter().map(|own| paired_error(best, own)).collect();
        let recommended = recommend(&front, &errors).unwrap_or_default();
        let folder = find.front.clone().unwrap_or_else(|| self.folder.front());
        let entries = front.iter().zip(&models).zip(errors).enumerate();
        let front = entries
            .map(|(number, ((candidate, model), error))| {
                self.write_entry(&folder, number + 1, candidate, model, error)
            })
            .collect::<Result<_, _>>()?;
        let agreement = result.agreement();
        Ok(Finding { result, front, recommended, agreement, is_slack })
    }

    /// Returns the accuracy of networks with the weights of the trained supernet on the images of the search.
    ///
    /// # Errors
    /// If the supernet is not trained, a genome is not of the space, or an image cannot be read.
    pub fn judge(&self, genomes: &[Genome], precision: Precision) -> Result<Vec<Accuracy>, SearchRunError> {
        let supernet = self.supernet()?;
        let (mut inheritance, mut images) = self.candidates(&supernet, precision)?;
        let judge = |genome| Ok(images.measure(&inheritance.model(genome)?).map_err(SearchError::from)?);
        genomes.iter().map(judge).collect()
    }

    /// Reads the trained supernet.
    fn supernet(&self) -> Result<Model, SearchRunError> {
        let path = self.folder.supernet();
        if !path.exists() {
            return Err(SearchRunError::NotTrained(self.folder.path().to_path_buf()));
        }
        let bytes = std::fs::read(&path).map_err(|source| TrainError::File { path: path.clone(), source })?;
        Model::from_bytes(&bytes).map_err(|source| SearchRunError::Model { path, source })
    }

    /// Prepares taking candidates out of the supernet and judging them.
    fn candidates<'a>(
        &'a self,
        supernet: &'a Model,
        precision: Precision,
    ) -> Result<(Inheritance<'a>, SearchImages), SearchRunError> {
        let trainer = &self.trainer;
        let progress = &trainer.state.progress;
        let limits = trainer.paths.limits();
        let dataset = Arc::clone(&trainer.dataset);
        let calibration = Calibration::new(&trainer.state, dataset, self.settings.calibration, limits)
            .map_err(TrainError::from)?;
        let inheritance = Inheritance::new(&self.space, &supernet.weights, progress, calibration);
        let images = SearchImages::new(trainer.validation.clone(), limits, progress.threads, precision);
        Ok((inheritance, images))
    }

    /// Writes a network of the front: its experiment and its model.
    fn write_entry(
        &self,
        folder: &Path,
        number: usize,
        candidate: &Evaluated,
        model: &Model,
        error: f64,
    ) -> Result<FrontEntry, SearchRunError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| TrainError::File { path: folder.to_path_buf(), source })?;
        let path = |kind: &str| folder.join(format!("{number}.{kind}"));
        let (experiment, file) = (path("toml"), path("safetensors"));
        write(&experiment, self.experiment(model)?.to_toml().as_bytes())?;
        write(&file, &model.to_bytes(Storage::F32))?;
        let parameters = model.graph.cost(model.metadata.input_size).parameters;
        Ok(FrontEntry { candidate: candidate.clone(), error, parameters, experiment, model: file })
    }

    /// Returns the experiment that continues from a network with inherited weights.
    fn experiment(&self, model: &Model) -> Result<Experiment, TrainError> {
        let mut experiment = recipe(model.variant.name)?;
        experiment.architecture = model.variant.overrides();
        experiment.fine_tune(self.trainer.dataset.images.len(), true);
        // The middle one of the sizes in training is that of the model.
        let size = model.metadata.input_size.0;
        let sizes = [-64i64, -32, 0, 32, 64].map(|step| (size as i64 + step).max(32) as usize);
        experiment.batch.sizes = sizes.map(InputSize::Square).to_vec();
        Ok(experiment)
    }
}

/// The models of a front with their detections.
fn take(
    front: &[&Evaluated],
    inheritance: &mut Inheritance<'_>,
    images: &mut SearchImages,
) -> Result<(Vec<Model>, Vec<Vec<Detection>>), SearchRunError> {
    let mut models = Vec::with_capacity(front.len());
    let mut detections = Vec::with_capacity(front.len());
    for candidate in front {
        let model = inheritance.model(&candidate.genome)?;
        detections.push(images.detect(&model)?);
        models.push(model);
    }
    Ok((models, detections))
}
