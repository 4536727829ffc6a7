//! Reads a folder of XML annotations, with or without `ImageSets/Main/<split>.txt`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::annotation::{Annotation, parse};
use super::image_index::ImageIndex;
use crate::dataset::{Class, Dataset, Format, ImageRecord, Object, display};
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::format::handler::unknown_split;
use crate::image_file::{EXTENSIONS, read_header};
use crate::input::read_bounded;
use crate::split_name::split_rank;
use crate::text::clip;
use crate::walk::{self, file_name, without_extension};

/// Largest XML in bytes.
const MAX_XML: u64 = 16 << 20;

/// Returns the folder with XML files, relative to the dataset.
pub(super) fn label_folder(root: &Path) -> Option<&'static str> {
    ["Annotations", "annotations", "labels", "."].into_iter().find(|folder| {
        std::fs::read_dir(root.join(folder)).is_ok_and(|listing| {
            listing.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(".xml"))
        })
    })
}

/// Returns the splits of `ImageSets/Main`, train first: lists of image ids. The lists per class of VOC2007
/// (`aeroplane_train.txt`, two columns) are not splits.
pub(super) fn splits(root: &Path) -> Vec<String> {
    let Ok(listing) = std::fs::read_dir(root.join("ImageSets/Main")) else {
        return Vec::new();
    };
    let mut names: Vec<String> = listing
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".txt").map(str::to_string))
        .filter(|name| {
            read_bounded(&root.join(format!("ImageSets/Main/{name}.txt")), MAX_XML, "an image list")
                .is_ok_and(|bytes| {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    // A name can contain spaces; each line of a list per class ends with -1, 0 or 1.
                    !text.lines().take(5).any(|line| {
                        line.trim()
                            .rsplit_once(char::is_whitespace)
                            .is_some_and(|(_, last)| matches!(last, "-1" | "0" | "1"))
                    })
                })
        })
        .collect();
    names.sort_unstable_by_key(|name| (split_rank(name), name.clone()));
    names
}

/// Reads a VOC folder; with `split`, the images of `ImageSets/Main/<split>.txt` in its order, otherwise all
/// XML files in the order of their names. Classes are those of all XML files for every split, in the order of
/// `label_list.txt` if it exists, otherwise sorted by name.
///
/// # Errors
/// [`DataError`] when a folder or list cannot be read; a malformed XML is a finding.
pub fn read(root: &Path, split: Option<&str>) -> Result<(Dataset, Findings), DataError> {
    let mut findings = Findings::default();
    let folder = label_folder(root).ok_or_else(|| DataError::Incomplete {
        path: root.to_path_buf(),
        problem: "no XML files; a VOC dataset has them in Annotations/",
    })?;
    let prefix = if folder == "." { String::new() } else { format!("{folder}/") };
    let labels: Vec<String> = walk::files(&root.join(folder), &["xml"], &mut findings)?;
    let images: Vec<String> = walk::files(root, EXTENSIONS, &mut Findings::default())?;
    let images = ImageIndex::new(&images);

    let parsed = picodet_parallel::map(0..labels.len(), 0, |index| {
        let path = root.join(folder).join(&labels[index]);
        read_one(&path)
    });
    let mut by_stem: HashMap<String, usize> = HashMap::new();
    let mut annotations: Vec<Option<Annotation>> = Vec::new();
    let mut own_findings: Vec<Findings> = Vec::new();
    for (index, (annotation, own)) in parsed.into_iter().enumerate() {
        by_stem.insert(without_extension(&labels[index]).to_string(), index);
        annotations.push(annotation);
        own_findings.push(own);
    }
    let classes = class_list(root, &annotations, &mut findings)?;
    let class_of: HashMap<&str, usize> =
        classes.iter().enumerate().map(|(index, class)| (class.name.as_str(), index)).collect();

    let chosen: Vec<usize> = match split {
        None => (0..labels.len()).collect(),
        Some(split) => chosen_by_list(root, split, &by_stem, &mut findings)?,
    };
    let mut records = Vec::with_capacity(chosen.len());
    for index in chosen {
        findings.extend(std::mem::take(&mut own_findings[index]));
        let Some(annotation) = annotations[index].take() else {
            continue;
        };
        let label = format!("{prefix}{}", labels[index]);
        let stem = without_extension(&labels[index]);
        let named = annotation.file_name.as_deref().map(|name| name.replace('\\', "/"));
        let file = images.find(stem, named.as_deref());
        if let Some(named) = named.as_deref().map(file_name)
            && without_extension(named) != file_name(stem)
        {
            let message = format!("<filename> is `{named}`, the XML is `{}.xml`", file_name(stem));
            findings.push(FindingKind::VocFileName, Location::file(display(&root.join(&label))), message);
        }
        let mut objects: Vec<Object> = Vec::with_capacity(annotation.objects.len());
        for (name, mut object) in annotation.objects {
            let Some(&class) = class_of.get(name.as_str()) else {
                continue;
            };
            object.class = class;
            objects.push(object);
        }
        let [width, height] = annotation.size;
        let id = records.len() as i64 + 1;
        let label = Some(label);
        records.push(ImageRecord { id, file, width, height, objects, label, source: 0 });
    }
    let mut dataset = Dataset {
        format: Format::VOC,
        root: root.to_path_buf(),
        annotations: None,
        split: split.map(str::to_string),
        classes,
        images: records,
    };
    fill_sizes(&mut dataset, &mut findings);
    Ok((dataset, findings))
}

