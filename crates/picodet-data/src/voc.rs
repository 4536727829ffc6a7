//! Pascal VOC: one XML an image, with or without `ImageSets/Main/<split>.txt`.
//!
//! Corners are taken as they stand (no shift by one). A DTD is refused, so there are no entities
//! to expand; files are bounded in size and node count.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use picodet_report::escape;
use roxmltree::{Document, Node, ParsingOptions};

use crate::dataset::{Class, Dataset, Format, ImageRecord, Object, display};
use crate::error::DataError;
use crate::finding::{Findings, Kind, Place};
use crate::guard::read_bounded;
use crate::image_file::{EXTENSIONS, parallel, read_header};
use crate::walk::{self, file_name, without_extension};

/// Largest XML read.
const MAX_XML: u64 = 16 << 20;
/// Most nodes in one XML (hundreds of thousands of objects).
const MAX_NODES: u32 = 4_000_000;

/// What one XML says; class names not yet indices.
#[derive(Debug, Default, PartialEq)]
pub struct Annotation {
    /// `<filename>`.
    pub file_name: Option<String>,
    /// `<size>`: width and height in pixels; 0 when missing.
    pub size: [u32; 2],
    /// Class name and object (its `class` is 0).
    pub objects: Vec<(String, Object)>,
}

/// Parses one XML annotation; faults inside it go to `findings` under the name `file`.
///
/// # Errors
/// The parser's message and line, when it is no VOC XML at all.
pub fn parse(text: &str, file: &str, findings: &mut Findings) -> Result<Annotation, (u64, String)> {
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options)
        .map_err(|error| (u64::from(error.pos().row), format!("the XML cannot be read: {error}")))?;
    let lines = LineIndex::new(text);
    let line_of = |node: Node<'_, '_>| lines.line(node);
    let root = document.root_element();
    if root.tag_name().name() != "annotation" {
        let name = root.tag_name().name();
        return Err((line_of(root), format!("<annotation> expected, not <{name}>")));
    }
    let mut annotation =
        Annotation { file_name: text_of(root, "filename").map(str::to_string), ..Annotation::default() };
    if let Some(size) = child(root, "size") {
        for (slot, name) in ["width", "height"].into_iter().enumerate() {
            let Some(text) = text_of(size, name) else { continue };
            match text.parse::<f64>() {
                Ok(value) if value.fract() == 0.0 && (0.0..=1e9).contains(&value) => {
                    annotation.size[slot] = value as u32;
                }
                _ => findings.push(
                    Kind::BadNumber,
                    Place::line(file, line_of(size)),
                    format!("<{name}> is `{}`", clip(text)),
                ),
            }
        }
    }
    for node in root.children().filter(|node| node.has_tag_name("object")) {
        let line = line_of(node);
        let place = || Place::line(file, line);
        let (Some(name), Some(corners)) = (text_of(node, "name"), child(node, "bndbox")) else {
            let message = "an <object> without <name> or <bndbox>; left out".to_string();
            findings.push(Kind::MissingField, place(), message);
            continue;
        };
        let mut bbox = [f64::NAN; 4];
        let mut complete = true;
        for (slot, tag) in ["xmin", "ymin", "xmax", "ymax"].into_iter().enumerate() {
            match text_of(corners, tag).map(|text| (text, text.parse::<f64>())) {
                Some((_, Ok(value))) => bbox[slot] = value,
                Some((text, Err(_))) => {
                    let message = format!("<{tag}> is `{}`; object left out", clip(text));
                    findings.push(Kind::BadNumber, place(), message);
                    complete = false;
                }
                None => {
                    let message = format!("<bndbox> has no <{tag}>; object left out");
                    findings.push(Kind::MissingField, place(), message);
                    complete = false;
                }
            }
        }
        if !complete {
            continue;
        }
        let mut flag = |tag: &str| match text_of(node, tag) {
            None | Some("0" | "false" | "") => false,
            Some("1" | "true") => true,
            Some(other) => {
                let message = format!("<{tag}> is `{}`; taken as 1", clip(other));
                findings.push(Kind::BadFlag, place(), message);
                true
            }
        };
        let (difficult, truncated) = (flag("difficult"), flag("truncated"));
        let source = u32::try_from(line).unwrap_or(u32::MAX);
        let object = Object { difficult, truncated, source, ..Object::new(0, bbox) };
        annotation.objects.push((name.to_string(), object));
    }
    Ok(annotation)
}

/// Byte offsets of line starts: roxmltree's own lookup scans from the beginning each time.
struct LineIndex(Vec<usize>);

impl LineIndex {
    fn new(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect())
    }

    fn line(&self, node: Node<'_, '_>) -> u64 {
        self.0.partition_point(|&newline| newline < node.range().start) as u64 + 1
    }
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

