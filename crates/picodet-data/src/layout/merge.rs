//! Joins datasets that are parts of one: classes by name, paths below a common folder.

use std::collections::BTreeSet;
use std::path::Path;

use crate::dataset::{Class, Dataset, Loaded};
use crate::finding::Findings;

/// Returns the union of the class lists by name: in the order of the lists if they agree in it, otherwise sorted.
pub(crate) fn class_union<'a>(lists: impl Iterator<Item = &'a [Class]>) -> Vec<Class> {
    let lists: Vec<&[Class]> = lists.collect();
    let longest = lists.iter().max_by_key(|list| list.len()).copied().unwrap_or_default();
    let prefix = |list: &[Class]| list.iter().zip(longest).all(|(a, b)| (a.id, &a.name) == (b.id, &b.name));
    if lists.iter().all(|list| prefix(list)) {
        return longest.to_vec();
    }
    let names: BTreeSet<&str> =
        lists.iter().flat_map(|list| list.iter().map(|class| class.name.as_str())).collect();
    let numbered = (1..).zip(names);
    numbered.map(|(id, name)| Class { id, name: name.to_string(), supercategory: None }).collect()
}

/// Replaces the class list of a dataset by a longer one, matched by name.
pub(crate) fn with_classes(mut dataset: Dataset, classes: &[Class]) -> Dataset {
    let position = |name: &str| classes.iter().position(|class| class.name == name).unwrap_or(0);
    let map: Vec<usize> = dataset.classes.iter().map(|class| position(&class.name)).collect();
    for object in dataset.images.iter_mut().flat_map(|image| &mut image.objects) {
        object.class = map.get(object.class).copied().unwrap_or(0);
    }
    dataset.classes = classes.to_vec();
    dataset
}

/// Joins parts, each in its own folder below `root`.
pub(crate) fn merge(root: &Path, parts: Vec<(String, Loaded)>, split: Option<&str>) -> Option<Loaded> {
    let classes = class_union(parts.iter().map(|(_, part)| &part.dataset.classes[..]));
    let mut images = Vec::new();
    let mut findings = Findings::default();
    let mut complete = true;
    let mut format = None;
    for (folder, part) in parts {
        findings.extend(part.findings);
        complete &= part.complete;
        format = format.or(Some(part.dataset.format));
        for mut image in with_classes(part.dataset, &classes).images {
            if !Path::new(&image.file).is_absolute() {
                image.file = format!("{folder}/{}", image.file);
            }
            image.label = image.label.map(|label| format!("{folder}/{label}"));
            image.id = images.len() as i64 + 1;
            images.push(image);
        }
    }
    let (root, split) = (root.to_path_buf(), split.map(str::to_string));
    let dataset = Dataset { format: format?, root, annotations: None, split, classes, images };
    Some(Loaded { dataset, findings, complete })
}
