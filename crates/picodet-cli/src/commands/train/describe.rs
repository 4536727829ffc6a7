//! Describes a new run before it starts.

use picodet::crates::train::group::ProcessGroup;
use picodet::crates::train::transfer::Transfer;
use picodet::train::Trainer;

use crate::output::status;

/// Reports network, data, schedule and origin of the weights.
pub(super) fn describe(trainer: &Trainer, group: &dyn ProcessGroup) {
    let progress = &trainer.state.progress;
    let experiment = &progress.experiment;
    let dataset = &trainer.dataset;
    let split = |name: &Option<String>| name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    status(&format!(
        "{}: training on {} images{} with {} objects of {} classes, {} images without objects; evaluating on {} images{}",
        experiment.model,
        dataset.images.len(),
        split(&trainer.paths.split),
        dataset.object_count(),
        dataset.classes.len(),
        dataset.images_without_objects(),
        trainer.validation.images.len(),
        split(&trainer.paths.validation_split),
    ));
    if trainer.state.progress.evaluates_training_images {
        status(
            "no validation split: this mAP is of the training images, not of new ones; --validation-share 0.2 sets \
             images aside, --validation gives another dataset",
        );
    }
    let processes =
        if group.size() > 1 { format!(" in each of {} processes", group.size()) } else { String::new() };
    status(&format!(
        "{} epochs of {} steps, {} images per batch, {} threads{processes}; learning rate {:.5} ({} for {} images)",
        experiment.epochs,
        (dataset.images.len() / progress.batch).max(1),
        progress.batch,
        progress.threads,
        experiment.rate_for(progress.batch),
        experiment.rate.base,
        experiment.batch.images,
    ));
    match &trainer.transfer {
        Some(transfer) => status(&transfer_text(transfer, &progress.origin)),
        None => status("starting from random weights"),
    }
}

/// Describes which tensors a new run takes from another model.
fn transfer_text(transfer: &Transfer, origin: &str) -> String {
    let mut line = format!("starting from {origin}: {} tensors copied", transfer.taken);
    if !transfer.resized.is_empty() {
        line += &format!(", {} prediction tensors adapted to the new classes", transfer.resized.len());
        match transfer.classes.as_slice() {
            [] => line += " (no class in common)",
            known => line += &format!(" (in common: {})", known.join(", ")),
        }
    }
    if !transfer.fresh.is_empty() {
        line += &format!(", {} randomly initialised", transfer.fresh.len());
    }
    if transfer.unfolded > 0 {
        line += &format!("; {} batch norms recomputed from the data", transfer.unfolded);
    }
    line
}