fn text_of<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name)?.text().map(str::trim).filter(|text| !text.is_empty())
}

fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Splits that `ImageSets/Main` names: one list of image ids each. VOC2007's per-class lists
/// (`aeroplane_train.txt`, two columns) are not splits.
pub(crate) fn splits(root: &Path) -> Vec<String> {
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
                    // A name may contain spaces; a per-class list ends each line in -1, 0 or 1.
                    !text.lines().take(5).any(|line| {
                        line.trim()
                            .rsplit_once(char::is_whitespace)
                            .is_some_and(|(_, last)| matches!(last, "-1" | "0" | "1"))
                    })
                })
        })
        .collect();
    names.sort_unstable_by_key(|name| (crate::open::split_rank(name), name.clone()));
    names
}

/// Folders with XML files, relative to the dataset.
pub(crate) fn label_folder(root: &Path) -> Option<&'static str> {
    ["Annotations", "annotations", "labels", "."].into_iter().find(|folder| {
        std::fs::read_dir(root.join(folder)).is_ok_and(|listing| {
            listing.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(".xml"))
        })
    })
}

/// Reads a VOC folder; with `split`, the images of `ImageSets/Main/<split>.txt` in its order,
/// otherwise all XML files in the order of their names. Classes come from all XML files of the
/// folder whatever the split, sorted by name, or in the order of `label_list.txt` where there is one.
///
/// # Errors
/// [`DataError`] when folders or lists cannot be read; a broken XML is a finding.
pub fn read(root: &Path, split: Option<&str>) -> Result<(Dataset, Findings), DataError> {
    let mut findings = Findings::default();
    let folder = label_folder(root).ok_or_else(|| DataError::UnknownFormat {
        path: root.to_path_buf(),
        reason: "no XML files".to_string(),
    })?;
    let prefix = if folder == "." { String::new() } else { format!("{folder}/") };
    let labels: Vec<String> = walk::files(&root.join(folder), &["xml"], &mut findings)?;
    let images: Vec<String> = walk::files(root, EXTENSIONS, &mut Findings::default())?;
    let images = ImageIndex::new(&images);

    let parsed = parallel(labels.len(), |index| {
        let path = root.join(folder).join(&labels[index]);
        Some(read_one(&path))
    });
    let mut by_stem: HashMap<String, usize> = HashMap::new();
    let mut annotations: Vec<Option<Annotation>> = Vec::new();
    let mut own_findings: Vec<Findings> = Vec::new();
    for (index, result) in parsed.into_iter().enumerate() {
        let (annotation, own) = result.unwrap_or_default();
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
        let stated = annotation.file_name.as_deref().map(|name| name.replace('\\', "/"));
        let file = images.find(stem, stated.as_deref());
        let stated_name = stated.as_deref().map(file_name);
        if let Some(stated) = stated_name
            && without_extension(stated) != file_name(stem)
        {
            let message = format!("<filename> is `{stated}`, the XML is `{}.xml`", file_name(stem));
            findings.push(Kind::VocFileName, Place::file(display(&root.join(&label))), message);
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
        format: Format::Voc,
        root: root.to_path_buf(),
        annotations: None,
        split: split.map(str::to_string),
        classes,
        images: records,
    };
    fill_sizes(&mut dataset, &mut findings);
    Ok((dataset, findings))
}

/// Takes sizes that the label does not state (0) from the image; [`Kind::SizeUnknown`] says so.
fn fill_sizes(dataset: &mut Dataset, findings: &mut Findings) {
    let unknown: Vec<usize> = (0..dataset.images.len())
        .filter(|&index| dataset.images[index].width == 0 || dataset.images[index].height == 0)
        .collect();
    let headers = parallel(unknown.len(), |index| {
        read_header(&dataset.root.join(&dataset.images[unknown[index]].file)).ok()
    });
    for (index, header) in unknown.into_iter().zip(headers) {
        let message = "<size> is missing or zero".to_string();
        findings.push(Kind::SizeUnknown, dataset.image_place(index), message);
        if let Some(header) = header {
            (dataset.images[index].width, dataset.images[index].height) = (header.width, header.height);
        }
    }
}

fn read_one(path: &Path) -> (Option<Annotation>, Findings) {
    let file = display(path);
    let mut findings = Findings::default();
    let bytes = match read_bounded(path, MAX_XML, "a VOC XML") {
        Ok(bytes) => bytes,
        Err(error) => {
            findings.push(Kind::FileUnreadable, Place::file(file), error.to_string());
            return (None, findings);
        }
    };
    let Ok(text) = String::from_utf8(bytes) else {
        findings.push(Kind::LabelNotUtf8, Place::file(file), "the XML is not UTF-8".to_string());
        return (None, findings);
    };
    match parse(text.trim_start_matches('\u{feff}'), &file, &mut findings) {
        Ok(annotation) => (Some(annotation), findings),
        Err((line, message)) => {
            findings.push(Kind::FileUnreadable, Place::line(file, line), message);
            (None, findings)
        }
    }
}

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
            findings.push(Kind::UnknownCategory, Place::file(display(&list)), message);
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

fn chosen_by_list(
    root: &Path,
    split: &str,
    by_stem: &HashMap<String, usize>,
    findings: &mut Findings,
) -> Result<Vec<usize>, DataError> {
    let available = splits(root);
    if !available.iter().any(|name| name == split) {
        let (path, split) = (root.to_path_buf(), split.to_string());
        return Err(DataError::UnknownSplit { path, split, available });
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
        let place = || Place::line(display(&list), number as u64 + 1);
        match by_stem.get(id) {
            None => {
                let message = format!("`{}` has no XML", clip(id));
                findings.push(Kind::SplitUnlabelled, place(), message);
            }
            Some(&index) if seen.contains_key(&index) => {
                let message = format!("`{id}` is already in line {}", seen[&index]);
                findings.push(Kind::SplitDuplicate, place(), message);
            }
            Some(&index) => {
                seen.insert(index, number + 1);
                chosen.push(index);
            }
        }
    }
    Ok(chosen)
}

/// Finds the image of an XML among the files of the dataset.
struct ImageIndex<'a> {
    by_stem: HashMap<&'a str, Vec<&'a str>>,
    folder: Option<&'a str>,
}

