//! Reads a folder of LabelMe files.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use picodet_format::json::NonFiniteToNull;

use super::annotation::{Annotation, parse};
use super::copies::{ReadLabel, copies};
use super::list::read_list;
use crate::class_names::{is_placeholder, read_names, report_spaces};
use crate::dataset::{Class, Dataset, Format, ImageRecord, Object, display};
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::format::handler::fill_sizes;
use crate::input::open_regular;
use crate::sniff::{JsonKind, json_kind};
use crate::text::legacy_json;
use crate::walk::{self, without_extension};

/// File names of class lists; the second one is that of PaddleX.
const CLASS_LISTS: [&str; 2] = ["labels.txt", "label.txt"];

/// Reads a folder of LabelMe files in the order of their names; JSON files of another kind are skipped.
/// Classes are in the order of `labels.txt` if it exists (without `__ignore__` and `_background_`), otherwise
/// sorted by name.
///
/// # Errors
/// [`DataError`] when the folder cannot be read; a malformed file is a finding.
pub fn read(root: &Path, split: Option<&str>) -> Result<(Dataset, Findings), DataError> {
    read_listed(root, split, &[])
}

/// Reads the files of a folder that the lists name, in the order of one list; without lists all files.
pub(super) fn read_listed(
    root: &Path,
    split: Option<&str>,
    lists: &[PathBuf],
) -> Result<(Dataset, Findings), DataError> {
    let mut findings = Findings::default();
    let labels = walk::files(root, &["json"], &mut findings)?;
    let mut parsed = picodet_parallel::map(0..labels.len(), 0, |index| {
        let path = root.join(&labels[index]);
        let mut own = Findings::default();
        let file = display(&path);
        if !matches!(json_kind(&path), JsonKind::LabelMe | JsonKind::Broken) {
            return None;
        }
        let result = open_regular(&path).and_then(|reader| {
            parse(reader, &file, &mut own).map_err(|error| DataError::json(&path, &error))
        });
        // Python writes NaN.
        let result = result.or_else(|error| with_null(&path, &file, &mut own).ok_or(error));
        // Python on Chinese Windows writes GBK.
        let result = result.or_else(|error| match legacy_json(&path, &mut own) {
            Some(text) => {
                parse(text.as_bytes(), &file, &mut own).map_err(|error| DataError::json(&path, &error))
            }
            None => Err(error),
        });
        match result {
            Ok(annotation) => Some((Some(annotation), own)),
            Err(error) => {
                let (location, message) = error.in_file(&file);
                own.push(FindingKind::FileUnreadable, location, message);
                Some((None, own))
            }
        }
    });
    let listed = class_names(root, &mut findings)?;
    let mut found = BTreeSet::new();
    for (annotation, _) in parsed.iter().flatten() {
        let Some(annotation) = annotation else { continue };
        found.extend(annotation.objects.iter().map(|(name, _)| name.clone()));
        found.extend(annotation.other_classes.iter().cloned());
    }
    // As in `labels.txt`, spaces around a name are no part of it.
    report_spaces(found.iter().map(String::as_str), &Location::file(display(root)), &mut findings);
    let found: BTreeSet<String> = found.iter().map(|name| name.trim().to_string()).collect();
    let known: HashSet<&String> = listed.iter().collect();
    let extra: Vec<String> = found.into_iter().filter(|name| !known.contains(name)).collect();
    let classes: Vec<Class> = listed
        .into_iter()
        .chain(extra)
        .enumerate()
        .map(|(index, name)| Class { id: index as i64 + 1, name, supercategory: None })
        .collect();
    let class_of: HashMap<&str, usize> =
        classes.iter().enumerate().map(|(index, class)| (class.name.as_str(), index)).collect();

    let mut chosen: Vec<usize> = (0..labels.len()).collect();
    if !lists.is_empty() {
        chosen.clear();
        for list in lists {
            chosen.extend(read_list(list, &labels, &mut findings)?);
        }
        let mut seen = HashSet::new();
        chosen.retain(|&index| seen.insert(index));
    }
    let read: Vec<ReadLabel<'_>> = (chosen.iter())
        .filter_map(|&index| {
            let annotation = parsed[index].as_ref()?.0.as_ref()?;
            let label = labels[index].as_str();
            Some(ReadLabel { label, image: image_of(label, annotation), objects: &annotation.objects })
        })
        .collect();
    let copies: HashSet<String> =
        copies(root, &read, &mut findings).into_iter().map(str::to_string).collect();
    let mut images = Vec::new();
    for index in chosen {
        let label = labels[index].clone();
        let result = parsed[index].take().filter(|_| !copies.contains(&label));
        let Some((annotation, own)) = result else { continue };
        findings.extend(own);
        let Some(annotation) = annotation else { continue };
        let file = image_of(&label, &annotation);
        let [width, height] = annotation.size;
        let objects = annotation
            .objects
            .into_iter()
            .filter_map(|(name, object)| class_of.get(name.trim()).map(|&class| Object { class, ..object }))
            .collect();
        let id = images.len() as i64 + 1;
        images.push(ImageRecord { id, file, width, height, objects, label: Some(label), source: 0 });
    }
    let mut dataset = Dataset {
        format: Format::LABELME,
        root: root.to_path_buf(),
        annotations: None,
        split: split.map(str::to_string),
        classes,
        images,
    };
    fill_sizes(&mut dataset, &mut findings, "imageWidth or imageHeight is missing");
    Ok((dataset, findings))
}

/// The image of a label, relative to the dataset.
fn image_of(label: &str, annotation: &Annotation) -> String {
    let folder = label.rsplit_once('/').map_or("", |(folder, _)| folder);
    match &annotation.image_path {
        Some(stated) => join(folder, stated),
        None => join(folder, &format!("{}.jpg", walk::file_name(without_extension(label)))),
    }
}

/// Reads a file with NaN or infinite values as null; `None` if it has none, or cannot be read.
fn with_null(path: &Path, file: &str, findings: &mut Findings) -> Option<Annotation> {
    let reader = NonFiniteToNull::new(BufReader::new(open_regular(path).ok()?));
    let replaced = reader.replaced();
    let mut own = Findings::default();
    let annotation = parse(reader, file, &mut own).ok().filter(|_| replaced.get() > 0)?;
    findings.extend(own);
    let message = format!("{} times NaN or Infinity; read as missing values", replaced.get());
    findings.push(FindingKind::JsonNan, Location::file(file), message);
    Some(annotation)
}

/// Reads a LabelMe file; `None` if it is another file.
pub(crate) fn annotation_in(path: &Path) -> Option<Annotation> {
    if json_kind(path) != JsonKind::LabelMe {
        return None;
    }
    parse(open_regular(path).ok()?, &display(path), &mut Findings::default()).ok()
}

/// The image path relative to the dataset, as in the label (`check` reports backslashes).
fn join(folder: &str, stated: &str) -> String {
    if folder.is_empty() || Path::new(stated).is_absolute() {
        stated.to_string()
    } else {
        format!("{folder}/{stated}")
    }
}

/// The classes of the class list; empty without it.
fn class_names(root: &Path, findings: &mut Findings) -> Result<Vec<String>, DataError> {
    let lists = CLASS_LISTS.map(|name| root.join(name));
    let Some(list) = lists.into_iter().find(|list| list.is_file()) else { return Ok(Vec::new()) };
    let mut names = read_names(&list, findings)?;
    names.retain(|name| !name.is_empty() && !is_placeholder(name));
    Ok(names)
}
