//! The files that a run writes.

use std::time::{Duration, Instant};

use picodet_format::write_atomically;
use picodet_model::Model;
use picodet_weights::Storage;
use picodet_zoo::Variant;

use crate::error::RunError;
use crate::evaluation::FinalModel;
use crate::folder::RunFolder;
use crate::journal::{EpochRecord, Journal, StepRecord};
use crate::loader::Batch;
use crate::objective::LossOutput;
use crate::options::RunOptions;
use crate::state::{Progress, State};
use crate::{picture, report};

/// Writes the files of a run on rank 0; other ranks write no files.
#[derive(Debug)]
pub(crate) struct RunWriter {
    folder: RunFolder,
    /// The journal; `None` on other ranks than 0.
    journal: Option<Journal>,
    /// Mean and standard deviation of each channel of the network input.
    normalisation: [[f32; 3]; 2],
    checkpoint_every: Duration,
    last_checkpoint: Instant,
}

impl RunWriter {
    /// Opens the journal of a run that continues from `state`.
    pub(crate) fn open(options: &RunOptions, variant: &Variant, state: &State) -> Result<Self, RunError> {
        let is_first = options.group.is_first();
        let open = || Journal::open(&options.folder, state.progress.step);
        Ok(Self {
            folder: options.folder.clone(),
            journal: is_first.then(open).transpose()?,
            normalisation: [variant.mean, variant.std],
            checkpoint_every: options.checkpoint_every,
            last_checkpoint: Instant::now(),
        })
    }

    /// Adds a step to the journal, and draws the first batch of the run.
    pub(crate) fn write_step(
        &mut self,
        record: &StepRecord,
        batch: &Batch,
        loss: &LossOutput,
    ) -> Result<(), RunError> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        journal.write_step(record)?;
        if record.step == 0 { self.draw("batch", batch, loss) } else { Ok(()) }
    }

    /// Adds an epoch to the journal, and draws the batch before an evaluation.
    pub(crate) fn write_epoch(
        &mut self,
        record: &EpochRecord,
        batch: &Batch,
        loss: &LossOutput,
    ) -> Result<(), RunError> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        journal.write_epoch(record)?;
        if record.map.is_some() { self.draw("batch_latest", batch, loss) } else { Ok(()) }
    }

    /// Adds the evaluation of the initial weights to the journal.
    pub(crate) fn write_start(&mut self, record: &EpochRecord) -> Result<(), RunError> {
        self.journal.as_mut().map_or(Ok(()), |journal| journal.write_epoch(record))
    }

    fn draw(&self, name: &str, batch: &Batch, loss: &LossOutput) -> Result<(), RunError> {
        let [mean, std] = &self.normalisation;
        picture::save_batch(self.folder.path(), name, batch, loss, mean, std)
    }

    /// Writes the model of an evaluation, which may be the best one.
    pub(crate) fn write_model(&self, model: &Model, is_best: bool) -> Result<(), RunError> {
        if self.journal.is_none() {
            return Ok(());
        }
        let storage = if model.quantisation.is_some() { Storage::Int8Rows } else { Storage::F32 };
        let bytes = model.to_bytes(storage);
        for path in [Some(self.folder.last_model()), is_best.then(|| self.folder.best_model())] {
            let Some(path) = path else { continue };
            write_atomically(&path, &bytes).map_err(|source| RunError::File { path, source })?;
        }
        Ok(())
    }

    /// Writes the final model of the run, a copy of one of its evaluated models.
    pub(crate) fn write_final(&self, progress: &Progress) -> Result<(), RunError> {
        let source = match FinalModel::choose(progress.best, progress.last) {
            Some(FinalModel::Best) => self.folder.best_model(),
            Some(FinalModel::Last) => self.folder.last_model(),
            None => return Ok(()),
        };
        if self.journal.is_none() {
            return Ok(());
        }
        let bytes = std::fs::read(&source).map_err(|error| RunError::File { path: source, source: error })?;
        let path = self.folder.final_model();
        write_atomically(&path, &bytes).map_err(|source| RunError::File { path, source })
    }

    /// Writes a checkpoint if it is due or `is_forced`, with the report if it is forced. Returns whether it did.
    pub(crate) fn write_checkpoint(&mut self, state: &State, is_forced: bool) -> Result<bool, RunError> {
        let is_due = self.last_checkpoint.elapsed() >= self.checkpoint_every;
        let Some(journal) = self.journal.as_mut().filter(|_| is_due || is_forced) else { return Ok(false) };
        journal.sync()?;
        state.write(&self.folder.checkpoint())?;
        self.last_checkpoint = Instant::now();
        if is_forced {
            self.write_report(state)?;
        }
        Ok(true)
    }

    /// Writes the report.
    pub(crate) fn write_report(&self, state: &State) -> Result<(), RunError> {
        if self.journal.is_some() { report::write(self.folder.path(), state) } else { Ok(()) }
    }
}
