//! Evaluation of 5,000 images with 36,335 objects and 36,781 detections of 80 classes: the size of COCO val2017.

use divan::{Bencher, black_box};
use picodet_eval::{Category, Detection, DiagnosticOptions, Evaluator, GroundTruth, Parameters};
use picodet_testing::Noise;

const IMAGES: usize = 5_000;
const OBJECTS: usize = 36_335;
const DETECTIONS: usize = 36_781;
const CLASSES: usize = 80;

fn main() {
    divan::main();
}

/// Indexes, matches and accumulates the metrics; 0 threads means one per core.
#[divan::bench(args = [1, 0], sample_count = 7, sample_size = 1)]
fn evaluate(bencher: Bencher<'_, '_>, threads: usize) {
    let data = Data::new();
    bencher.bench(|| data.evaluator(threads).evaluate().summary());
}

/// Classifies the errors.
#[divan::bench(sample_count = 7, sample_size = 1)]
fn diagnose(bencher: Bencher<'_, '_>) {
    let data = Data::new();
    let evaluator = data.evaluator(0);
    bencher.bench(|| black_box(&evaluator).diagnose(&DiagnosticOptions::default()));
}

/// Generated objects, and detections near them.
struct Data {
    images: Vec<i64>,
    categories: Vec<Category>,
    objects: Vec<GroundTruth>,
    detections: Vec<Detection>,
}

impl Data {
    fn new() -> Self {
        let mut noise = Noise::new(1);
        // A third of COCO's objects are persons.
        let category =
            |noise: &mut Noise| if noise.unit() < 0.3 { 1 } else { 1 + noise.below(CLASSES) as i64 };
        let object = |id| {
            let side = 10.0 + 200.0 * noise.unit();
            GroundTruth {
                id,
                image_id: 1 + noise.below(IMAGES) as i64,
                category_id: category(&mut noise),
                bbox: [500.0 * noise.unit(), 400.0 * noise.unit(), side, side],
                area: side * side,
                crowd: noise.unit() < 0.01,
                ignore: false,
            }
        };
        let objects: Vec<GroundTruth> = (1..=OBJECTS as i64).map(object).collect();
        let mut noise = Noise::new(2);
        let detection = |_| {
            let object = &objects[noise.below(OBJECTS)];
            let bbox = object.bbox.map(|value| value + 10.0 * noise.unit());
            let category_id = if noise.unit() < 0.8 { object.category_id } else { category(&mut noise) };
            Detection { image_id: object.image_id, category_id, bbox, score: noise.unit() }
        };
        Self {
            images: (1..=IMAGES as i64).collect(),
            categories: (1..=CLASSES as i64).map(|id| Category { id, name: format!("class {id}") }).collect(),
            detections: (0..DETECTIONS).map(detection).collect(),
            objects,
        }
    }

    fn evaluator(&self, threads: usize) -> Evaluator<'_> {
        let parameters = Parameters { threads, ..Parameters::default() };
        Evaluator::new(&self.images, &self.categories, &self.objects, &self.detections, parameters)
            .expect("valid data")
    }
}
