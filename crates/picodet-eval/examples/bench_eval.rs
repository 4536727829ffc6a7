//! How long an evaluation of the size of COCO val2017 takes: 5,000 images, 36,781 detections, 80 classes.

#![allow(clippy::print_stdout)]

use std::time::Instant;

use anyhow::Result;
use picodet_eval::{Category, Detection, DiagnosticOptions, Evaluator, GroundTruth, Parameters};

/// A small generator of numbers, so that every run sees the same boxes.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, count: usize) -> usize {
        (self.unit() * count as f64) as usize
    }
}

fn main() -> Result<()> {
    const IMAGES: usize = 5_000;
    const TRUTHS: usize = 36_335;
    const DETECTIONS: usize = 36_781;
    let mut random = Random(1);
    let categories: Vec<Category> = (1..=80).map(|id| Category { id, name: format!("class {id}") }).collect();
    // A third of COCO's objects are persons.
    let category = |random: &mut Random| if random.unit() < 0.3 { 1 } else { 1 + random.below(80) as i64 };
    let truths: Vec<GroundTruth> = (1..=TRUTHS as i64)
        .map(|id| {
            let side = 10.0 + 200.0 * random.unit();
            let bbox = [500.0 * random.unit(), 400.0 * random.unit(), side, side];
            let (image_id, category_id) = (1 + random.below(IMAGES) as i64, category(&mut random));
            let crowd = random.unit() < 0.01;
            GroundTruth { id, image_id, category_id, bbox, area: side * side, crowd, ignore: false }
        })
        .collect();
    let detections: Vec<Detection> = (0..DETECTIONS)
        .map(|_| {
            let truth = &truths[random.below(TRUTHS)];
            let bbox = truth.bbox.map(|value| value + 10.0 * random.unit());
            let category_id = if random.unit() < 0.8 { truth.category_id } else { category(&mut random) };
            Detection { image_id: truth.image_id, category_id, bbox, score: random.unit() }
        })
        .collect();
    let images: Vec<i64> = (1..=IMAGES as i64).collect();
    for threads in [1, 0] {
        let mut times = Vec::new();
        let mut ap = 0.0;
        for _ in 0..7 {
            let start = Instant::now();
            let parameters = Parameters { threads, ..Parameters::default() };
            let evaluator = Evaluator::new(&images, &categories, &truths, &detections, parameters)?;
            ap = evaluator.evaluate().summary().ap;
            times.push(start.elapsed());
        }
        times.sort_unstable();
        let how = if threads == 0 { "all cores" } else { "one thread" };
        println!("evaluate, {how}: median {:?}, slowest {:?} (AP {ap:.4})", times[3], times[6]);
    }
    let evaluator = Evaluator::new(&images, &categories, &truths, &detections, Parameters::default())?;
    let start = Instant::now();
    let diagnostics = evaluator.diagnose(&DiagnosticOptions::default())?;
    println!("diagnose: {:?} ({} images)", start.elapsed(), diagnostics.images.len());
    Ok(())
}
