//! The folder of a run and the files in it.

use std::path::{Path, PathBuf};

/// Paths of the files of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// File name of the checkpoint, from which a run is resumed.
    pub const CHECKPOINT: &str = "checkpoint.safetensors";
    /// File name of the averaged model of the last evaluation.
    pub const LAST: &str = "last.safetensors";
    /// File name of the averaged model of the best evaluation.
    pub const BEST: &str = "best.safetensors";
    /// File name of the final model, the better one of the best and the last.
    pub const FINAL: &str = "final.safetensors";
    /// File name of the journal: one JSON object per line, for each step and epoch.
    pub const JOURNAL: &str = "metrics.jsonl";
    /// File name of the page with curves and pictures.
    pub const REPORT: &str = "report.html";

    /// Names a folder; does not create it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns the folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the path of the checkpoint.
    pub fn checkpoint(&self) -> PathBuf {
        self.0.join(Self::CHECKPOINT)
    }

    /// Returns the path of the model of the last evaluation.
    pub fn last_model(&self) -> PathBuf {
        self.0.join(Self::LAST)
    }

    /// Returns the path of the model of the best evaluation.
    pub fn best_model(&self) -> PathBuf {
        self.0.join(Self::BEST)
    }

    /// Returns the path of the final model.
    pub fn final_model(&self) -> PathBuf {
        self.0.join(Self::FINAL)
    }

    /// Returns the path of the journal.
    pub fn journal(&self) -> PathBuf {
        self.0.join(Self::JOURNAL)
    }

    /// Returns the path of the report.
    pub fn report(&self) -> PathBuf {
        self.0.join(Self::REPORT)
    }

    /// Returns the path of the batch of a step whose loss or gradient was not finite.
    pub fn non_finite_batch(&self, step: usize) -> PathBuf {
        self.0.join(format!("non_finite_step_{step}.safetensors"))
    }
}
