//! Reading of a generated COCO file: time, and the memory that is allocated at most.
//!
//! Sizes are those of val2017 and train2017 (570 MB, in a temporary folder that is removed at the end).

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use picodet_data::Dataset;
use picodet_testing::Noise;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Opens a dataset of images and objects.
#[divan::bench(args = [(5_000, 36_335), (118_287, 860_001)], sample_count = 3, sample_size = 1)]
fn open(bencher: Bencher<'_, '_>, (images, objects): (usize, usize)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("instances.json");
    let bytes = generate(&path, images, objects).expect("space for the generated file");
    bencher.counter(BytesCount::new(bytes)).bench(|| Dataset::open(black_box(&path), None));
}

/// Writes a COCO file with polygons and returns its size in bytes.
fn generate(path: &Path, images: usize, objects: usize) -> io::Result<u64> {
    let mut out = BufWriter::new(File::create(path)?);
    write!(out, r#"{{"info": {{"year": 2017}}, "images": ["#)?;
    for index in 0..images {
        let (comma, id) = (separator(index), index * 5 + 9);
        write!(
            out,
            r#"{comma}{{"license": 3, "file_name": "{id:012}.jpg", "coco_url": "train2017/{id:012}.jpg", "height": 480, "width": 640, "date_captured": "2013-11-14 16:28:13", "flickr_url": "staticflickr/{id:012}_z.jpg", "id": {id}}}"#
        )?;
    }
    write!(out, r#"], "annotations": ["#)?;
    let mut noise = Noise::new(1);
    for index in 0..objects {
        write!(out, r#"{}{{"segmentation": [["#, separator(index))?;
        for point in 0..24 + noise.below(14) {
            let (x, y) = (640.0 * noise.unit(), 480.0 * noise.unit());
            write!(out, "{}{x:.2}, {y:.2}", separator(point))?;
        }
        let (image, category) = (noise.below(images) * 5 + 9, noise.below(80) + 1);
        let [x, y, w, h] = [300.0, 200.0, 300.0, 200.0].map(|limit| 1.0 + limit * noise.unit());
        let (area, id) = (w * h / 2.0, index + 156);
        write!(
            out,
            r#"]], "area": {area}, "iscrowd": 0, "image_id": {image}, "bbox": [{x:.2}, {y:.2}, {w:.2}, {h:.2}], "category_id": {category}, "id": {id}}}"#
        )?;
    }
    write!(out, r#"], "categories": ["#)?;
    for index in 0..80 {
        let (comma, id) = (separator(index), index + 1);
        write!(out, r#"{comma}{{"supercategory": "thing", "id": {id}, "name": "class {id}"}}"#)?;
    }
    writeln!(out, "]}}")?;
    out.flush()?;
    Ok(out.get_ref().metadata()?.len())
}

fn separator(index: usize) -> &'static str {
    if index == 0 { "" } else { ", " }
}
