//! Writes the models and the expected boxes of the tests of the npm package: `expected FOLDER`.

use std::error::Error;
use std::path::{Path, PathBuf};

use picodet::crates::zoo::variant;
use picodet::{ConvertOptions, Detector, Model, Options, Storage, convert};
use picodet_testing::{shared_folder, shared_path};

/// Lower bound of the scores.
const SCORE: f32 = 0.2;
/// Pictures of the reference data: usual photographs, and JPEG and PNG files that decoders often fail on.
const PICTURES: [&str; 20] = [
    "photos/000000014439.jpg",
    "photos/000000570688.jpg",
    "photos/bus.jpg",
    "photos/dog.jpg",
    "photos/road554.png",
    "odd_images/exif/Landscape_1.jpg",
    "odd_images/exif/Landscape_3.jpg",
    "odd_images/exif/Landscape_6.jpg",
    "odd_images/exif/Landscape_8.jpg",
    "odd_images/jpeg_ref/16bit-qtables.jpg",
    "odd_images/jpeg_ref/grayscale_long.jpg",
    "odd_images/jpeg_ref/mjpeg.jpg",
    "odd_images/jpeg_ref/non-interleaved-mcu.jpg",
    "odd_images/jpeg_ref/progressive3.jpg",
    "odd_images/jpeg_ref/rgb.jpg",
    "odd_images/png16/basn6a16.png",
    "odd_images/pngsuite/PngSuite.png",
    "odd_images/pngsuite/basi3p02.png",
    "odd_images/pngsuite/basi4a16.png",
    "photos/document_layout_zh.jpg",
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: expected FOLDER")?);
    std::fs::create_dir_all(&folder)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let layout = std::fs::read(root.join("crates/picodet/models/layout_cdla.safetensors"))?;
    std::fs::write(folder.join("layout.safetensors"), &layout)?;
    let page = root.join("examples/page.png").canonicalize()?;
    let mut cases = detect("layout.safetensors", &Model::from_bytes(&layout)?, &[page])?;

    let weights = "data/weights/picodet_s_416_esnet_legacy.ncnn.param";
    if let Some(weights) = shared_path(weights) {
        let network = variant("legacy_s_416").ok_or("unknown variant")?;
        let bytes = convert(&weights, network, &ConvertOptions::default())?.to_bytes(Storage::F32);
        std::fs::write(folder.join("coco.safetensors"), &bytes)?;
        let pictures = PICTURES.map(|picture| shared_folder().join("data").join(picture));
        cases.extend(detect("coco.safetensors", &Model::from_bytes(&bytes)?, &pictures)?);
    }
    std::fs::write(folder.join("expected.json"), serde_json::to_vec_pretty(&cases)?)?;
    Ok(())
}

/// Returns a test case per picture: the model, the picture, and the detections or `null` where the picture is refused.
fn detect(name: &str, model: &Model, pictures: &[PathBuf]) -> Result<Vec<serde_json::Value>, Box<dyn Error>> {
    let detector = Detector::new(model, &Options::new().with_score_threshold(SCORE))?;
    let case = |picture: &PathBuf| {
        let found = std::fs::read(picture).map(|bytes| detector.detect(bytes))?;
        let found: Option<Vec<_>> = found.ok().map(|found| {
            let object = |found: &picodet::Detection| {
                serde_json::json!({
                    "box": found.bbox.xyxy(), "score": found.score, "classId": found.class, "label": &*found.label,
                })
            };
            found.iter().map(object).collect()
        });
        Ok(serde_json::json!({ "model": name, "picture": picture, "score": SCORE, "found": found }))
    };
    pictures.iter().map(case).collect()
}
