//! The numbers of each case in a folder, for comparison with pycocotools (`bench/pycocotools/compare.py`).
//!
//! `coco_metrics DIR` reads `DIR/*/truth.json` and `detections.json`, and writes `numbers.f64` next to
//! them: little-endian f64, the twelve numbers, then each class's precision `[area][threshold][recall]`,
//! recall `[area][limit][threshold]`, scores `[threshold][recall]` and AP. A file `agnostic` in a case
//! turns classes off.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use picodet_eval::{AreaRange, DEFAULT_LIMIT, Evaluator, Parameters, read_annotations, read_results};

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).context("usage: coco_metrics DIR")?;
    for case in fs::read_dir(&folder).context(folder)? {
        let case = case?.path();
        if case.is_dir() {
            numbers(&case).with_context(|| case.display().to_string())?;
        }
    }
    Ok(())
}

fn numbers(case: &Path) -> Result<()> {
    let truth = read_annotations(File::open(case.join("truth.json"))?, DEFAULT_LIMIT)?;
    let detections = read_results(File::open(case.join("detections.json"))?, DEFAULT_LIMIT)?;
    let parameters = Parameters { use_categories: !case.join("agnostic").exists(), ..Parameters::default() };
    let evaluation =
        Evaluator::new(&truth.image_ids(), &truth.categories, &truth.truths, &detections, parameters)?
            .evaluate();
    let mut numbers = evaluation.summary().values().to_vec();
    let thresholds = evaluation.parameters().iou_thresholds.len();
    for (class, result) in evaluation.classes().into_iter().enumerate() {
        for area in AreaRange::ALL {
            for threshold in 0..thresholds {
                numbers.extend(evaluation.precision(class, area, threshold).context("precision")?);
            }
        }
        for area in AreaRange::ALL {
            for limit in 0..3 {
                numbers.extend(evaluation.recall(class, area, limit).context("recall")?);
            }
        }
        for threshold in 0..thresholds {
            numbers.extend(evaluation.scores(class, threshold).context("scores")?);
        }
        numbers.push(result.ap);
    }
    let bytes: Vec<u8> = numbers.into_iter().flat_map(f64::to_le_bytes).collect();
    fs::write(case.join("numbers.f64"), bytes)?;
    Ok(())
}
