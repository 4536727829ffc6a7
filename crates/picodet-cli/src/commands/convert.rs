//! `picodet convert`: converts published weights to a native model file.

use crate::ExitCode;
use std::path::Path;

use anyhow::{Context, Result, bail};
use picodet::Storage;
use picodet::crates::train::Experiment;
use picodet::crates::zoo::{Variant, published, variant};
use picodet::{ConvertOptions, convert_with_notes};

use crate::args::Convert;
use crate::output::{refuse_own_source, status, write_file};

pub(crate) fn run(command: &Convert) -> Result<ExitCode> {
    let variant = network(&command.variant)?;
    // The second file of a pair, where the option does not give it.
    let second = match command.source.extension().and_then(|extension| extension.to_str()) {
        Some("param") => Some("bin"),
        Some("json" | "pdmodel") => Some("pdiparams"),
        _ => None,
    };
    let second = second.map(|extension| command.source.with_extension(extension));
    for source in [Some(&command.source), command.bin.as_ref(), second.as_ref()].into_iter().flatten() {
        refuse_own_source(source, &command.output)?;
    }
    let classes = match &command.classes {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let names = text.lines().map(str::trim).filter(|line| !line.is_empty());
            Some(names.map(ToOwned::to_owned).collect())
        }
        None => None,
    };
    let options = ConvertOptions {
        classes,
        input_size: command.input_size,
        resize: command.resize.map(|resize| resize.to_string()),
        origin: command.origin.clone(),
        licence: command.licence.clone(),
        bin: command.bin.clone(),
    };
    let (model, notes) = convert_with_notes(&command.source, &variant, &options)?;
    for note in notes {
        status(&format!("picodet: {}: {note}", command.source.display()));
    }
    let bytes = model.to_bytes(if command.f16 { Storage::F16 } else { command.storage.into() });
    write_file(&command.output, &bytes)?;
    status(&format!(
        "{}: {} with {} classes, {} parameters, {} bytes",
        command.output.display(),
        variant.name,
        model.metadata.classes.len(),
        model.graph.parameter_count(),
        bytes.len()
    ));
    let names = &model.metadata.classes;
    if command.classes.is_none()
        && names.iter().enumerate().all(|(class, name)| *name == format!("class_{class}"))
    {
        status(&format!(
            "picodet: the weights have {} classes, {} has {}; the names are class_0, class_1, …; \
             set others with --classes FILE",
            names.len(),
            variant.name,
            variant.classes.len()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns a network by its name, that of its published weights, or a recipe.
fn network(name: &str) -> Result<Variant> {
    if let Some(variant) = variant(name) {
        return Ok(*variant);
    }
    if let Some(variant) = published(name).and_then(|published| variant(published.variant)) {
        return Ok(*variant);
    }
    if Path::new(name).extension().is_some_and(|extension| extension == "toml") {
        return Ok(Experiment::read(Path::new(name))?.variant()?);
    }
    bail!("unknown variant `{name}`; see `picodet models`");
}