impl<'a> ImageIndex<'a> {
    fn new(files: &'a [String]) -> Self {
        let mut by_stem: HashMap<&str, Vec<&str>> = HashMap::new();
        for file in files {
            by_stem.entry(file_name(without_extension(file))).or_default().push(file);
        }
        let folder = files.iter().find_map(|file| file.split_once('/').map(|(folder, _)| folder));
        Self { by_stem, folder }
    }

    /// The image with the stated name, or with the XML's stem; among several in different
    /// folders, the one whose path ends most like the XML's. A missing image gets the path
    /// where it should have been.
    fn find(&self, stem: &str, stated: Option<&str>) -> String {
        let by_name = stated.map(file_name).and_then(|name| {
            let candidates = self.by_stem.get(without_extension(name))?;
            let exact = candidates.iter().copied().filter(|file| file_name(file) == name);
            best(exact, stem)
        });
        let by_stem = || {
            let candidates = self.by_stem.get(file_name(stem))?;
            best(candidates.iter().copied(), stem)
        };
        by_name.or_else(by_stem).map_or_else(
            || {
                let folder = self.folder.unwrap_or("JPEGImages");
                let name = stated.map_or_else(|| format!("{stem}.jpg"), str::to_string);
                format!("{folder}/{}", file_name(&name))
            },
            str::to_string,
        )
    }
}

fn best<'a>(candidates: impl Iterator<Item = &'a str>, stem: &str) -> Option<&'a str> {
    candidates.max_by_key(|file| {
        let file_stem = without_extension(file);
        let common = file_stem.bytes().rev().zip(stem.bytes().rev()).take_while(|(a, b)| a == b);
        (common.count(), std::cmp::Reverse(*file))
    })
}

/// The XML of one image; `name` is the image's file name.
pub fn write_one(dataset: &Dataset, image: &ImageRecord, name: &str) -> String {
    let mut xml = String::new();
    let folder = "JPEGImages";
    let _ = writeln!(
        xml,
        "<annotation>\n\t<folder>{folder}</folder>\n\t<filename>{}</filename>\n\t<size>\n\t\t<width>{}</width>\n\t\t<height>{}</height>\n\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>",
        escape(name),
        image.width,
        image.height
    );
    for object in &image.objects {
        let class = dataset.classes.get(object.class).map_or("", |class| class.name.as_str());
        let [x1, y1, x2, y2] = object.bbox;
        let _ = writeln!(
            xml,
            "\t<object>\n\t\t<name>{}</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>{}</truncated>\n\t\t<difficult>{}</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>{x1}</xmin>\n\t\t\t<ymin>{y1}</ymin>\n\t\t\t<xmax>{x2}</xmax>\n\t\t\t<ymax>{y2}</ymax>\n\t\t</bndbox>\n\t</object>",
            escape(class),
            u8::from(object.truncated),
            u8::from(object.difficult),
        );
    }
    xml.push_str("</annotation>\n");
    xml
}

/// The path of a VOC root for a file inside it, for callers that were given `Annotations/`.
pub(crate) fn root_of(path: &Path) -> PathBuf {
    let inside = path.file_name().is_some_and(|name| name == "Annotations");
    if inside { path.parent().unwrap_or(path).to_path_buf() } else { path.to_path_buf() }
}
