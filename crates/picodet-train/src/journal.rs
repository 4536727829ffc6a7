//! The journal of a run: one JSON object per line, and the same values for TensorBoard.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use picodet_format::write_atomically;
use serde::{Deserialize, Serialize};

use crate::error::RunError;
use crate::folder::RunFolder;
use crate::tensorboard::EventFile;

/// The values of one step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step, counted from 0.
    pub step: usize,
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Steps of the run.
    pub of_steps: usize,
    /// Total loss: the sum of the following three.
    pub loss: f64,
    /// Classification loss.
    pub loss_cls: f64,
    /// IoU loss of the boxes.
    pub loss_box: f64,
    /// Distribution focal loss of the boxes.
    pub loss_dfl: f64,
    /// Cells with an assigned object per image.
    pub positives: f64,
    /// Objects per image.
    pub objects: f64,
    /// Learning rate.
    pub rate: f64,
    /// Norm of all gradients together, before clipping.
    pub norm: f64,
    /// Height of the network input in pixels.
    pub height: usize,
    /// Width of the network input in pixels.
    pub width: usize,
    /// Throughput in images per second, without evaluation.
    pub images_per_second: f64,
    /// Duration of the step in seconds, without evaluation.
    pub step_seconds: f64,
    /// Seconds in which the step waited for its batch.
    pub wait: f64,
    /// Seconds of assignment and loss; `judge` in older journals.
    #[serde(alias = "judge")]
    pub loss_seconds: f64,
    /// Seconds of training since the start of the run.
    pub seconds: f64,
}

/// The values of one epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Epochs of the run.
    pub of_epochs: usize,
    /// Steps since the start of the run.
    pub step: usize,
    /// Seconds of training since the start of the run.
    pub seconds: f64,
    /// mAP of the averaged model over IoU 0.5 to 0.95, if it was evaluated.
    pub map: Option<f64>,
    /// mAP of the averaged model at IoU 0.5, if it was evaluated.
    pub map50: Option<f64>,
    /// Whether this is the best evaluation so far.
    pub best: bool,
}

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// A step.
    Step(StepRecord),
    /// An epoch.
    Epoch(EpochRecord),
}

impl Record {
    /// Returns the number of finished steps when the record was written.
    fn steps(&self) -> usize {
        match self {
            Self::Step(record) => record.step + 1,
            Self::Epoch(record) => record.step,
        }
    }
}

/// Reads the records of a journal; skips lines that are not records, such as a truncated last one.
pub fn read(text: &str) -> Vec<Record> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: BufWriter<File>,
    events: EventFile,
}

impl Journal {
    /// Opens the journal of a run that continues after `steps` steps; drops later records, of a killed process.
    pub(crate) fn open(folder: &RunFolder, steps: usize) -> Result<Self, RunError> {
        let path = folder.journal();
        let failed = |source| RunError::File { path: path.clone(), source };
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let kept: String = read(&text)
            .into_iter()
            .filter(|record| record.steps() <= steps)
            .filter_map(|record| Some(serde_json::to_string(&record).ok()? + "\n"))
            .collect();
        write_atomically(&path, kept.as_bytes()).map_err(failed)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(failed)?;
        let events = EventFile::create(folder.path(), steps)?;
        Ok(Self { path, file: BufWriter::new(file), events })
    }

    /// Adds the record of a step.
    pub(crate) fn write_step(&mut self, record: &StepRecord) -> Result<(), RunError> {
        self.write(&Record::Step(record.clone()))?;
        let scalars = [
            ("loss/total", record.loss),
            ("loss/class", record.loss_cls),
            ("loss/box", record.loss_box),
            ("loss/distribution", record.loss_dfl),
            ("train/positives_per_image", record.positives),
            ("train/learning_rate", record.rate),
            ("train/gradient_norm", record.norm),
            ("speed/images_per_second", record.images_per_second),
        ];
        self.events.scalars(record.step, &scalars)
    }

    /// Adds the record of an epoch.
    pub(crate) fn write_epoch(&mut self, record: &EpochRecord) -> Result<(), RunError> {
        self.write(&Record::Epoch(record.clone()))?;
        let (Some(map), Some(map50)) = (record.map, record.map50) else { return Ok(()) };
        self.events.scalars(record.step, &[("evaluation/mAP", map), ("evaluation/mAP50", map50)])
    }

    fn write(&mut self, record: &Record) -> Result<(), RunError> {
        let line = serde_json::to_string(record).unwrap_or_default();
        writeln!(self.file, "{line}").map_err(|source| RunError::File { path: self.path.clone(), source })
    }

    /// Writes buffered records to the disk.
    pub(crate) fn sync(&mut self) -> Result<(), RunError> {
        let written = self.file.flush().and_then(|()| self.file.get_ref().sync_data());
        written.map_err(|source| RunError::File { path: self.path.clone(), source })?;
        self.events.flush()
    }
}
