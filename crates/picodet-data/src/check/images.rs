//! Faults of image files, of the paths to them, and of images shared between splits.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::{CheckOptions, ImageFacts};
use crate::dataset::{Dataset, Format, ImageRecord, display};
use crate::finding::{Findings, Kind, Place};
use crate::image_file::{self, EXTENSIONS, ImageHeader};
use crate::walk;

/// Looks at every image file, on all cores.
pub(super) fn facts(dataset: &Dataset, options: &CheckOptions) -> Vec<ImageFacts> {
    image_file::parallel(dataset.images.len(), |index| {
        let Some(path) = dataset.image_path(index) else {
            return ImageFacts::default();
        };
        if !path.is_file() {
            return ImageFacts::default();
        }
        let mut facts = ImageFacts { exists: true, ..ImageFacts::default() };
        match image_file::read_header(&path) {
            Ok(header) => facts.header = Some(header),
            Err(fault) => facts.fault = Some(fault),
        }
        if let Some(header) = facts.header
            && options.decode
        {
            match image_file::decode(&path) {
                Ok((decoded, _)) => {
                    facts.header = Some(ImageHeader { format: decoded.format, ..header });
                }
                Err(fault) => facts.fault = Some(fault),
            }
        }
        if options.hash {
            facts.hash = image_file::content_hash(&path);
        }
        facts
    })
}

pub(super) fn check(
    dataset: &Dataset,
    facts: &[ImageFacts],
    options: &CheckOptions,
    findings: &mut Findings,
) {
    let mut names: HashMap<&str, usize> = HashMap::new();
    let mut hashes: HashMap<[u8; 32], usize> = HashMap::new();
    for (index, (image, facts)) in dataset.images.iter().zip(facts).enumerate() {
        let place = || dataset.image_place(index);
        path_faults(&image.file, &place, findings);
        if let Some(first) = names.get(image.file.as_str()) {
            let message = format!("{} is already listed at {}", image.file, dataset.image_place(*first));
            findings.push(Kind::DuplicateFileName, place(), message);
        } else {
            names.insert(&image.file, index);
            if let Some(hash) = facts.hash {
                if let Some(&first) = hashes.get(&hash) {
                    let message = format!("{} has the content of {}", image.file, dataset.images[first].file);
                    findings.push(Kind::ImageDuplicate, place(), message);
                } else {
                    hashes.insert(hash, index);
                }
            }
        }
        if !facts.exists {
            let path = dataset.image_path(index).unwrap_or_default();
            let message = format!("{} does not exist", display(&path));
            findings.push(Kind::ImageMissing, place(), message);
            continue;
        }
        if let Some(fault) = &facts.fault {
            let message = format!("{}: {fault}", image.file);
            findings.push(Kind::ImageUndecodable, place(), message);
        }
        // Readers of formats with one label file an image report this themselves.
        if dataset.format == Format::Coco && (image.width == 0 || image.height == 0) {
            let message = format!("{}: width or height is missing", image.file);
            findings.push(Kind::SizeUnknown, place(), message);
        }
        if let Some(header) = &facts.header {
            header_faults(image, header, options, &place, findings);
        }
    }
    let empty = dataset.images_without_objects();
    let total = dataset.images.len();
    let whole = Place::file(display(dataset.annotations.as_ref().unwrap_or(&dataset.root)));
    if empty == total {
        let message = format!("none of the {total} images of `{}` has one", dataset.split_name());
        findings.push(Kind::NoObjects, whole, message);
    } else if empty > 0 {
        let message = format!(
            "{}: {total} images, {empty} without objects ({:.0} %)",
            dataset.split_name(),
            100.0 * empty as f64 / total as f64
        );
        findings.push(Kind::ImagesWithoutObjects, whole, message);
    }
}

fn path_faults(file: &str, place: &dyn Fn() -> Place, findings: &mut Findings) {
    let drive = file.as_bytes().get(1) == Some(&b':');
    if Path::new(file).is_absolute() || file.starts_with('\\') || drive {
        findings.push(Kind::PathAbsolute, place(), file.to_string());
    }
    if file.split(['/', '\\']).any(|part| part == "..") {
        findings.push(Kind::PathEscapes, place(), file.to_string());
    }
    if file.contains('\\') {
        findings.push(Kind::PathBackslash, place(), file.to_string());
    }
}

fn header_faults(
    image: &ImageRecord,
    header: &ImageHeader,
    options: &CheckOptions,
    place: &dyn Fn() -> Place,
    findings: &mut Findings,
) {
    let ImageHeader { width, height, turned, rgb, format } = *header;
    let stated = (image.width, image.height);
    if stated != (width, height) && image.width > 0 && image.height > 0 {
        let sizes = format!("{}: the label states {} × {}", image.file, stated.0, stated.1);
        if turned && stated == (height, width) {
            let message = format!("{sizes}, upright the image is {width} × {height}");
            findings.push(Kind::SizeExif, place(), message);
        } else {
            let message = format!("{sizes}, the image is {width} × {height}");
            findings.push(Kind::SizeMismatch, place(), message);
        }
    }
    if u64::from(width) * u64::from(height) > options.huge_pixels {
        let message = format!("{}: {width} × {height}", image.file);
        findings.push(Kind::ImageHuge, place(), message);
    }
    if width.min(height) < options.tiny_side {
        let message = format!("{}: {width} × {height}", image.file);
        findings.push(Kind::ImageTiny, place(), message);
    }
    if !rgb {
        findings.push(Kind::ImageNotRgb, place(), image.file.clone());
    }
    let extension = image.file.rsplit_once('.').map_or("", |(_, ext)| ext).to_ascii_lowercase();
    let said = if extension == "jpg" { "jpeg" } else { extension.as_str() };
    if !format.is_empty() && said != format {
        let message = format!("{} is a {format} file", image.file);
        findings.push(Kind::ImageWrongExtension, place(), message);
    }
}

/// The same content in two splits.
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
                findings.push(Kind::Leakage, here.image_place(index), message);
            }
        }
    }
}

/// Image files that lie beside the labelled ones and are named by no label or split.
pub(super) fn unreferenced(datasets: &[Dataset], findings: &mut Findings) {
    let mut by_root: BTreeMap<&Path, BTreeSet<String>> = BTreeMap::new();
    for dataset in datasets.iter().filter(|dataset| dataset.format != Format::Yolo) {
        let used = by_root.entry(&dataset.root).or_default();
        used.extend(dataset.images.iter().map(|image| image.file.replace('\\', "/")));
    }
    for (root, used) in by_root {
        let folder = |file: &str| file.rsplit_once('/').map_or("", |(f, _)| f).to_string();
        let folders: HashSet<String> = used.iter().map(|file| folder(file)).collect();
        let Ok(files) = walk::files(root, EXTENSIONS, &mut Findings::default()) else {
            continue;
        };
        for file in files {
            if !used.contains(&file) && folders.contains(&folder(&file)) {
                let place = Place::file(display(&root.join(&file)));
                findings.push(Kind::ImageUnreferenced, place, "no label or split names it".to_string());
            }
        }
    }
}
