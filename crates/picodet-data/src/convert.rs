//! Writing a dataset in any of the four formats, and converting from one to another.

use std::collections::HashSet;
use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use crate::check::splits_to_check;
use crate::dataset::{Dataset, Format, ImageRecord};
use crate::error::DataError;
use crate::image_file::read_header;
use crate::walk::without_extension;
use crate::{coco, labelme, voc, yolo};

/// A split to write.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Its name (`train`, `val`, …), used as file or folder name.
    pub name: &'a str,
    /// Its data.
    pub dataset: &'a Dataset,
}

/// What happens to the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    /// Copied beside the new labels.
    Copy,
    /// Left where they are: only labels are written, with the names the images would have.
    Leave,
}

/// Something that the target format cannot hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What is lost, in words.
    pub what: String,
    /// How often.
    pub count: usize,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteReport {
    /// Images, labels written.
    pub images: usize,
    /// Objects written.
    pub objects: usize,
    /// What the format could not hold.
    pub losses: Vec<Loss>,
    /// Images that were to be copied but do not exist, or lie outside the dataset and are no images.
    pub missing: Vec<PathBuf>,
}

/// Converts the dataset at `from` (all splits, or one) to `format` under `out`.
///
/// # Errors
/// [`DataError`]: as [`Dataset::open`] and [`write()`].
pub fn convert(
    from: impl AsRef<Path>,
    split: Option<&str>,
    format: Format,
    out: impl AsRef<Path>,
    images: Images,
) -> Result<WriteReport, DataError> {
    let from = from.as_ref();
    let names = match split {
        Some(split) => vec![split.to_string()],
        None => splits_to_check(from)?,
    };
    let datasets = if names.is_empty() {
        vec![Dataset::open(from, None)?]
    } else {
        names.iter().map(|name| Dataset::open(from, Some(name))).collect::<Result<Vec<_>, _>>()?
    };
    let parts: Vec<Part<'_>> =
        datasets.iter().map(|dataset| Part { name: dataset.split_name(), dataset }).collect();
    write(&parts, format, out, images)
}

