//! Replaces image paths that do not exist as written by those of the files that they mean.

use std::collections::HashSet;
use std::path::Path;

use super::index::{ImageFinder, Lookup};
use super::stated::Stated;
use crate::dataset::Dataset;
use crate::finding::{FindingKind, Findings};
use crate::image_file::EXTENSIONS;
use crate::mask_folder::is_mask_folder;
use crate::split_name::split_role;
use crate::walk::{file_name, has_extension, without_extension};

/// Looks up every image that does not exist as written: below the image folder if some image is there, otherwise below
/// `top`, the folder of the whole dataset. Changed paths are relative to the dataset, which moves to `top` if needed.
///
/// Files that another entry names as written, and files in a folder of another split, are not candidates.
pub(crate) fn resolve_images(dataset: &mut Dataset, top: &Path, findings: &mut Findings) {
    let exists = picodet_parallel::map(0..dataset.images.len(), 0, |index| {
        dataset.root.join(&dataset.images[index].file).is_file()
    });
    if exists.iter().all(|&exists| exists) {
        return;
    }
    let some_exist = exists.contains(&true);
    let base = if some_exist { dataset.root.clone() } else { top.to_path_buf() };
    let claimed: HashSet<String> = (dataset.images.iter().zip(&exists))
        .filter(|(_, exists)| **exists)
        .map(|(image, _)| Stated::new(&image.file).joined())
        .collect();
    let own_role = dataset.split.as_deref().and_then(split_role);
    let accept = |file: &str| {
        let of_other_split = own_role.is_some_and(|own| {
            let folders = file.rsplit_once('/').map_or("", |(folders, _)| folders).split('/');
            folders.filter_map(split_role).any(|role| role != own)
        });
        !of_other_split && !claimed.contains(file)
    };
    let finder = ImageFinder::new(&base);
    let (mut turned, mut moved) = (Tally::default(), Tally::default());
    let mut missing: Vec<usize> = Vec::new();
    let mut there = exists.clone();
    for index in (0..exists.len()).filter(|&index| !exists[index]) {
        let image = &dataset.images[index];
        let stated = Stated::new(&image.file);
        let plain = stated.joined();
        if image.file.contains('\\') && !plain.is_empty() && base.join(&plain).is_file() {
            turned.add(index, &image.file, &plain);
            dataset.images[index].file = plain;
            there[index] = true;
            continue;
        }
        let mut lookup = finder.index().find(&stated, &accept);
        if lookup == Lookup::Missing
            && let Some(label) = &image.label
        {
            // The image next to the label, with the label's name.
            let beside = Stated::new(without_extension(label));
            lookup = finder.index().find(&beside, &|file| accept(file) && beside_label(file, label));
        }
        match lookup {
            Lookup::Missing => missing.push(index),
            Lookup::Found(file) => {
                moved.add(index, &image.file, file);
                dataset.images[index].file = file.to_string();
                there[index] = true;
            }
            Lookup::Ambiguous(first, second) => {
                let message = format!(
                    "`{}` can be `{first}` or `{second}`; write the path relative to the dataset",
                    image.file
                );
                findings.push(FindingKind::PathAmbiguous, dataset.image_location(index), message);
            }
        }
    }
    // Images that were converted to another format, in the folders of the images that are there.
    let folder = |file: &str| file[..file.len() - file_name(file).len()].to_string();
    let files =
        (0..exists.len()).filter(|&index| there[index]).map(|index| dataset.images[index].file.clone());
    let used: HashSet<String> = files.collect();
    let known: HashSet<String> = used.iter().map(|file| folder(file)).collect();
    let fits = |file: &str| {
        let folder = folder(file);
        accept(file)
            && !used.contains(file)
            && if known.is_empty() { !is_mask_folder(&folder) } else { known.contains(&folder) }
    };
    for index in missing {
        let stated = Stated::new(&dataset.images[index].file).joined();
        if has_extension(&stated, EXTENSIONS)
            && let Lookup::Found(file) = finder.index().find(&Stated::new(without_extension(&stated)), &fits)
        {
            moved.add(index, &dataset.images[index].file, file);
            dataset.images[index].file = file.to_string();
        }
    }
    if !some_exist && (turned.count > 0 || moved.count > 0) {
        dataset.root = base;
    }
    let total = dataset.images.len();
    for (tally, kind) in [(turned, FindingKind::PathBackslash), (moved, FindingKind::PathElsewhere)] {
        if let Some((index, stated, file)) = tally.first {
            let message =
                format!("{} of {total} image paths, as in `{stated}`, read as `{file}`", tally.count);
            findings.push(kind, dataset.image_location(index), message);
        }
    }
    fill_sizes(dataset, &exists);
}

fn beside_label(file: &str, label: &str) -> bool {
    let folder = |path: &str| path.len() - file_name(path).len();
    file[..folder(file)] == label[..folder(label)]
}

/// Fills sizes that the label lacks from the images that were found.
fn fill_sizes(dataset: &mut Dataset, existed: &[bool]) {
    for index in (0..existed.len()).filter(|&index| !existed[index]) {
        let image = &dataset.images[index];
        if (image.width == 0 || image.height == 0)
            && let Some(header) = dataset.image_header(index)
        {
            (dataset.images[index].width, dataset.images[index].height) = (header.width, header.height);
        }
    }
}

/// Counts changed paths and keeps the first.
#[derive(Default)]
struct Tally {
    count: usize,
    first: Option<(usize, String, String)>,
}

impl Tally {
    fn add(&mut self, index: usize, stated: &str, file: &str) {
        self.count += 1;
        self.first.get_or_insert_with(|| (index, stated.to_string(), file.to_string()));
    }
}
