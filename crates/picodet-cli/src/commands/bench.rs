//! `picodet bench`: measures the time of each stage of a detection.

use crate::ExitCode;
use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Error, Result};
use picodet::bench::{Measured, Profile, all_outputs, measure, profile};
use picodet::crates::detect::precision_name;
use picodet::crates::engine::StepTime;
use picodet::{Image, Options};
use serde_json::json;

use crate::args::{Bench, ReportFormat};
use crate::model;
use crate::output::print_result;

pub(crate) fn run(command: &Bench) -> Result<ExitCode> {
    let model = model::open(&command.model)?;
    let bytes = match &command.image {
        Some(path) => std::fs::read(path).with_context(|| path.display().to_string())?,
        None => noise(),
    };
    let options = Options::new().with_input_size(command.input_size).with_threads(command.threads);
    let options = command.computing.set(options);
    let (warmup, runs) = (command.warmup, command.runs.max(1));
    let timed = if command.all_outputs { 1 } else { runs };
    let measured = measure(&model, &options, &bytes, warmup, timed);
    let mut measured = measured.map_err(|error| match (&error, &command.image) {
        (picodet::Error::Decode(_), Some(path)) => Error::new(error).context(path.display().to_string()),
        _ => error.into(),
    })?;
    if command.all_outputs {
        measured.stages = vec![("network", all_outputs(&model, &options, warmup, runs)?)];
    }
    let profile = if command.profile { Some(profile(&model, &options, runs)?) } else { None };
    let name = &model.metadata.variant;
    print_result(&match command.format {
        ReportFormat::Text => text(name, &measured) + &profile.as_ref().map(profile_text).unwrap_or_default(),
        ReportFormat::Json => as_json(name, &measured, profile.as_ref()),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Returns a JPEG file of reproducible noise without objects.
fn noise() -> Vec<u8> {
    let (width, height) = (640, 480);
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let pixels = (0..width * height * 3).map(|_| random()).collect();
    let image = Image::new(width, height, pixels).unwrap_or_else(|| Image::filled(width, height, [128; 3]));
    picodet::crates::image::encode_jpeg(&image, 90)
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
        let _ = writeln!(text, "memory     {:.1} MB peak", bytes as f64 / 1e6);
    }
    let (threads, instructions) = (measured.threads, measured.instructions);
    let precision = precision_name(measured.precision);
    let _ = writeln!(
        text,
        "engine     {instructions}, {precision}, {threads} {}",
        if threads == 1 { "thread" } else { "threads" }
    );
    let _ = writeln!(text, "detected   {} objects", measured.detections);
    let _ = writeln!(text, "rate       {:.1} images/s\n", measured.images_per_second);
    let _ = writeln!(text, "{:<12} {:>9} {:>9} {:>9}", "stage (ms)", "p50", "p95", "p99");
    for (stage, times) in &measured.stages {
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|fraction| milliseconds(times.percentile(fraction)));
        let _ = writeln!(text, "{stage:<12} {p50:>9.2} {p95:>9.2} {p99:>9.2}");
    }
    text
}

/// Lists the steps by decreasing time, with their percentage of the FMA limit of the core.
fn profile_text(profile: &Profile) -> String {
    let mut text = format!(
        "\nnetwork on one thread: {:.2} ms, {:.1} % of the f32 limit of this core ({:.1} GMAC/s, {})\n\n",
        1e3 * profile.seconds,
        100.0 * profile.share(profile.macs, profile.seconds),
        profile.peak / 1e9,
        profile.isa
    );
    let _ =
        writeln!(text, "{:>9} {:>8} {:>8}  {:<34} {:>9}  layer", "µs", "MMAC", "% limit", "step", "output");
    let mut steps: Vec<_> = profile.steps.iter().collect();
    steps.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    for step in steps {
        let share = 100.0 * profile.share(step.macs, step.seconds);
        let (micros, macs, (height, width)) = (1e6 * step.seconds, step.macs as f64 / 1e6, step.out_size);
        let cells = format!("{height}x{width}");
        let _ = writeln!(
            text,
            "{micros:>9.1} {macs:>8.2} {share:>8.1}  {:<34} {cells:>9}  {}",
            step.kind, step.scope
        );
    }
    text
}

fn as_json(name: &str, measured: &Measured, profile: Option<&Profile>) -> String {
    let stages: serde_json::Map<String, serde_json::Value> = measured
        .stages
        .iter()
        .map(|(stage, times)| {
            let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|fraction| milliseconds(times.percentile(fraction)));
            ((*stage).to_owned(), json!({ "p50": p50, "p95": p95, "p99": p99 }))
        })
        .collect();
    let profile = profile.map(|profile| {
        let step = |step: &StepTime| {
            json!({
                "step": step.kind,
                "layer": step.scope,
                "cells": [step.out_size.0, step.out_size.1],
                "macs": step.macs,
                "us": 1e6 * step.seconds,
                "percent_of_peak": 100.0 * profile.share(step.macs, step.seconds),
            })
        };
        json!({
            "peak_gmacs_per_second": profile.peak / 1e9,
            "network_ms": 1e3 * profile.seconds,
            "macs": profile.macs,
            "percent_of_peak": 100.0 * profile.share(profile.macs, profile.seconds),
            "steps": profile.steps.iter().map(step).collect::<Vec<_>>(),
        })
    });
    let value = json!({
        "model": name,
        "instruction_set": measured.instructions,
        "precision": precision_name(measured.precision),
        "threads": measured.threads,
        "images_per_second": measured.images_per_second,
        "profile": profile,
        "load_ms": milliseconds(measured.load),
        "processor": measured.processor,
        "peak_memory_bytes": measured.peak_memory,
        "detections": measured.detections,
        "stages_ms": stages,
    });
    format!("{value:#}\n")
}
