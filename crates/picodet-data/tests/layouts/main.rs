//! Exports of every labelling tool are read as the same dataset, and converted to every format without loss.

mod absent;
mod foreign;
mod generator;
mod mixed;
mod names;
mod values;

use std::collections::BTreeMap;
use std::path::Path;

use generator::{CLASSES, PICTURES, TOOLS};
use picodet_data::{Dataset, Images, convert, open_lenient, splits};

/// Class name and box of each object, rounded to 1e-6 pixels, by image.
type Objects = BTreeMap<String, Vec<(String, [i64; 4])>>;

fn expected() -> Objects {
    let objects = |picture: &generator::Picture| {
        let of = |(class, bbox): &(usize, [u32; 4])| {
            (CLASSES[*class].to_string(), bbox.map(|value| i64::from(value) * 1_000_000))
        };
        picture.objects.iter().map(of).collect()
    };
    PICTURES.iter().map(|picture| (picture.name.to_string(), objects(picture))).collect()
}

/// All splits of a dataset, opened one by one; the images must exist.
fn objects(path: &Path) -> Result<Objects, String> {
    let names = splits(path).map_err(|error| error.to_string())?;
    let chosen: Vec<Option<&str>> =
        if names.is_empty() { vec![None] } else { names.iter().map(|name| Some(name.as_str())).collect() };
    let mut all = Objects::new();
    for split in chosen {
        let dataset = Dataset::open(path, split).map_err(|error| error.to_string())?;
        for (index, image) in dataset.images.iter().enumerate() {
            let file = dataset.image_path(index).unwrap_or_default();
            if !file.is_file() {
                return Err(format!("{} does not exist", file.display()));
            }
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let objects = image.objects.iter().map(|object| {
                let name = dataset.classes[object.class].name.clone();
                (name, object.bbox.map(|value| (value * 1e6).round() as i64))
            });
            if all.insert(stem.clone(), objects.collect()).is_some() {
                return Err(format!("{stem} is in two splits of {names:?}"));
            }
        }
    }
    Ok(all)
}

#[test]
fn every_tool_gives_the_same_objects() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (name, write, count) in TOOLS {
        let root = folder.path().join(name);
        write(&root);
        match objects(&root) {
            Ok(read) if read == expected() => {}
            other => wrong.push(format!("{name}: {other:?}")),
        }
        match splits(&root) {
            Ok(names) if names.len() == *count => {}
            other => wrong.push(format!("{name}: splits {other:?}, not {count}")),
        }
        if *count == 2 {
            for role in ["train", "val"] {
                let split = if *name == "raccoon" && role == "val" { "test" } else { role };
                let read = open_lenient(&root, Some(split)).map(|loaded| loaded.dataset.images.len());
                let wanted = PICTURES.iter().filter(|picture| picture.split == role).count();
                if read.as_ref().ok() != Some(&wanted) {
                    wrong.push(format!("{name}: {role} has {read:?} images, not {wanted}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_tool_converts_to_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (name, write, count) in TOOLS {
        let root = folder.path().join(name);
        write(&root);
        for format in picodet_data::Format::all() {
            let out = folder.path().join(format!("{name}-{format}"));
            match convert(&root, None, format, &out, Images::Copy) {
                Err(error) => wrong.push(format!("{name} to {format}: {error}")),
                Ok(report) if !report.missing.is_empty() || report.objects != 4 => {
                    wrong.push(format!("{name} to {format}: {report:?}"));
                }
                Ok(_) => {}
            }
            match objects(&out) {
                Ok(read) if read == expected() => {}
                other => wrong.push(format!("{name} to {format}: {other:?}")),
            }
            let names = splits(&out).unwrap_or_default();
            if *count == 2 && names.len() != 2 {
                wrong.push(format!("{name} to {format}: splits {names:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
