//! `picodet models`: lists all networks and the published models.

use crate::ExitCode;
use std::fmt::Write;

use anyhow::Result;
use picodet::crates::zoo::{PUBLISHED_LICENCE, classifiers, published_weights, variants};

use crate::output::print_result;

pub(crate) fn run() -> Result<ExitCode> {
    let mut text =
        String::from("network                      input    classes  parameters  MACs (M)  description\n");
    for variant in variants() {
        let graph = variant.architecture.graph(variant.classes.len());
        let cost = graph.cost(variant.input_size);
        let (height, width) = variant.input_size;
        let _ = writeln!(
            text,
            "{:<28} {:<8} {:>7} {:>11} {:>9.1}  {}",
            variant.name,
            format!("{height}x{width}"),
            variant.classes.len(),
            cost.parameters,
            cost.macs as f64 / 1e6,
            variant.summary
        );
    }
    for variant in classifiers() {
        let cost = variant.classifier.graph(1000).cost((224, 224));
        let _ = writeln!(
            text,
            "{:<28} {:<8} {:>7} {:>11} {:>9.1}  ImageNet classifier, for pretraining backbones",
            variant.name,
            "224x224",
            1000,
            cost.parameters,
            cost.macs as f64 / 1e6
        );
    }
    let _ = write!(
        text,
        "\nEmbedded models: `--model NAME` takes the name; {} is the default.\n\n\
         model        network       bytes    detects\n",
        picodet::DEFAULT_MODEL
    );
    for embedded in &picodet::EMBEDDED_MODELS {
        let network = embedded.open()?.metadata.variant;
        let bytes = embedded.bytes.len();
        let _ = writeln!(text, "{:<12} {network:<13} {bytes:<8} {}", embedded.name, embedded.summary);
    }
    let _ = write!(
        text,
        "\nPublished models: `--model NAME` takes either name, downloads the file once and keeps it in the cache.\n\
         Licence {PUBLISHED_LICENCE}. The environment variable {} gives the base URL of a mirror.\n\n\
         model                                  network                      address\n",
        picodet::download::MIRROR
    );
    for published in published_weights() {
        let _ = writeln!(text, "{:<38} {:<28} {}", published.name, published.variant, published.url);
    }
    print_result(&text)?;
    Ok(ExitCode::SUCCESS)
}
