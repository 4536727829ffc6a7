//! Generates a COCO file of the size of train2017 (118,287 images, 860,001 boxes with polygons,
//! about 450 MB), or loads one and prints time and peak memory:
//!
//! ```text
//! cargo run --release -p picodet-data --example coco_large -- generate /tmp/large.json
//! cargo run --release -p picodet-data --example coco_large -- load /tmp/large.json
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::time::Instant;

use picodet_data::Dataset;

const IMAGES: u32 = 118_287;
const OBJECTS: u32 = 860_001;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["generate", path] => Ok(generate(&mut BufWriter::new(File::create(path)?))?),
        ["load", path] => load(path),
        _ => Err("usage: coco_large generate|load FILE".into()),
    }
}

fn load(path: &str) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let dataset = Dataset::open(path, None)?;
    let seconds = start.elapsed().as_secs_f64();
    let bytes = std::fs::metadata(path)?.len();
    let (images, objects) = (dataset.images.len(), dataset.object_count());
    let mut out = io::stdout().lock();
    writeln!(out, "{} MB, {images} images, {objects} objects: {seconds:.2} s", bytes >> 20)?;
    // Linux only; elsewhere the line is missing.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(peak) = status.lines().find(|line| line.starts_with("VmHWM")) {
        writeln!(out, "peak memory {peak}")?;
    }
    Ok(())
}

fn generate(out: &mut impl Write) -> io::Result<()> {
    write!(out, "{{\"info\": {{\"year\": 2017}}, \"images\": [")?;
    for index in 0..IMAGES {
        let comma = if index == 0 { "" } else { ", " };
        let id = index * 5 + 9;
        write!(
            out,
            "{comma}{{\"license\": 3, \"file_name\": \"{id:012}.jpg\", \"coco_url\": \"train2017/{id:012}.jpg\", \"height\": 480, \"width\": 640, \"date_captured\": \"2013-11-14 16:28:13\", \"flickr_url\": \"staticflickr/{id:012}_z.jpg\", \"id\": {id}}}"
        )?;
    }
    write!(out, "], \"annotations\": [")?;
    let mut state = 1u64;
    let mut random = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for index in 0..OBJECTS {
        let comma = if index == 0 { "" } else { ", " };
        write!(out, "{comma}{{\"segmentation\": [[")?;
        for point in 0..24 + random(14) {
            let comma = if point == 0 { "" } else { ", " };
            let (x, y) = (random(64_000), random(48_000));
            write!(out, "{comma}{}.{:02}, {}.{:02}", x / 100, x % 100, y / 100, y % 100)?;
        }
        let image = random(u64::from(IMAGES)) * 5 + 9;
        let (x, y) = (random(30_000) as f64 / 100.0, random(20_000) as f64 / 100.0);
        let (w, h) = (random(30_000) as f64 / 100.0 + 1.0, random(20_000) as f64 / 100.0 + 1.0);
        let (area, category) = (w * h / 2.0, random(80) + 1);
        write!(
            out,
            "]], \"area\": {area}, \"iscrowd\": 0, \"image_id\": {image}, \"bbox\": [{x}, {y}, {w:.2}, {h:.2}], \"category_id\": {category}, \"id\": {}}}",
            index + 156
        )?;
    }
    write!(out, "], \"categories\": [")?;
    for id in 1..=80 {
        let comma = if id == 1 { "" } else { ", " };
        write!(out, "{comma}{{\"supercategory\": \"thing\", \"id\": {id}, \"name\": \"class {id}\"}}")?;
    }
    writeln!(out, "]}}")?;
    out.flush()
}
