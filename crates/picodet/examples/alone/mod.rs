//! Trains a network of a search by itself.

use std::error::Error;
use std::fs;
use std::path::Path;

use picodet::crates::graph::Weights;
use picodet::crates::graph::pass::slice_map;
use picodet::crates::model::graph_of;
use picodet::crates::search::{Candidate, Genome};
use picodet::crates::train::{Evaluation, Experiment, RunOptions};
use picodet::crates::zoo::Variant;
use picodet::search::Searcher;
use picodet::train::{DatasetPaths, Request, Trainer};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The splits `train` and `val` of a dataset.
pub(crate) fn paths(data: &str) -> DatasetPaths {
    let split = |name: &str| Some(name.to_owned());
    DatasetPaths {
        data: data.into(),
        split: split("train"),
        validation_split: split("val"),
        ..DatasetPaths::default()
    }
}

/// The training of a network by itself.
pub(crate) struct Alone<'a> {
    /// The search that the network is of.
    pub(crate) searcher: &'a Searcher,
    /// Weights of the supernet, of which the network begins with its part.
    pub(crate) weights: &'a Weights,
    /// Recipe, without the architecture.
    pub(crate) experiment: Experiment,
    /// Images per batch.
    pub(crate) batch: usize,
    /// Random seed.
    pub(crate) seed: u64,
    /// Threads.
    pub(crate) threads: usize,
}

impl Alone<'_> {
    /// Trains a network and returns its AP on the split `test`, which is evaluated once, after the last epoch. A network
    /// whose folder has a result is not trained again.
    pub(crate) fn train(self, genome: &Genome, folder: &Path) -> Result<f64> {
        let path = folder.join("accuracy");
        if let Ok(text) = fs::read_to_string(&path) {
            return Ok(text.trim().parse()?);
        }
        let Self { searcher, weights, mut experiment, batch, seed, threads } = self;
        let space = &searcher.space;
        let Candidate { architecture, .. } = space.candidate(genome).ok_or("a genome of another space")?;
        experiment.architecture = Variant { architecture, ..*space.base() }.overrides();
        let test = Some("test".to_owned());
        let paths = DatasetPaths { validation_split: test, ..searcher.trainer.paths.clone() };
        let frozen = Vec::new();
        let request = Request { experiment, paths, weights: None, batch, seed, frozen, threads };
        let mut trainer = Trainer::new(request)?;
        let classes = searcher.trainer.state.progress.classes.len();
        let graph = |architecture| graph_of(architecture, classes, false);
        trainer.state.weights =
            slice_map(&graph(&space.supernet()), &graph(&architecture))?.gather(weights)?;
        trainer.make_folder(folder)?;
        let options = RunOptions { evaluate_every: 1000, ..RunOptions::new(folder) };
        trainer.run(&options, "cpu", &mut |_| {})?;
        let Some(Evaluation { map: Some(accuracy), .. }) = trainer.state.progress.last else {
            return Err("the test images have no objects".into());
        };
        fs::write(path, accuracy.to_string())?;
        Ok(accuracy)
    }
}