/// Takes sizes that are missing in the label (0) from the image, and reports them.
fn fill_sizes(dataset: &mut Dataset, findings: &mut Findings) {
    let unknown: Vec<usize> = (0..dataset.images.len())
        .filter(|&index| dataset.images[index].width == 0 || dataset.images[index].height == 0)
        .collect();
    let headers = picodet_parallel::map(0..unknown.len(), 0, |index| {
        read_header(&dataset.root.join(&dataset.images[unknown[index]].file)).ok()
    });
    for (index, header) in unknown.into_iter().zip(headers) {
        let message = "<size> is missing or zero".to_string();
        findings.push(FindingKind::SizeUnknown, dataset.image_location(index), message);
        if let Some(header) = header {
            (dataset.images[index].width, dataset.images[index].height) = (header.width, header.height);
        }
    }
}

/// Reads one XML file; `None` if it cannot be parsed.
fn read_one(path: &Path) -> (Option<Annotation>, Findings) {
    let file = display(path);
    let mut findings = Findings::default();
    let bytes = match read_bounded(path, MAX_XML, "a VOC XML") {
        Ok(bytes) => bytes,
        Err(error) => {
            findings.push(FindingKind::FileUnreadable, Location::file(file), error.to_string());
            return (None, findings);
        }
    };
    let Ok(text) = String::from_utf8(bytes) else {
        findings.push(FindingKind::LabelNotUtf8, Location::file(file), "the XML is not UTF-8".to_string());
        return (None, findings);
    };
    match parse(text.trim_start_matches('\u{feff}'), &file, &mut findings) {
        Ok(annotation) => (Some(annotation), findings),
        Err(error) => {
            findings.push(FindingKind::FileUnreadable, Location::line(file, error.line), error.problem);
            (None, findings)
        }
    }
}

/// The classes of `label_list.txt`, then all others sorted by name.
fn class_list(
    root: &Path,
    annotations: &[Option<Annotation>],
    findings: &mut Findings,
) -> Result<Vec<Class>, DataError> {
    let list = root.join("label_list.txt");
    let mut names: Vec<String> = Vec::new();
    if list.is_file() {
        let bytes = read_bounded(&list, MAX_XML, "a class list")?;
        let text = String::from_utf8_lossy(&bytes);
        names.extend(text.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_string));
    }
    let listed: HashSet<&str> = names.iter().map(String::as_str).collect();
    let found: BTreeSet<&str> = annotations
        .iter()
        .flatten()
        .flat_map(|annotation| annotation.objects.iter().map(|(name, _)| name.as_str()))
        .filter(|name| !listed.contains(name))
        .collect();
    if !listed.is_empty() {
        for name in &found {
            let message = format!("class `{name}` is not in label_list.txt; added");
            findings.push(FindingKind::UnknownCategory, Location::file(display(&list)), message);
        }
    }
    let found: Vec<String> = found.into_iter().map(str::to_string).collect();
    names.extend(found);
    Ok(names
        .into_iter()
        .enumerate()
        .map(|(index, name)| Class { id: index as i64 + 1, name, supercategory: None })
        .collect())
}

/// Indices of the XML files that the list of a split names.
fn chosen_by_list(
    root: &Path,
    split: &str,
    by_stem: &HashMap<String, usize>,
    findings: &mut Findings,
) -> Result<Vec<usize>, DataError> {
    let available = splits(root);
    if !available.iter().any(|name| name == split) {
        return Err(unknown_split(root, split, available));
    }
    let list = root.join(format!("ImageSets/Main/{split}.txt"));
    let bytes = read_bounded(&list, 1 << 30, "an image list")?;
    let text = String::from_utf8_lossy(&bytes);
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    let mut chosen = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let id = line.trim();
        if id.is_empty() {
            continue;
        }
        let location = || Location::line(display(&list), number as u64 + 1);
        match by_stem.get(id) {
            None => {
                let message = format!("`{}` has no XML", clip(id));
                findings.push(FindingKind::SplitUnlabelled, location(), message);
            }
            Some(&index) if seen.contains_key(&index) => {
                let message = format!("`{id}` is already in line {}", seen[&index]);
                findings.push(FindingKind::SplitDuplicate, location(), message);
            }
            Some(&index) => {
                seen.insert(index, number + 1);
                chosen.push(index);
            }
        }
    }
    Ok(chosen)
}
