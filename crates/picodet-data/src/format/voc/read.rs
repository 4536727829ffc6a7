//! Reads a folder of XML annotations, with or without lists of splits.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::annotation::{Annotation, parse};
use super::image_index::{Image, ImageIndex};
use super::layout::{VocLayout, is_voc};
use super::list::{LabelIndex, read_list};
use super::unlabelled::{is_unlabelled_test, read_unlabelled};
use crate::class_names::{is_placeholder, read_names, report_spaces};
use crate::dataset::{Class, Dataset, Format, ImageRecord, Object, display};
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::format::handler::choose_split;
use crate::image_file::read_header;
use crate::text::{clip, read_xml};
use crate::walk::{self, file_name, without_extension};

/// Largest XML in bytes.
pub(super) const MAX_XML: u64 = 16 << 20;
/// File names of class lists.
const CLASS_LISTS: [&str; 3] = ["label_list.txt", "labels.txt", "classes.txt"];

/// The list of classes and colours of segmentations.
const LABEL_MAP: &str = "labelmap.txt";

/// Reads a VOC folder; with `split`, the images of its list (`ImageSets/Main/<split>.txt`) in its order, otherwise those
/// of all lists, or all XML files if there are no lists, in the order of their names. Classes are those of all XML files for every split, in the order of
/// `label_list.txt` if it exists, otherwise sorted by name.
///
/// # Errors
/// [`DataError`] when a folder or list cannot be read; a malformed XML is a finding.
pub fn read(root: &Path, split: Option<&str>) -> Result<(Dataset, Findings), DataError> {
    let layout = VocLayout::find(root).or_else(|| VocLayout::find_below(root));
    let layout = layout.ok_or_else(|| DataError::Incomplete {
        path: root.to_path_buf(),
        problem: "no XML files; a VOC dataset has them in Annotations/",
    })?;
    read_layout(&layout, split)
}

