//! From the bytes of an image to boxes, with the repository's model and page: the same regions on every kind of processor
//! and every instruction set, from any number of threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use picodet_detect::{Detection, Detections, Detector, Model, Options};
use picodet_engine::{CpuEngine, Engine, Isa, Plan, PlanError};
use picodet_graph::{Graph, Weights};
use picodet_image::{Limits, decode};
use picodet_testing::emulated;

static MODEL: &[u8] = include_bytes!("../../picodet/models/layout_cdla.safetensors");
static PAGE: &[u8] = include_bytes!("../../../examples/page.png");

/// Class, score and box of each region, as an x86-64 processor with AVX-512 finds them.
const REGIONS: [(usize, f32, [f32; 4]); 19] = [
    (0, 0.9939, [87.5, 202.9, 576.1, 808.7]),
    (0, 0.9936, [636.0, 897.7, 1125.8, 1494.5]),
    (0, 0.9928, [88.4, 1248.9, 577.6, 1484.2]),
    (0, 0.9910, [636.5, 247.8, 1129.0, 455.1]),
    (0, 0.6865, [128.6, 1198.3, 470.2, 1210.4]),
    (0, 0.4668, [639.3, 205.4, 877.0, 221.6]),
    (1, 0.9079, [637.9, 855.7, 957.1, 871.7]),
    (1, 0.7945, [639.0, 205.7, 876.9, 221.6]),
    (2, 0.9211, [82.6, 851.3, 588.7, 1175.8]),
    (3, 0.5084, [145.0, 1198.2, 469.7, 1210.5]),
    (4, 0.9731, [632.3, 516.7, 1149.6, 816.3]),
    (5, 0.7157, [689.5, 495.2, 1045.4, 508.6]),
    (5, 0.5901, [744.6, 496.3, 967.3, 509.1]),
    (6, 0.8464, [91.7, 57.9, 193.4, 69.2]),
    (6, 0.7419, [1062.1, 58.5, 1109.2, 69.0]),
    (6, 0.6806, [401.6, 126.7, 846.9, 147.5]),
    (6, 0.6515, [305.1, 124.2, 750.8, 147.8]),
    (6, 0.5365, [1058.7, 58.1, 1107.4, 80.0]),
    (6, 0.4153, [1059.6, 47.9, 1107.9, 68.8]),
];

#[test]
fn the_regions_of_a_page() {
    let model = Model::from_bytes(MODEL).expect("our own model");
    let page = decode(PAGE, &Limits::default()).expect("our own picture");
    let options = Options::new().with_score_threshold(0.4);
    // Under emulation, only the set that people use there.
    let sets = if emulated() { vec![Isa::best()] } else { Isa::available() };
    for isa in sets {
        let engine = CpuEngine::with_isa(isa).expect("an available set");
        let detector = Detector::with_engine(&model, &options, &engine).expect("a sound model");
        let found = detector.detect(&page).expect("a page");
        let close = |found: &Detection, (class, score, bbox): (usize, f32, [f32; 4])| {
            found.class == class
                && (found.score - score).abs() < 2e-3
                && found.bbox.xyxy().iter().zip(bbox).all(|(a, b)| (a - b).abs() < 0.5)
        };
        let equal = found.len() == REGIONS.len() && found.iter().zip(REGIONS).all(|(a, b)| close(a, b));
        assert!(equal, "{isa}: {found:#?}\ninstead of {REGIONS:#?}");
    }
}

/// Counts how often weights are packed.
#[derive(Default)]
struct CountingEngine(AtomicUsize);

impl Engine for CountingEngine {
    fn plan(
        &self,
        graph: &Graph,
        weights: &Weights,
        size: (usize, usize),
    ) -> Result<Arc<dyn Plan>, PlanError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        CpuEngine::new().plan(graph, weights, size)
    }
}

#[test]
#[cfg_attr(target_family = "wasm", ignore = "WebAssembly has no threads here")]
fn threads_and_clones_share_one_detector_and_agree_bit_for_bit() {
    fn shareable<T: Clone + Send + Sync>(_: &T) {}
    let model = Model::from_bytes(MODEL).expect("our own model");
    let engine = CountingEngine::default();
    let detector = Detector::with_engine(&model, &Options::default(), &engine).expect("a sound model");
    shareable(&detector);
    let expected = detector.detect(PAGE).expect("a page");
    assert!(!expected.is_empty());
    let (workers, times) = if emulated() { (2, 1) } else { (4, 2) };
    let found: Vec<Detections> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|worker| {
                // Half of the threads use the detector itself, half a clone.
                let clone = (worker % 2 == 0).then(|| detector.clone());
                let detector = &detector;
                scope.spawn(move || {
                    let detector = clone.as_ref().unwrap_or(detector);
                    (0..times).map(|_| detector.detect(PAGE)).collect::<Vec<_>>()
                })
            })
            .collect();
        let found = workers.into_iter().flat_map(|worker| worker.join().expect("no panic"));
        found.map(|found| found.expect("a page")).collect()
    });
    assert_eq!(found, vec![expected; workers * times]);
    assert_eq!(engine.0.into_inner(), 1, "the weights are packed once");
}

#[test]
fn every_kind_of_input_gives_the_same_detections() {
    let model = Model::from_bytes(MODEL).expect("our own model");
    let detector = Detector::new(&model, &Options::new().with_threads(2)).expect("a sound model");
    let image = decode(PAGE, &Limits::default()).expect("our own picture");
    let expected = detector.detect(&image).expect("a page");
    assert!(expected.iter().all(|found| found.label == detector.classes()[found.class]));
    let pages = if emulated() { &[PAGE; 2][..] } else { &[PAGE; 3] };
    let batch = detector.detect_batch(pages.iter().copied()).expect("some pages");
    assert_eq!(batch, vec![expected.clone(); pages.len()]);
    assert_eq!(detector.detect(image).expect("a page"), expected);
    if !emulated() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/page.png");
        assert_eq!(detector.detect(path).expect("a page"), expected);
        assert_eq!(detector.detect(std::path::PathBuf::from(path)).expect("a page"), expected);
        let error = detector.detect_batch([path, "no-such-file.png"]).expect_err("a missing file");
        assert!(error.to_string().starts_with("no-such-file.png: "), "{error}");
    }
    let error = detector.detect(&[0u8; 4]).expect_err("no image");
    assert!(matches!(error, picodet_detect::Error::Decode(_)), "{error}");
}
