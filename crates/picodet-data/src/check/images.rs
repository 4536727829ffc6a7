//! Finds faults of image files and their paths, and images shared between splits.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::options::CheckOptions;
use super::result::ImageFacts;
use crate::dataset::{Dataset, ImageRecord, display};
use crate::finding::{FindingKind, Findings, Location};
use crate::format::coco::dataset_folder;
use crate::format::handler_of;
use crate::image_file::{EXTENSIONS, ImageHeader, ImageSource};
use crate::image_names::picture_key;
use crate::paths::{plain, real, real_paths, turned};
use crate::unsupported::{UnsupportedImages, unsupported_format};
use crate::walk;

/// Reads the properties of every image file, on all cores.
pub(super) fn facts(dataset: &Dataset, options: &CheckOptions) -> Vec<ImageFacts> {
    let paths: Vec<PathBuf> =
        (0..dataset.images.len()).map(|index| dataset.image_path(index).unwrap_or_default()).collect();
    let places = real_paths(&paths);
    picodet_parallel::map(0..dataset.images.len(), 0, |index| {
        let real = places[index].clone();
        let Some(source) = dataset.image_source(index) else {
            return ImageFacts { real, ..ImageFacts::default() };
        };
        let embedded = matches!(source, ImageSource::Embedded(_));
        let mut facts = ImageFacts { exists: true, embedded, real, ..ImageFacts::default() };
        match source.header() {
            Ok(header) => {
                facts.header = Some(header);
                facts.fault = header.check(&options.limits).err().map(|error| error.to_string());
            }
            Err(error) => facts.fault = Some(error.to_string()),
        }
        if let Some(header) = facts.header
            && facts.fault.is_none()
            && options.decode
        {
            match source.decode(&options.limits) {
                Ok((decoded, _)) => {
                    facts.header = Some(ImageHeader { format: decoded.format, ..header });
                }
                Err(error) => facts.fault = Some(error.to_string()),
            }
        }
        if options.hash {
            facts.hash = source.content_hash();
        }
        facts
    })
}

pub(super) fn check(
    dataset: &Dataset,
    facts: &[ImageFacts],
    path: Option<&Path>,
    options: &CheckOptions,
    findings: &mut Findings,
) {
    let root = real(&dataset.root);
    let top = path.and_then(folder_of).unwrap_or_else(|| root.clone());
    let escapes = |file: &str| {
        let inside = |folder: &Path| plain(&root.join(turned(file))).starts_with(folder);
        file.split(['/', '\\']).any(|part| part == "..") && !inside(&root) && !inside(&top)
    };
    let unsupported = UnsupportedImages::new(&dataset.root);
    let mut names: HashMap<&Path, usize> = HashMap::new();
    let mut hashes: HashMap<[u8; 32], usize> = HashMap::new();
    for (index, (image, facts)) in dataset.images.iter().zip(facts).enumerate() {
        let location = || dataset.image_location(index);
        path_faults(&image.file, &escapes, &location, findings);
        if let Some(first) = names.get(facts.real.as_path()) {
            let message = format!("{} is already listed at {}", image.file, dataset.image_location(*first));
            findings.push(FindingKind::DuplicateFileName, location(), message);
        } else {
            names.insert(&facts.real, index);
            if let Some(hash) = facts.hash {
                if let Some(&first) = hashes.get(&hash) {
                    let message = format!("{} has the content of {}", image.file, dataset.images[first].file);
                    findings.push(FindingKind::ImageDuplicate, location(), message);
                } else {
                    hashes.insert(hash, index);
                }
            }
        }
        if !facts.exists && handler_of(dataset.format).has_broken_image(dataset, index) {
            let message = format!("{}: it exists only in its label file, as broken base64", image.file);
            findings.push(FindingKind::ImageUndecodable, location(), message);
            continue;
        }
        let unread = || match facts.exists {
            true => unsupported_format(&image.file)
                .map(|format| format!("{} has the format {format}", image.file)),
            false => unsupported.describe(&image.file),
        };
        if (!facts.exists || facts.fault.is_some())
            && let Some(what) = unread()
        {
            findings.push(FindingKind::ImageUnsupported, location(), format!("{what}, which is not read"));
            continue;
        }
        if !facts.exists {
            let path = dataset.image_path(index).unwrap_or_default();
            let message = format!("{} does not exist", display(&path));
            findings.push(FindingKind::ImageMissing, location(), message);
            continue;
        }
        if facts.embedded {
            let message = format!("{} is only embedded", image.file);
            findings.push(FindingKind::ImageEmbedded, location(), message);
        }
        if let Some(fault) = &facts.fault {
            let message = format!("{}: {fault}", image.file);
            findings.push(FindingKind::ImageUndecodable, location(), message);
        }
        if let Some(header) = &facts.header {
            header_faults(image, header, options, &location, findings);
        }
    }
}

