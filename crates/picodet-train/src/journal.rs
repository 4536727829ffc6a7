//! What happened in a run: one JSON object a line, and the same for TensorBoard.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use picodet_format::write_atomically;
use serde::{Deserialize, Serialize};

use crate::run::{RunError, files};
use crate::tensorboard::EventFile;

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Counted from 0.
    pub step: usize,
    /// Counted from 1.
    pub epoch: usize,
    /// Steps of the whole run.
    pub of_steps: usize,
    /// The loss: the sum of the three that follow.
    pub loss: f64,
    /// Of the classes.
    pub loss_cls: f64,
    /// Of the boxes' overlap.
    pub loss_box: f64,
    /// Of the boxes' distributions.
    pub loss_dfl: f64,
    /// Cells an image that learn an object.
    pub positives: f64,
    /// Objects an image.
    pub objects: f64,
    /// Learning rate.
    pub rate: f64,
    /// Norm of all gradients together, before it was cut.
    pub norm: f64,
    /// Height of the network input in pixels.
    pub height: usize,
    /// Width of the network input in pixels.
    pub width: usize,
    /// Images a second in this step, evaluations apart.
    pub images_per_second: f64,
    /// Seconds of this step, evaluations apart.
    pub step_seconds: f64,
    /// Seconds that the step waited for its batch.
    pub wait: f64,
    /// Seconds that assignment and loss took.
    pub judge: f64,
    /// Seconds of training since the start of the run.
    pub seconds: f64,
}

/// One epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Epochs of the whole run.
    pub of_epochs: usize,
    /// Steps taken.
    pub step: usize,
    /// Seconds of training since the start of the run.
    pub seconds: f64,
    /// The averaged model's mAP over IoU 0.5 to 0.95, where it was measured.
    pub map: Option<f64>,
    /// The averaged model's mAP at IoU 0.5, where it was measured.
    pub map50: Option<f64>,
    /// Whether no evaluation before was better.
    pub best: bool,
}

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// One step.
    Step(StepRecord),
    /// One epoch.
    Epoch(EpochRecord),
}

impl Record {
    /// Steps that had been taken when it was written.
    fn steps(&self) -> usize {
        match self {
            Self::Step(record) => record.step + 1,
            Self::Epoch(record) => record.step,
        }
    }
}

/// The records of a journal's text; lines that are none, as a last one that was cut, are passed over.
pub fn read(text: &str) -> Vec<Record> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// A journal being written.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: BufWriter<File>,
    events: EventFile,
}

impl Journal {
    /// Opens the journal of a folder for a run that has taken so many steps: what was written later, by a run that was
    /// killed, is dropped.
    pub(crate) fn open(folder: &Path, steps: usize) -> Result<Self, RunError> {
        let path = folder.join(files::JOURNAL);
        let refuse = |source| RunError::File { path: path.clone(), source };
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        let kept: String = read(&before)
            .into_iter()
            .filter(|record| record.steps() <= steps)
            .filter_map(|record| Some(serde_json::to_string(&record).ok()? + "\n"))
            .collect();
        write_atomically(&path, kept.as_bytes()).map_err(refuse)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(refuse)?;
        let events = EventFile::create(folder, steps)?;
        Ok(Self { path, file: BufWriter::new(file), events })
    }

    /// Adds a record.
    pub(crate) fn write(&mut self, record: &Record) -> Result<(), RunError> {
        let line = serde_json::to_string(record).unwrap_or_default();
        writeln!(self.file, "{line}").map_err(|source| RunError::File { path: self.path.clone(), source })?;
        match record {
            Record::Step(record) => self.events.scalars(
                record.step,
                &[
                    ("loss/total", record.loss),
                    ("loss/class", record.loss_cls),
                    ("loss/box", record.loss_box),
                    ("loss/distribution", record.loss_dfl),
                    ("train/positives_per_image", record.positives),
                    ("train/learning_rate", record.rate),
                    ("train/gradient_norm", record.norm),
                    ("speed/images_per_second", record.images_per_second),
                ],
            ),
            Record::Epoch(EpochRecord { step, map: Some(map), map50: Some(map50), .. }) => {
                self.events.scalars(*step, &[("evaluation/mAP", *map), ("evaluation/mAP50", *map50)])
            }
            Record::Epoch(_) => Ok(()),
        }
    }

    /// Makes sure that everything is on disk.
    pub(crate) fn sync(&mut self) -> Result<(), RunError> {
        let written = self.file.flush().and_then(|()| self.file.get_ref().sync_data());
        written.map_err(|source| RunError::File { path: self.path.clone(), source })?;
        self.events.flush()
    }
}
