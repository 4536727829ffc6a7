//! COCO files with a part of the images of another file.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::dataset::{Dataset, Loaded, display};
use crate::finding::{FindingKind, Findings, Location};
use crate::format::handler_of;
use crate::paths::real_paths;
use crate::split_name::split_role;
use crate::walk::file_name;

/// Removes the splits whose images are all in another split of the same role, or in one with a role if the split has none:
/// `minival2014` next to `val2014`. Each is reported.
pub(crate) fn without_contained(mut loaded: Vec<Loaded>, findings: &mut Findings) -> Vec<Loaded> {
    let contained: Vec<Option<usize>> = (0..loaded.len()).map(|part| container_of(part, &loaded)).collect();
    for (part, whole) in contained.iter().enumerate().filter_map(|(part, whole)| Some((part, (*whole)?))) {
        let (part, whole) = (&loaded[part].dataset, &loaded[whole].dataset);
        let message = format!(
            "`{}` has {} of the {} images of `{}`, and is not read together with it",
            part.split_name(),
            part.images.len(),
            whole.images.len(),
            whole.split_name()
        );
        let file = part.annotations.as_ref().unwrap_or(&part.root);
        findings.push(FindingKind::SplitContained, Location::file(display(file)), message);
    }
    let mut contained = contained.into_iter();
    loaded.retain(|_| contained.next().flatten().is_none());
    loaded
}

/// The paths of the images of a dataset without links.
pub(crate) fn real_images(dataset: &Dataset) -> Vec<PathBuf> {
    let images = 0..dataset.images.len();
    real_paths(&images.filter_map(|index| dataset.image_path(index)).collect::<Vec<_>>())
}

/// Returns the split with all images of another one; of two with equal images the first.
fn container_of(part: usize, loaded: &[Loaded]) -> Option<usize> {
    let own = &loaded[part].dataset;
    let first = file_name(&own.images.first()?.file);
    let can_contain = |index: &usize| {
        let other = &loaded[*index].dataset;
        let is_larger = (other.images.len(), part) > (own.images.len(), *index);
        let [role, other_role] = [own, other].map(|dataset| split_role(dataset.split_name()));
        *index != part
            && is_larger
            && other_role.is_some()
            && (role.is_none() || role == other_role)
            && own.split_name() != "trainval"
            && handler_of(other.format).conventions().single_file
            && other.images.iter().any(|image| file_name(&image.file) == first)
    };
    let mut candidates = (0..loaded.len()).filter(can_contain).peekable();
    candidates.peek()?;
    let files = real_images(own);
    candidates.find(|&index| {
        let whole: HashSet<PathBuf> = real_images(&loaded[index].dataset).into_iter().collect();
        files.iter().all(|file| whole.contains(file))
    })
}