/// Returns the folder of the dataset at a path: the one above the folder of an annotation file.
fn folder_of(path: &Path) -> Option<PathBuf> {
    let real = path.canonicalize().ok()?;
    Some(if real.is_dir() { real } else { dataset_folder(&real) })
}

fn path_faults(
    file: &str,
    escapes: &dyn Fn(&str) -> bool,
    location: &dyn Fn() -> Location,
    findings: &mut Findings,
) {
    let drive = file.as_bytes().get(1) == Some(&b':');
    if Path::new(file).is_absolute() || file.starts_with('\\') || drive {
        findings.push(FindingKind::PathAbsolute, location(), file.to_string());
    }
    if escapes(file) {
        findings.push(FindingKind::PathEscapes, location(), file.to_string());
    }
    if file.contains('\\') {
        findings.push(FindingKind::PathBackslash, location(), file.to_string());
    }
}

fn header_faults(
    image: &ImageRecord,
    header: &ImageHeader,
    options: &CheckOptions,
    location: &dyn Fn() -> Location,
    findings: &mut Findings,
) {
    let ImageHeader { width, height, turned, rgb, format } = *header;
    let stated = (image.width, image.height);
    if stated != (width, height) && image.width > 0 && image.height > 0 {
        let sizes = format!("{}: the label states {} × {}", image.file, stated.0, stated.1);
        if turned && stated == (height, width) {
            let message = format!("{sizes}, the upright image has {width} × {height}");
            findings.push(FindingKind::SizeExif, location(), message);
        } else {
            let message = format!("{sizes}, the image has {width} × {height}");
            findings.push(FindingKind::SizeMismatch, location(), message);
        }
    }
    if u64::from(width) * u64::from(height) > options.huge_pixels {
        let message = format!("{}: {width} × {height}", image.file);
        findings.push(FindingKind::ImageHuge, location(), message);
    }
    if width.min(height) < options.tiny_side {
        let message = format!("{}: {width} × {height}", image.file);
        findings.push(FindingKind::ImageTiny, location(), message);
    }
    if !rgb {
        findings.push(FindingKind::ImageNotRgb, location(), image.file.clone());
    }
    let extension = image.file.rsplit_once('.').map_or("", |(_, ext)| ext).to_ascii_lowercase();
    if !extension_matches(&extension, format) {
        let message = format!("{} is a {format} file", image.file);
        findings.push(FindingKind::ImageWrongExtension, location(), message);
    }
}

/// Whether files of a format have the extension, in lower case. A file without one of the known extensions matches any.
fn extension_matches(extension: &str, format: &str) -> bool {
    let expected = match extension {
        "png" | "apng" => "png",
        "bmp" | "dib" => "bmp",
        "webp" | "gif" => extension,
        _ if EXTENSIONS.contains(&extension) => "jpeg",
        _ => return true,
    };
    expected == format
}

