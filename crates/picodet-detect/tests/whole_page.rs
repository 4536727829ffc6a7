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
const REGIONS: [(usize, f32, [f32; 4]); 18] = [
    (0, 0.9937, [87.5, 202.6, 576.4, 808.3]),
    (0, 0.9935, [636.0, 897.6, 1126.3, 1493.8]),
    (0, 0.9926, [88.3, 1248.9, 577.8, 1484.3]),
    (0, 0.9910, [636.5, 247.9, 1129.0, 455.0]),
    (0, 0.6454, [128.4, 1198.3, 470.2, 1210.3]),
    (1, 0.9097, [638.2, 855.6, 957.4, 871.6]),
    (1, 0.8474, [638.9, 205.7, 876.9, 221.5]),
    (2, 0.9223, [81.7, 850.0, 589.5, 1175.8]),
    (3, 0.5466, [129.0, 1198.3, 470.4, 1210.3]),
    (4, 0.9733, [632.0, 517.0, 1149.6, 815.7]),
    (5, 0.6930, [689.6, 495.2, 1045.3, 508.5]),
    (5, 0.5952, [744.6, 496.4, 967.3, 509.1]),
    (6, 0.8458, [91.1, 57.9, 193.3, 69.1]),
    (6, 0.7359, [1061.9, 58.4, 1109.3, 69.0]),
    (6, 0.6869, [401.6, 126.9, 846.9, 147.4]),
    (6, 0.6640, [305.0, 124.3, 750.9, 147.7]),
    (6, 0.5384, [1058.7, 58.1, 1107.4, 80.0]),
    (6, 0.4118, [1059.5, 47.9, 1107.8, 68.7]),
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