/// Writes splits as one dataset of `format` under the new or empty folder `out`:
///
/// * COCO: `annotations/instances_<split>.json`, images in `<split>/`
/// * VOC: `Annotations/`, `JPEGImages/`, `ImageSets/Main/<split>.txt`, `label_list.txt`
/// * YOLO: `images/<split>/`, `labels/<split>/`, `data.yaml`
/// * LabelMe: `<split>/` with images and JSON, `labels.txt`
///
/// What a format cannot hold is counted in [`WriteReport::losses`]. Paths are made safe: nothing
/// is written outside `out`, whatever the source's names say, and of files outside the source
/// only images are copied.
///
/// # Errors
/// [`DataError::OutputExists`], [`DataError::OutputInsideSource`], [`DataError::Io`], or
/// [`DataError::BadArgument`] when splits have different classes and the format has one list.
pub fn write(
    parts: &[Part<'_>],
    format: Format,
    out: impl AsRef<Path>,
    images: Images,
) -> Result<WriteReport, DataError> {
    let out = out.as_ref();
    if format == Format::Yolo {
        one_class_list(parts)?;
    }
    prepare(parts, out)?;
    let mut report = WriteReport { losses: losses(parts, format), ..WriteReport::default() };
    let mut taken = HashSet::new();
    let mut folders = Vec::new();
    for part in parts {
        let split = safe(part.name).replace('/', "_");
        let folder = match format {
            Format::Coco | Format::LabelMe => split.clone(),
            Format::Voc => "JPEGImages".to_string(),
            Format::Yolo => format!("images/{split}"),
        };
        // One name space per folder; VOC's splits share theirs.
        if format != Format::Voc {
            taken.clear();
        }
        let names = names_in(part.dataset, format, &mut taken);
        if images == Images::Copy {
            for (index, name) in names.iter().enumerate() {
                let Some(from) = part.dataset.image_path(index) else {
                    continue;
                };
                let to = out.join(&folder).join(name);
                // A label must not carry any file of this machine (`../../.ssh/…`) into the copy.
                let stays = stays_inside(&part.dataset.images[index].file);
                if from.is_file() && (stays || read_header(&from).is_ok()) {
                    make_parent(&to)?;
                    fs::copy(&from, &to).map_err(|source| DataError::io(&from, source))?;
                } else {
                    report.missing.push(from);
                }
            }
        }
        match format {
            Format::Coco => {
                let path = out.join(format!("annotations/instances_{split}.json"));
                write_coco(part.dataset, &names, &path)?;
            }
            Format::Voc => write_voc(part.dataset, &names, &split, out)?,
            Format::Yolo => write_yolo(part.dataset, &names, &split, out)?,
            Format::LabelMe => write_labelme(part.dataset, &names, &split, out)?,
        }
        report.images += part.dataset.images.len();
        report.objects += part.dataset.object_count();
        folders.push((split, folder));
    }
    if format == Format::Yolo {
        let dropped = crowd(parts);
        report.objects -= dropped;
        let classes = parts.first().map_or(&[][..], |part| &part.dataset.classes);
        write_file(&out.join("data.yaml"), &yolo::write_data_yaml(classes, &folders))?;
    }
    let list = match format {
        Format::Voc => "label_list.txt",
        Format::LabelMe => "labels.txt",
        _ => return Ok(report),
    };
    let mut seen = HashSet::new();
    let names: Vec<&str> = parts
        .iter()
        .flat_map(|part| &part.dataset.classes)
        .map(|class| class.name.as_str())
        .filter(|name| seen.insert(*name))
        .collect();
    write_file(&out.join(list), &(names.join("\n") + "\n"))?;
    Ok(report)
}

/// YOLO has one list of indices for all splits.
fn one_class_list(parts: &[Part<'_>]) -> Result<(), DataError> {
    let names = |part: &Part<'_>| -> Vec<String> {
        part.dataset.classes.iter().map(|class| class.name.clone()).collect()
    };
    let Some(first) = parts.first() else { return Ok(()) };
    match parts.iter().find(|part| names(part) != names(first)) {
        None => Ok(()),
        Some(other) => Err(DataError::BadArgument {
            what: format!(
                "the splits `{}` and `{}` have different classes, and YOLO has one list for all; \
                 `picodet check` shows the difference",
                first.name, other.name
            ),
        }),
    }
}

fn prepare(parts: &[Part<'_>], out: &Path) -> Result<(), DataError> {
    if parts.is_empty() {
        return Err(DataError::BadArgument { what: "no dataset to write".to_string() });
    }
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) || out.is_file() {
        return Err(DataError::OutputExists { path: out.to_path_buf() });
    }
    fs::create_dir_all(out).map_err(|source| DataError::io(out, source))?;
    let real = out.canonicalize().map_err(|source| DataError::io(out, source))?;
    for part in parts {
        if let Ok(source_root) = part.dataset.root.canonicalize()
            && real.starts_with(&source_root)
        {
            let _ = fs::remove_dir(out);
            return Err(DataError::OutputInsideSource { path: out.to_path_buf(), source_root });
        }
    }
    let mut names = HashSet::new();
    for part in parts {
        if !names.insert(safe(part.name)) {
            let what = format!("two splits are named `{}`", part.name);
            return Err(DataError::BadArgument { what });
        }
    }
    Ok(())
}

fn crowd(parts: &[Part<'_>]) -> usize {
    parts.iter().map(|part| count(part.dataset, |object| object.crowd)).sum()
}

fn count(dataset: &Dataset, which: impl Fn(&crate::Object) -> bool) -> usize {
    dataset.images.iter().flat_map(|image| &image.objects).filter(|object| which(object)).count()
}

fn losses(parts: &[Part<'_>], format: Format) -> Vec<Loss> {
    let mut losses = Vec::new();
    let mut add = |what: &str, count: usize| {
        if count > 0 {
            losses.push(Loss { what: what.to_string(), count });
        }
    };
    let objects = |which: fn(&crate::Object) -> bool| -> usize {
        parts.iter().map(|part| count(part.dataset, which)).sum()
    };
    if format == Format::Coco {
        return losses;
    }
    add("annotation ids", objects(|object| object.id.is_some()));
    add("stated areas that are not the box's", {
        objects(|object| {
            let [_, _, width, height] = object.xywh();
            object.stated_area.is_some_and(|area| (area - width * height).abs() > 1e-6 * area.abs())
        })
    });
    let coco = parts.iter().filter(|part| part.dataset.format == Format::Coco);
    add("image ids (images are numbered anew)", coco.map(|part| part.dataset.images.len()).sum());
    match format {
        Format::Voc => add("crowd flags (written as difficult)", crowd(parts)),
        Format::Yolo => {
            add("crowd regions (left out)", crowd(parts));
            add("difficult flags", objects(|object| object.difficult));
            add("truncated flags", objects(|object| object.truncated));
        }
        Format::Coco | Format::LabelMe => {}
    }
    losses
}

/// A relative path without `..`, drive letters, backslashes or a leading slash.
fn safe(path: &str) -> String {
    let parts: Vec<&str> = path
        .split(['/', '\\'])
        .filter(|part| !part.is_empty() && *part != "." && *part != ".." && !part.ends_with(':'))
        .collect();
    if parts.is_empty() { "unnamed".to_string() } else { parts.join("/") }
}

/// Whether a relative path has no way out of its folder (links aside).
fn stays_inside(path: &str) -> bool {
    !Path::new(path).is_absolute() && !path.split(['/', '\\']).any(|part| part == ".." || part.ends_with(':'))
}

/// The images' new names below their folder: safe, without the folders that all share (unless
/// COCO stays COCO), and unique up to the extension, since the label takes its place.
fn names_in(dataset: &Dataset, format: Format, taken: &mut HashSet<String>) -> Vec<String> {
    let mut names: Vec<String> = dataset.images.iter().map(|image| safe(&image.file)).collect();
    if !(format == Format::Coco && dataset.format == Format::Coco) {
        let shared = shared_folder(&names);
        for name in &mut names {
            *name = name.split_off(shared);
        }
    }
    for name in &mut names {
        let mut candidate = name.clone();
        let mut number = 2;
        let key = |name: &str| match format {
            Format::Coco => name.to_lowercase(),
            _ => without_extension(name).to_lowercase(),
        };
        while !taken.insert(key(&candidate)) {
            let stem = without_extension(name);
            candidate = format!("{stem}_{number}{}", &name[stem.len()..]);
            number += 1;
        }
        *name = candidate;
    }
    names
}

/// Length of the folder prefix (with its slash) that all names share.
fn shared_folder(names: &[String]) -> usize {
    let folder = |name: &str| name.rfind('/').map_or(0, |slash| slash + 1);
    let Some(first) = names.first() else { return 0 };
    let mut shared = folder(first);
    for name in names {
        while shared > 0 && !name.starts_with(&first[..shared]) {
            shared = folder(&first[..shared - 1]);
        }
    }
    shared
}

fn make_parent(path: &Path) -> Result<(), DataError> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(|source| DataError::io(parent, source)),
        None => Ok(()),
    }
}

fn write_file(path: &Path, text: &str) -> Result<(), DataError> {
    make_parent(path)?;
    fs::write(path, text).map_err(|source| DataError::io(path, source))
}

fn write_coco(dataset: &Dataset, names: &[String], path: &Path) -> Result<(), DataError> {
    make_parent(path)?;
    let mut renamed = dataset.clone();
    for (image, name) in renamed.images.iter_mut().zip(names) {
        image.file.clone_from(name);
    }
    let file = fs::File::create(path).map_err(|source| DataError::io(path, source))?;
    coco::write_to(BufWriter::new(file), &renamed).map_err(|source| DataError::io(path, source))
}

fn write_voc(dataset: &Dataset, names: &[String], split: &str, out: &Path) -> Result<(), DataError> {
    let mut list = String::new();
    for (index, name) in names.iter().enumerate() {
        let mut image = sized(dataset, index);
        for object in &mut image.objects {
            object.difficult |= object.crowd;
        }
        let stem = without_extension(name);
        let file = name.rsplit('/').next().unwrap_or(name);
        let xml = voc::write_one(dataset, &image, file);
        write_file(&out.join(format!("Annotations/{stem}.xml")), &xml)?;
        list.push_str(stem);
        list.push('\n');
    }
    write_file(&out.join(format!("ImageSets/Main/{split}.txt")), &list)
}

fn write_yolo(dataset: &Dataset, names: &[String], split: &str, out: &Path) -> Result<(), DataError> {
    let folder = out.join("images").join(split);
    fs::create_dir_all(&folder).map_err(|source| DataError::io(&folder, source))?;
    for (index, name) in names.iter().enumerate() {
        let image = sized(dataset, index);
        if image.width == 0 && !image.objects.is_empty() {
            let what = format!(
                "{}: neither the label nor the image tells the size, which YOLO's fractions need",
                image.file
            );
            return Err(DataError::BadArgument { what });
        }
        let path = out.join(format!("labels/{split}/{}.txt", without_extension(name)));
        write_file(&path, &yolo::write_rows(&image))?;
    }
    Ok(())
}

fn write_labelme(dataset: &Dataset, names: &[String], split: &str, out: &Path) -> Result<(), DataError> {
    for (index, name) in names.iter().enumerate() {
        let image = sized(dataset, index);
        let path = out.join(split).join(format!("{}.json", without_extension(name)));
        let file = name.rsplit('/').next().unwrap_or(name);
        let text =
            labelme::write_one(dataset, &image, file).map_err(|error| DataError::io(&path, error.into()))?;
        write_file(&path, &text)?;
    }
    Ok(())
}

/// The record, with the size from the image file where the label has none.
fn sized(dataset: &Dataset, index: usize) -> ImageRecord {
    let mut image = dataset.images[index].clone();
    if (image.width == 0 || image.height == 0)
        && let Some(Ok(header)) = dataset.image_path(index).map(|path| read_header(&path))
    {
        (image.width, image.height) = (header.width, header.height);
    }
    image
}