/// Finds images with the same content in two splits.
pub(super) fn across(datasets: &[Dataset], facts: &[Vec<ImageFacts>], findings: &mut Findings) {
    let mut first: HashMap<[u8; 32], (usize, usize)> = HashMap::new();
    for (part, facts) in facts.iter().enumerate() {
        for (index, hash) in facts.iter().enumerate().filter_map(|(i, f)| Some((i, f.hash?))) {
            let &mut (other, twin) = first.entry(hash).or_insert((part, index));
            if other != part {
                let (here, there) = (&datasets[part], &datasets[other]);
                let message = format!(
                    "{} of `{}` is {} of `{}`",
                    here.images[index].file,
                    here.split_name(),
                    there.images[twin].file,
                    there.split_name()
                );
                findings.push(FindingKind::Leakage, here.image_location(index), message);
            }
        }
    }
}

/// Finds images of two splits with the same name and size, but in different formats.
pub(super) fn alike(datasets: &[Dataset], facts: &[Vec<ImageFacts>], findings: &mut Findings) {
    let mut first: HashMap<(&str, u32, u32), (usize, usize, &str)> = HashMap::new();
    for (part, facts) in facts.iter().enumerate() {
        for (index, header) in facts.iter().enumerate().filter_map(|(i, f)| Some((i, f.header?))) {
            let here = &datasets[part].images[index];
            let key = picture_key(&here.file, &header);
            let &mut (other, twin, format) = first.entry(key).or_insert((part, index, header.format));
            if other != part && format != header.format {
                let (of, there) = (&datasets[other], &datasets[other].images[twin]);
                let message = format!(
                    "{} of `{}` has the name and size of {} of `{}`",
                    here.file,
                    datasets[part].split_name(),
                    there.file,
                    of.split_name()
                );
                findings.push(FindingKind::LeakagePossible, datasets[part].image_location(index), message);
            }
        }
    }
}

/// Finds image files next to labelled ones to which no label or split refers, except those that are `reported` as unread;
/// returns their paths.
pub(super) fn unreferenced(
    datasets: &[Dataset],
    facts: &[Vec<ImageFacts>],
    reported: &HashSet<PathBuf>,
    findings: &mut Findings,
) -> HashSet<PathBuf> {
    // Another file, or another folder, can refer to an image.
    let referred: HashSet<&PathBuf> = facts.iter().flatten().map(|facts| &facts.real).collect();
    let mut found = HashSet::new();
    let mut by_root: BTreeMap<&Path, BTreeSet<String>> = BTreeMap::new();
    // In a folder of images with their labels, the others are not labelled yet.
    let mut beside: HashMap<&Path, HashSet<String>> = HashMap::new();
    for dataset in
        datasets.iter().filter(|dataset| !handler_of(dataset.format).conventions().images_from_folders)
    {
        let parent = |file: &str| file.rsplit_once('/').map_or("", |(folder, _)| folder).to_string();
        let labels = dataset.images.iter().filter_map(|image| image.label.as_deref());
        beside.entry(&dataset.root).or_default().extend(labels.map(parent));
        let used = by_root.entry(&dataset.root).or_default();
        used.extend(dataset.images.iter().map(|image| image.file.replace('\\', "/")));
    }
    for (root, used) in by_root {
        let folder = |file: &str| file.rsplit_once('/').map_or("", |(f, _)| f).to_string();
        let folders: HashSet<String> = used.iter().map(|file| folder(file)).collect();
        let Ok(files) = walk::images(root, &mut Findings::default()) else {
            continue;
        };
        for file in files {
            let is_beside = beside.get(root).is_some_and(|folders| folders.contains(&folder(&file)));
            if used.contains(&file) || !folders.contains(&folder(&file)) || is_beside {
                continue;
            }
            let place = real(&root.join(&file));
            if !referred.contains(&place) && !reported.contains(&place) && found.insert(place) {
                let location = Location::file(display(&root.join(&file)));
                findings.push(
                    FindingKind::ImageUnreferenced,
                    location,
                    "no label or split refers to it".to_string(),
                );
            }
        }
    }
    found
}
