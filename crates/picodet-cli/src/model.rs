//! Opens the model that an argument names.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use picodet::download::{DownloadOptions, fetch, published};
use picodet::{Model, ModelError};

use crate::args::ModelArguments;
use crate::host::{self, HostEvent};

/// A model and the native file that it was read from.
pub(crate) struct Opened {
    pub(crate) model: Model,
    /// `None` for a published model, which is converted.
    pub(crate) file: Option<Cow<'static, [u8]>>,
}

/// Opens an embedded model, a file, a published model by name, or a URL through the cache.
pub(crate) fn open(arguments: &ModelArguments) -> Result<Model> {
    Ok(open_with_file(arguments)?.model)
}

/// As [`open`], but a quantised model has no float weights where integers stand for them, which saves memory.
pub(crate) fn open_integers(arguments: &ModelArguments) -> Result<Model> {
    Ok(open_by(arguments, Model::integers_from_bytes)?.model)
}

/// As [`open`], with the contents of the file.
pub(crate) fn open_with_file(arguments: &ModelArguments) -> Result<Opened> {
    open_by(arguments, Model::from_bytes)
}

fn open_by(arguments: &ModelArguments, parse: fn(&[u8]) -> Result<Model, ModelError>) -> Result<Opened> {
    let name = arguments.model.as_str();
    if let Some(embedded) = picodet::embedded_model(name).filter(|_| !Path::new(name).exists()) {
        return Ok(Opened { model: embedded.open()?, file: Some(Cow::Borrowed(embedded.bytes)) });
    }
    let options = DownloadOptions {
        offline: arguments.offline,
        sha256: arguments.sha256.clone(),
        ..DownloadOptions::default()
    };
    if name.contains("://") {
        let path = with_progress(name, |progress| fetch(name, &options, progress))??;
        return read(&path, parse);
    }
    let path = Path::new(name);
    if path.exists() {
        return read(path, parse);
    }
    if picodet::crates::zoo::published(name).is_some() {
        let model = with_progress(name, |progress| published::open(name, &options, progress))??;
        return Ok(Opened { model, file: None });
    }
    if picodet::crates::zoo::variant(name).is_some() {
        bail!(
            "{name}: no weights are published for this network; give a model file, or create one with \
             `picodet convert SOURCE --variant {name} --output {name}.safetensors`"
        );
    }
    bail!(
        "{name}: no such file; expected a model file, an https URL, or the name of an embedded or \
         published model (`picodet models` lists them)"
    );
}

/// Shows a progress bar while a model is downloaded.
fn with_progress<T>(name: &str, download: impl FnOnce(&mut dyn FnMut(u64, Option<u64>)) -> T) -> Result<T> {
    if let Some(host) = host::current() {
        let activity = format!("downloading {name}");
        return Ok(download(&mut |done, total| {
            (host.listen)(HostEvent::Progress { activity: activity.clone(), done, total });
        }));
    }
    let bar = ProgressBar::no_length().with_message(name.to_owned());
    bar.set_style(ProgressStyle::with_template(
        "downloading {msg} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
    )?);
    let result = download(&mut |received, total| {
        total.into_iter().for_each(|total| bar.set_length(total));
        bar.set_position(received);
    });
    bar.finish_and_clear();
    Ok(result)
}

fn read(path: &Path, parse: fn(&[u8]) -> Result<Model, ModelError>) -> Result<Opened> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let model = parse(&bytes).with_context(|| path.display().to_string())?;
    Ok(Opened { model, file: Some(Cow::Owned(bytes)) })
}
