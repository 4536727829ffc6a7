//! From the bytes of a picture to boxes, with the model and the page that the repository holds: the same regions on
//! every kind of processor and every instruction set.

use picodet_detect::{Detector, Model, Nms, Options};
use picodet_engine::{Fast, Isa};
use picodet_image::{Limits, decode};

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
    let options = Options { nms: Nms { score_threshold: 0.4, ..Nms::default() }, ..Options::default() };
    for isa in Isa::available() {
        let engine = Fast::with_isa(isa).expect("an available set");
        let mut detector = Detector::with_engine(&model, &options, &engine).expect("a sound model");
        let found = detector.detect(&page).expect("a page");
        let close = |found: &picodet_detect::Detection, (class, score, bbox): (usize, f32, [f32; 4])| {
            found.class == class
                && (found.score - score).abs() < 2e-3
                && found.bbox.0.iter().zip(bbox).all(|(a, b)| (a - b).abs() < 0.5)
        };
        let equal = found.len() == REGIONS.len() && found.iter().zip(REGIONS).all(|(a, b)| close(a, b));
        assert!(equal, "{isa}: {found:#?}\ninstead of {REGIONS:#?}");
    }
}
