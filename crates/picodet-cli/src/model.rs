//! Opens the model that an argument names.

use std::path::Path;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use picodet::Model;
use picodet::download::{DownloadOptions, fetch};

use crate::args::ModelArguments;

/// Opens the embedded model, a file, or a URL through the cache.
pub(crate) fn open(arguments: &ModelArguments) -> Result<Model> {
    let name = arguments.model.as_str();
    if name == picodet::DEFAULT_MODEL && !Path::new(name).exists() {
        return Ok(picodet::default_model()?);
    }
    if name.contains("://") {
        let options = DownloadOptions { offline: arguments.offline, sha256: arguments.sha256.clone() };
        let bar = ProgressBar::no_length().with_message(name.to_owned());
        bar.set_style(ProgressStyle::with_template(
            "downloading {msg} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        )?);
        let path = fetch(name, &options, &mut |received, total| {
            total.into_iter().for_each(|total| bar.set_length(total));
            bar.set_position(received);
        })?;
        bar.finish_and_clear();
        return read(&path);
    }
    let path = Path::new(name);
    if !path.exists() {
        if picodet::crates::zoo::variant(name).is_some() {
            bail!(
                "{name}: the weights of this network are not embedded; give a model file, or create one with \
                 `picodet convert SOURCE --variant {name} --output {name}.safetensors`"
            );
        }
        bail!("{name}: no such file; expected a model file, an https URL, or `{}`", picodet::DEFAULT_MODEL);
    }
    read(path)
}

fn read(path: &Path) -> Result<Model> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Model::from_bytes(&bytes).with_context(|| path.display().to_string())
}
