//! Writes generated datasets.

use std::fs;
use std::path::Path;

use picodet::crates::data::{Class, Dataset, Format, ImageRecord, coco};

/// Writes a split in the layout of COCO: `instances_SPLIT.json` and the images, encoded as JPEG, in `SPLIT/`.
pub(crate) fn write_split(
    folder: &Path,
    split: &str,
    classes: &[String],
    images: Vec<(Vec<u8>, ImageRecord)>,
) -> Result<(), Box<dyn std::error::Error>> {
    fs::create_dir_all(folder.join(split))?;
    let class = |(index, name): (usize, &String)| Class {
        id: index as i64 + 1,
        name: name.clone(),
        supercategory: None,
    };
    let mut records = Vec::new();
    for (index, (bytes, record)) in images.into_iter().enumerate() {
        let file = format!("{index:03}.jpg");
        fs::write(folder.join(split).join(&file), bytes)?;
        let mut record = ImageRecord { id: index as i64 + 1, file, ..record };
        record.objects.iter_mut().for_each(|object| object.id = None);
        records.push(record);
    }
    let dataset = Dataset {
        format: Format::COCO,
        root: folder.join(split),
        annotations: None,
        split: Some(split.to_owned()),
        classes: classes.iter().enumerate().map(class).collect(),
        images: records,
    };
    let file = fs::File::create(folder.join(format!("instances_{split}.json")))?;
    Ok(coco::write_to(std::io::BufWriter::new(file), &dataset)?)
}

/// Returns the share of box `a` that box `b` covers.
pub(crate) fn overlap(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let side = |low: usize, high: usize| (a[high].min(b[high]) - a[low].max(b[low])).max(0.0);
    side(0, 2) * side(1, 3) / ((a[2] - a[0]) * (a[3] - a[1]))
}
