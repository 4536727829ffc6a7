//! The accuracy of candidates with the weights of the supernet.

use picodet_graph::pass::slice_map;
use picodet_graph::{Graph, Weights};
use picodet_model::{Model, graph_of, metadata};
use picodet_train::EvaluatorError;
use picodet_train::state::Progress;
use picodet_zoo::Variant;
use serde::{Deserialize, Serialize};

use crate::{Calibration, Genome, SearchError, Space};

const CHECKSUM: crc::Crc<u64> = crc::Crc::<u64>::new(&crc::CRC_64_XZ);

/// The accuracy (AP) of a model on the images of a search, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accuracy {
    /// On all images.
    pub accuracy: f64,
    /// On the images with even and with odd numbers.
    pub halves: [f64; 2],
}

/// Evaluates models on the images of a search.
pub trait Measure {
    /// Evaluates a model.
    ///
    /// # Errors
    /// If the model cannot be run.
    fn measure(&mut self, model: &Model) -> Result<Accuracy, EvaluatorError>;
}

impl<F: FnMut(&Model) -> Result<Accuracy, EvaluatorError>> Measure for F {
    fn measure(&mut self, model: &Model) -> Result<Accuracy, EvaluatorError> {
        self(model)
    }
}

/// Takes candidates out of a trained supernet.
#[derive(Debug)]
pub struct Inheritance<'a> {
    space: &'a Space,
    supernet: Graph,
    weights: &'a Weights,
    progress: &'a Progress,
    calibration: Calibration,
}

impl<'a> Inheritance<'a> {
    /// Prepares a supernet whose training has reached `progress`.
    #[must_use]
    pub fn new(
        space: &'a Space,
        weights: &'a Weights,
        progress: &'a Progress,
        calibration: Calibration,
    ) -> Self {
        let supernet = graph_of(&space.supernet(), progress.classes.len(), false);
        Self { space, supernet, weights, progress, calibration }
    }

    /// Returns a checksum of the weights of the supernet.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut digest = CHECKSUM.digest();
        for (name, tensor) in self.weights {
            digest.update(name.as_bytes());
            tensor.data.iter().for_each(|value| digest.update(&value.to_le_bytes()));
        }
        format!("{:016x}", digest.finalize())
    }

    /// Returns a candidate with its part of the weights and its own batch norms.
    ///
    /// # Errors
    /// [`SearchError::Genome`] if the genome is not of the space; if an image of the calibration cannot be read.
    pub fn model(&mut self, genome: &Genome) -> Result<Model, SearchError> {
        let candidate = self.space.candidate(genome).ok_or(SearchError::Genome)?;
        let Progress { classes, origin, licence, experiment, .. } = self.progress;
        let graph = graph_of(&candidate.architecture, classes.len(), false);
        let mut weights = slice_map(&self.supernet, &graph)?.gather(self.weights)?;
        self.calibration.recalibrate(&graph, &mut weights, candidate.input_size)?;
        let variant = Variant { architecture: candidate.architecture, ..*self.space.base() };
        let metadata = metadata::for_training(
            &variant,
            classes.clone(),
            candidate.input_size,
            experiment.epochs,
            &format!("{origin}, as part of a supernet"),
            licence,
        );
        Ok(Model { variant, graph, weights, metadata, quantisation: None })
    }
}