/// Reads a recognised folder.
pub(super) fn read_layout(layout: &VocLayout, split: Option<&str>) -> Result<(Dataset, Findings), DataError> {
    let (root, folder) = (layout.root.as_path(), layout.labels.as_str());
    let mut findings = Findings::default();
    let available = layout.splits();
    let split = split.map(|split| choose_split(root, split, &available)).transpose()?;
    let prefix = if folder == "." { String::new() } else { format!("{folder}/") };
    let labels: Vec<String> = walk::files(&root.join(folder), &["xml"], &mut findings)?;
    let images = ImageIndex::new(walk::images(root, &mut Findings::default())?, folder == ".");

    let parsed = picodet_parallel::map(0..labels.len(), 0, |index| {
        let path = root.join(folder).join(&labels[index]);
        read_one(&path)
    });
    let mut annotations: Vec<Option<Annotation>> = Vec::new();
    let mut own_findings: Vec<Findings> = Vec::new();
    for (annotation, own) in parsed {
        annotations.push(annotation);
        own_findings.push(own);
    }
    let classes = class_list(root, &annotations, &mut findings)?;
    let class_of: HashMap<&str, usize> =
        classes.iter().enumerate().map(|(index, class)| (class.name.as_str(), index)).collect();

    // The images with the name of an XML.
    let own_images = OnceCell::new();
    let own_images = || {
        own_images.get_or_init(|| {
            labels.iter().filter_map(|label| images.own(&format!("{prefix}{label}"))).collect::<HashSet<_>>()
        })
    };
    let (chosen, mut records) = chosen(layout, split, &labels, &images, &mut findings)?;
    for index in chosen {
        findings.extend(std::mem::take(&mut own_findings[index]));
        let Some(annotation) = annotations[index].take() else {
            continue;
        };
        let label = format!("{prefix}{}", labels[index]);
        let stem = without_extension(&labels[index]);
        let named = annotation.file_name.as_deref().map(|name| name.replace('\\', "/"));
        let stated: Vec<&str> = annotation.path.as_deref().into_iter().chain(named.as_deref()).collect();
        let mut file = match images.find(&label, &stated) {
            Image::One(file) => file,
            Image::Two(first, second) => {
                let message =
                    format!("the image can be `{first}` or `{second}`; write its folder into <path>");
                findings.push(
                    FindingKind::PathAmbiguous,
                    Location::file(display(&root.join(&label))),
                    message,
                );
                first
            }
        };
        if let Some(named) = named.as_deref().map(file_name)
            && without_extension(named).trim() != file_name(stem).trim()
        {
            let mut message = format!("<filename> is `{named}`, the XML is `{}.xml`", file_name(stem));
            // Files are renamed without their contents: an XML and an image of one name belong together.
            if let Some(own) = images.own(&label)
                && own != file
                && own_images().contains(&file)
            {
                message += &format!("; read for `{own}`, since there is an XML with the name of `{file}`");
                file = own;
            }
            findings.push(FindingKind::VocFileName, Location::file(display(&root.join(&label))), message);
        }
        let mut objects: Vec<Object> = Vec::with_capacity(annotation.objects.len());
        for (name, mut object) in annotation.objects {
            let Some(&class) = class_of.get(name.trim()) else {
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

/// Returns the XML files of a split: those of its list, or the images of a list of test images without XML. Without a split
/// the XML files of all lists, or all if there are no lists.
fn chosen(
    layout: &VocLayout,
    split: Option<&str>,
    labels: &[String],
    images: &ImageIndex,
    findings: &mut Findings,
) -> Result<(Vec<usize>, Vec<ImageRecord>), DataError> {
    let index = LabelIndex::new(labels);
    if let Some((name, list)) = layout.lists.iter().find(|(name, _)| Some(name.as_str()) == split) {
        let listed = read_list(list, &index, findings)?;
        if is_unlabelled_test(name, &listed) {
            return Ok((Vec::new(), read_unlabelled(layout, list, listed, images, findings)));
        }
        listed.report_unlabelled(list, findings);
        return Ok((listed.labels, Vec::new()));
    }
    if layout.lists.is_empty() {
        return Ok(((0..labels.len()).collect(), Vec::new()));
    }
    let mut chosen = BTreeSet::new();
    for (name, list) in &layout.lists {
        let listed = read_list(list, &index, findings)?;
        // Test images are no background images of a dataset as a whole.
        if !is_unlabelled_test(name, &listed) {
            listed.report_unlabelled(list, findings);
        }
        chosen.extend(listed.labels);
    }
    Ok((chosen.into_iter().collect(), Vec::new()))
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

/// Reads an XML file; `None` if it is no annotation.
pub(crate) fn annotation_in(path: &Path) -> Option<Annotation> {
    is_voc(path).then(|| read_one(path).0).flatten()
}

/// Reads one XML file; `None` if it cannot be parsed.
fn read_one(path: &Path) -> (Option<Annotation>, Findings) {
    let file = display(path);
    let mut findings = Findings::default();
    let text = match read_xml(path, MAX_XML, "a VOC XML", &mut findings) {
        Ok(text) => text,
        Err(error) => {
            let (location, message) = error.in_file(&file);
            findings.push(FindingKind::FileUnreadable, location, message);
            return (None, findings);
        }
    };
    match parse(&text, &file, &mut findings) {
        Ok(annotation) => (Some(annotation), findings),
        Err(error) => {
            findings.push(FindingKind::FileUnreadable, Location::line(file, error.line), error.problem);
            (None, findings)
        }
    }
}

/// Returns the names in a label map of CVAT or Datumaro (`name:colour:parts:actions`), except the background; empty for another
/// file.
fn label_map(path: &Path, findings: &mut Findings) -> Vec<String> {
    if !path.is_file() {
        return Vec::new();
    }
    let lines = read_names(path, findings).unwrap_or_default();
    let entries: Option<Vec<&str>> = lines
        .iter()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.rsplitn(4, ':').nth(3).map(str::trim))
        .collect();
    let mut names: Vec<String> = Vec::new();
    for name in entries.unwrap_or_default() {
        if !name.is_empty() && name != "background" && !names.iter().any(|other| other == name) {
            names.push(name.to_string());
        }
    }
    names
}

/// Reports the class lists with other names than the one that is read.
fn report_other_lists(root: &Path, list: &Path, names: &[String], findings: &mut Findings) {
    for other in CLASS_LISTS.into_iter().map(|file| root.join(file)).filter(|other| other != list) {
        let listed = read_names(&other, &mut Findings::default()).unwrap_or_default();
        let is_class = |name: &&String| !name.is_empty() && !is_placeholder(name);
        let listed: Vec<&String> = listed.iter().filter(is_class).collect();
        let only_here = listed.iter().find(|name| !names.contains(**name)).map(|name| (*name, "here"));
        let only_there = names.iter().find(|name| !listed.contains(name)).map(|name| (name, "there"));
        if let Some((name, place)) = only_here.or(only_there).filter(|_| !listed.is_empty()) {
            let message = format!("class `{}` is only {place}, and {} is read", clip(name), display(list));
            findings.push(FindingKind::ClassListsDiffer, Location::file(display(&other)), message);
        }
    }
}

/// The classes of the class list, then all others sorted by name.
fn class_list(
    root: &Path,
    annotations: &[Option<Annotation>],
    findings: &mut Findings,
) -> Result<Vec<Class>, DataError> {
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for annotation in annotations.iter().flatten() {
        used.extend(annotation.objects.iter().map(|(name, _)| name.as_str()));
    }
    report_spaces(used.iter().copied(), &Location::file(display(root)), findings);
    let used: BTreeSet<&str> = used.into_iter().map(str::trim).collect();
    let mut names: Vec<String> = Vec::new();
    for file in CLASS_LISTS {
        let list = root.join(file);
        if !list.is_file() {
            continue;
        }
        let mut listed = read_names(&list, findings)?;
        listed.retain(|name| !name.is_empty() && !is_placeholder(name));
        let known: HashSet<&str> = listed.iter().map(String::as_str).collect();
        let unlisted: Vec<&str> = used.iter().copied().filter(|name| !known.contains(name)).collect();
        // Other tools' lists can be of other data; `label_list.txt` is part of the format.
        if file != CLASS_LISTS[0] && !unlisted.is_empty() {
            continue;
        }
        for name in unlisted {
            let message = format!("class `{name}` is not in {file}; added");
            findings.push(FindingKind::UnknownCategory, Location::file(display(&list)), message);
        }
        report_other_lists(root, &list, &listed, findings);
        names = listed;
        break;
    }
    if names.is_empty() {
        names = label_map(&root.join(LABEL_MAP), findings);
    }
    let listed: HashSet<&str> = names.iter().map(String::as_str).collect();
    let others: Vec<String> =
        used.into_iter().filter(|name| !listed.contains(name)).map(str::to_string).collect();
    names.extend(others);
    Ok(names
        .into_iter()
        .enumerate()
        .map(|(index, name)| Class { id: index as i64 + 1, name, supercategory: None })
        .collect())
}
