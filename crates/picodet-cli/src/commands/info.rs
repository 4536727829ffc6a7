//! `picodet info`: shows the structure and cost of a model.

use crate::ExitCode;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, bail};
use picodet::crates::engine::CpuEngine;
use picodet::crates::graph::{Graph, Quantisation, Weights, pass};
use picodet::crates::weights::{QuantisationRecord, StoredType, stored_types};
use picodet::crates::zoo::{Head, classifiers, variant};
use serde_json::json;

use crate::args::{Info, ModelArguments};
use crate::model::{self, Opened};
use crate::output::print_result;

/// The network to show, from a file or from the zoo.
struct Subject {
    name: String,
    /// The values in which the network differs from the published one, as JSON.
    architecture: Option<String>,
    graph: Graph,
    input_size: (usize, usize),
    /// `None` without weights.
    input: Option<Preprocessing>,
    classes: Vec<String>,
    origin: String,
    licence: String,
    /// How a quantised model was produced.
    quantisation: Option<QuantisationRecord>,
    /// The integers of a quantised model.
    integers: Option<Quantisation>,
    /// `None` for a network of the zoo, which has no weights.
    weights: Option<Weights>,
    /// Size and element types of the native file, if there is one.
    file: Option<StoredFile>,
}

/// The steps between an image and the network.
struct Preprocessing {
    /// Interpolation of the resize.
    resize: String,
    /// Of red, green and blue, from 0 to 1.
    mean: [f32; 3],
    std: [f32; 3],
}

/// Size of a native file in bytes, and its element types.
struct StoredFile {
    bytes: usize,
    types: Vec<StoredType>,
}

