//! `picodet bench`: how long each stage takes.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use picodet::bench::{Measured, measure};
use picodet::{Image, Options};
use serde_json::json;

use crate::args::{Bench, ReportFormat};
use crate::model;
use crate::output::say;

pub(crate) fn run(command: &Bench) -> Result<ExitCode> {
    let model = model::open(&command.model)?;
    let bytes = match &command.image {
        Some(path) => std::fs::read(path).with_context(|| path.display().to_string())?,
        None => noise(),
    };
    let options = Options { input_size: command.input_size, threads: command.threads, ..Options::default() };
    let measured = measure(&model, &options, &bytes, command.warmup, command.runs.max(1))?;
    let name = &model.metadata.variant;
    say(&match command.format {
        ReportFormat::Text => text(name, &measured),
        ReportFormat::Json => as_json(name, &measured),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A picture that no detector finds anything in, the same every time.
fn noise() -> Vec<u8> {
    let (width, height) = (640, 480);
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let pixels = (0..width * height * 3).map(|_| random()).collect();
    let image = Image::new(width, height, pixels).unwrap_or_else(|| Image::filled(width, height, [128; 3]));
    picodet::image::encode_jpeg(&image, 90)
}

fn milliseconds(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}

fn text(name: &str, measured: &Measured) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "model      {name}, ready in {:.1} ms", milliseconds(measured.load));
    if let Some(processor) = &measured.processor {
        let _ = writeln!(text, "processor  {processor}");
    }
    if let Some(bytes) = measured.peak_memory {
        let _ = writeln!(text, "memory     {:.1} MB at most", bytes as f64 / 1e6);
    }
    let _ = writeln!(text, "found      {} objects\n", measured.detections);
    let _ = writeln!(text, "{:<12} {:>9} {:>9} {:>9}", "stage (ms)", "p50", "p95", "p99");
    for (stage, times) in &measured.stages {
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| milliseconds(times.percentile(share)));
        let _ = writeln!(text, "{stage:<12} {p50:>9.2} {p95:>9.2} {p99:>9.2}");
    }
    text
}

fn as_json(name: &str, measured: &Measured) -> String {
    let stages: serde_json::Map<String, serde_json::Value> = measured
        .stages
        .iter()
        .map(|(stage, times)| {
            let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| milliseconds(times.percentile(share)));
            ((*stage).to_owned(), json!({ "p50": p50, "p95": p95, "p99": p99 }))
        })
        .collect();
    let value = json!({
        "model": name,
        "load_ms": milliseconds(measured.load),
        "processor": measured.processor,
        "peak_memory_bytes": measured.peak_memory,
        "detections": measured.detections,
        "stages_ms": stages,
    });
    format!("{value:#}\n")
}