pub(crate) fn run(command: &Info) -> Result<ExitCode> {
    let mut subject = find(&command.model)?;
    subject.input_size = command.input_size.unwrap_or(subject.input_size);
    if command.json {
        print_result(&summary_json(&subject))?;
    } else {
        let layers = if command.nodes {
            subject.graph.dump()
        } else if command.plan {
            plan(&subject)?
        } else {
            subject.graph.tree(subject.input_size, command.depth)
        };
        print_result(&format!("{}\n{layers}", summary(&subject)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn find(name: &str) -> Result<Subject> {
    let exists = Path::new(name).exists();
    let published = variant(name).filter(|_| !exists && picodet::embedded_model(name).is_none());
    if let Some(variant) = published {
        return Ok(Subject {
            name: name.to_owned(),
            architecture: None,
            graph: variant.architecture.graph(variant.classes.len()),
            input_size: variant.input_size,
            input: None,
            classes: variant.classes.iter().map(ToString::to_string).collect(),
            origin: "network definition, no weights".to_owned(),
            licence: "-".to_owned(),
            quantisation: None,
            integers: None,
            weights: None,
            file: None,
        });
    }
    if let Some(variant) = classifiers().iter().find(|variant| !exists && variant.name == name) {
        return Ok(Subject {
            name: name.to_owned(),
            architecture: None,
            graph: variant.classifier.graph(1000),
            input_size: (224, 224),
            input: None,
            classes: Vec::new(),
            origin: "network definition, no weights".to_owned(),
            licence: "-".to_owned(),
            quantisation: None,
            integers: None,
            weights: None,
            file: None,
        });
    }
    let arguments = ModelArguments::named(name);
    let Opened { model, file } = model::open_with_file(&arguments)?;
    let stored = |file: &[u8]| stored_types(file).map(|types| StoredFile { bytes: file.len(), types });
    let folded = if model.metadata.folded { ", batch norms folded" } else { "" };
    Ok(Subject {
        name: format!("{}{folded}", model.metadata.variant),
        architecture: model.metadata.architecture,
        graph: model.graph,
        input_size: model.metadata.input_size,
        input: Some(Preprocessing {
            resize: model.metadata.resize,
            mean: model.metadata.mean,
            std: model.metadata.std,
        }),
        classes: model.metadata.classes,
        origin: model.metadata.origin,
        licence: model.metadata.licence,
        quantisation: model.metadata.quantisation,
        integers: model.quantisation,
        weights: Some(model.weights),
        file: file.as_deref().map(stored).transpose()?,
    })
}

/// Describes the schedule that the CPU engine prepares for a model.
fn plan(subject: &Subject) -> Result<String> {
    let Some(weights) = &subject.weights else {
        bail!("{}: --plan needs weights; give a model file", subject.name);
    };
    let graph = pass::keep_outputs(&subject.graph, Head::is_detection_output);
    let weights = pass::keep_weights(&graph, weights);
    let (engine, size) = (CpuEngine::new(), subject.input_size);
    let plan = match &subject.integers {
        Some(integers) => engine.prepare_quantised(&graph, &weights, integers, size)?,
        None => engine.prepare(&graph, &weights, size)?,
    };
    Ok(plan.describe())
}

fn summary(subject: &Subject) -> String {
    let cost = subject.graph.cost(subject.input_size);
    let mut text = String::new();
    let (height, width) = subject.input_size;
    let _ = writeln!(text, "network     {}", subject.name);
    if let Some(architecture) = &subject.architecture {
        let _ = writeln!(text, "differences {architecture}");
    }
    let _ = writeln!(text, "input       {height} x {width} pixels (height x width)");
    let _ = writeln!(text, "parameters  {}", cost.parameters);
    let _ = writeln!(text, "MACs        {:.1} M", cost.macs as f64 / 1e6);
    if !subject.classes.is_empty() {
        let _ = writeln!(text, "classes     {}: {}", subject.classes.len(), subject.classes.join(", "));
    }
    if let Some(file) = &subject.file {
        let types = file.types.iter().map(|stored| {
            // Native files have 8-bit integers as rows with a scale only.
            let name = if stored.name == "I8" { "8-bit rows".to_owned() } else { stored.name.to_lowercase() };
            format!("{name} {}", stored.bytes)
        });
        let types = types.collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "file        {} bytes: {types}", file.bytes);
    }
    if let Some(record) = &subject.quantisation {
        let is_symmetric = |integers: &Quantisation| integers.has_symmetric_maps(&subject.graph);
        let is_symmetric = subject.integers.as_ref().is_some_and(is_symmetric);
        let scales = if is_symmetric { ", one symmetric scale per map" } else { "" };
        let _ = writeln!(text, "quantised   {}{scales}", describe(record));
    }
    let _ = writeln!(text, "origin      {}", subject.origin);
    let _ = writeln!(text, "licence     {}", subject.licence);
    text
}

/// Describes how a model was quantised and how near it is to the float model.
fn describe(record: &QuantisationRecord) -> String {
    let mut text =
        format!("8 bits (weights and maps), {}, scales from {} images", record.method, record.images);
    if !record.floats.is_empty() {
        let _ = write!(text, ", {} convolutions in f32", record.floats.len());
    }
    if let Some(fidelity) = record.fidelity {
        let _ = write!(text, ", fidelity {fidelity:.2}");
    }
    if let (Some(float), Some(quantised)) = (record.ap_float, record.ap_quantised) {
        let _ = write!(text, ", AP {float:.2} before and {quantised:.2} after");
    }
    if !record.milliseconds.is_empty() {
        let times = record.milliseconds.iter().map(|(name, time)| format!("{name} {time:.2} ms"));
        let processor = record.processor.as_deref().unwrap_or("an unknown CPU");
        let _ = write!(text, ", {} on {processor}", times.collect::<Vec<_>>().join(", "));
    }
    text
}

fn summary_json(subject: &Subject) -> String {
    let cost = subject.graph.cost(subject.input_size);
    let types = |file: &StoredFile| -> serde_json::Map<String, serde_json::Value> {
        file.types.iter().map(|stored| (stored.name.clone(), stored.bytes.into())).collect()
    };
    let architecture: Option<serde_json::Value> =
        subject.architecture.as_ref().and_then(|json| serde_json::from_str(json).ok());
    let value = json!({
        "network": subject.name,
        "architecture": architecture,
        "input_size": [subject.input_size.0, subject.input_size.1],
        "resize": subject.input.as_ref().map(|input| &input.resize),
        "mean": subject.input.as_ref().map(|input| input.mean),
        "std": subject.input.as_ref().map(|input| input.std),
        "parameters": cost.parameters,
        "macs": cost.macs,
        "classes": subject.classes,
        "quantisation": subject.quantisation,
        "origin": subject.origin,
        "licence": subject.licence,
        "file_bytes": subject.file.as_ref().map(|file| file.bytes),
        "stored_bytes": subject.file.as_ref().map(types),
    });
    format!("{value:#}\n")
}
