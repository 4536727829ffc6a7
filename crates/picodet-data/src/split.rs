//! Splits a dataset: stratified by class, reproducible, with images of equal content in the same part.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::image_names::{picture_key, safe};
use crate::text::clip;

/// Splits `dataset` into parts with the given names and fractions, which must add up to 1.
///
/// Each part gets its share of the images by the method of the largest remainder, and at least one, with objects if
/// there are any. Iterative stratification: classes are distributed in order of increasing frequency, each image
/// to the part that lacks most objects of the class; the images that remain of a class after whole numbers go to
/// the part that lacks most images. Images without objects are treated as one more class. Images with equal bytes
/// are assigned to the same part, whether they are files or embedded in their label files. A seed gives the same
/// split on every machine; the order and ids of images are preserved.
///
/// # Errors
/// [`DataError::BadArgument`] for fractions that are not positive or do not add up to 1, for names that are
/// empty or repeated, and for fewer different images (or images with objects) than parts.
pub fn split(dataset: &Dataset, parts: &[(&str, f64)], seed: u64) -> Result<Vec<Dataset>, DataError> {
    let bad = |what: &str| DataError::BadArgument { what: what.to_string() };
    if parts.is_empty() || parts.iter().any(|(_, fraction)| !(fraction.is_finite() && *fraction > 0.0)) {
        return Err(bad("fractions must be positive"));
    }
    let total: f64 = parts.iter().map(|(_, fraction)| fraction).sum();
    if (total - 1.0).abs() > 1e-6 {
        return Err(bad(&format!("fractions add up to {total}, not 1")));
    }
    let mut names: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() != parts.len() || names.contains(&"") {
        return Err(bad("split names must be different and not empty"));
    }
    let is_name = |name: &str| !name.starts_with('.') && safe(name) == name && !name.contains('/');
    if let Some(name) = names.iter().find(|name| !is_name(name)) {
        return Err(bad(&format!(
            "split name `{}`: it becomes the name of a folder, and must not contain `/`, `\\` or `:`, nor begin with a dot",
            clip(name)
        )));
    }

    let groups = groups(dataset);
    if groups.len() < parts.len() {
        return Err(bad(&format!(
            "{} parts need at least as many different images, the dataset has {}",
            parts.len(),
            groups.len()
        )));
    }
    // A part without objects can neither be trained on nor be evaluated on.
    let labelled = groups.iter().filter(|group| has_objects(dataset, group)).count();
    if (1..parts.len()).contains(&labelled) {
        return Err(bad(&format!(
            "{} parts need at least as many different images with objects, the dataset has {labelled}; \
             label more images",
            parts.len()
        )));
    }
    let assignment = assign(dataset, &groups, parts, seed);
    let mut result: Vec<Dataset> = parts
        .iter()
        .map(|(name, _)| Dataset {
            format: dataset.format,
            root: dataset.root.clone(),
            annotations: dataset.annotations.clone(),
            split: Some((*name).to_string()),
            classes: dataset.classes.clone(),
            images: Vec::new(),
        })
        .collect();
    for (image, part) in dataset.images.iter().zip(assignment) {
        result[part].images.push(image.clone());
    }
    Ok(result)
}

/// Key that equal images share.
#[derive(PartialEq, Eq, Hash)]
enum Content {
    /// The hash of their bytes.
    Hash([u8; 32]),
    /// The path of a file that does not exist or cannot be read.
    Path(PathBuf),
}

/// Groups images by content, and those of the same name and size in two formats, in order of first appearance.
fn groups(dataset: &Dataset) -> Vec<Vec<usize>> {
    let contents = picodet_parallel::map(0..dataset.images.len(), 0, |index| {
        let hash = dataset.image_source(index).and_then(|source| source.content_hash());
        let path = || dataset.image_path(index).unwrap_or_default();
        hash.map_or_else(|| Content::Path(path()), Content::Hash)
    });
    let mut group_of: HashMap<Content, usize> = HashMap::new();
    // The format and the group of the first image of a name and size.
    let mut known: HashMap<(&str, u32, u32), (&str, usize)> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, content) in contents.into_iter().enumerate() {
        let next = groups.len();
        let slot = group_of.entry(content).or_insert(next);
        // A picture can be there as PNG and as JPEG.
        if *slot == next
            && let Some(header) = dataset.image_header(index)
        {
            let key = picture_key(&dataset.images[index].file, &header);
            let first = known.entry(key).or_insert((header.format, next));
            if first.0 != header.format {
                *slot = first.1;
            }
        }
        let group = *slot;
        match groups.get_mut(group) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
}

/// Whether an image of a group has objects.
fn has_objects(dataset: &Dataset, group: &[usize]) -> bool {
    group.iter().any(|&image| !dataset.images[image].objects.is_empty())
}

/// Returns the index of the part of each image.
fn assign(dataset: &Dataset, groups: &[Vec<usize>], parts: &[(&str, f64)], seed: u64) -> Vec<usize> {
    // The last label represents images without objects.
    let labels = dataset.classes.len() + 1;
    let background = labels - 1;
    let counts: Vec<Vec<(usize, f64)>> = groups
        .iter()
        .map(|group| {
            let mut count: HashMap<usize, f64> = HashMap::new();
            for &image in group {
                let objects = &dataset.images[image].objects;
                if objects.is_empty() {
                    *count.entry(background).or_default() += 1.0;
                }
                for object in objects.iter().filter(|object| object.class < background) {
                    *count.entry(object.class).or_default() += 1.0;
                }
            }
            let mut count: Vec<_> = count.into_iter().collect();
            count.sort_unstable_by_key(|(label, _)| *label);
            count
        })
        .collect();
    let mut remaining = vec![0.0; labels];
    let mut by_label: Vec<Vec<usize>> = vec![Vec::new(); labels];
    for (group, count) in counts.iter().enumerate() {
        for &(label, n) in count {
            remaining[label] += n;
            by_label[label].push(group);
        }
    }
    let mut stratifier = Stratifier::new(&remaining, parts, dataset.images.len());

    let mut order: Vec<usize> = (0..groups.len()).collect();
    shuffle(&mut order, seed);
    let mut rank = vec![0; groups.len()];
    for (position, &group) in order.iter().enumerate() {
        rank[group] = position;
    }
    for list in &mut by_label {
        list.sort_unstable_by_key(|&group| rank[group]);
    }
    let mut part_of: Vec<Option<usize>> = vec![None; groups.len()];
    loop {
        // The label with the fewest remaining objects.
        let rarest = (0..labels)
            .filter(|&label| remaining[label] > 0.5)
            .min_by(|&a, &b| remaining[a].total_cmp(&remaining[b]).then(a.cmp(&b)));
        let Some(label) = rarest else { break };
        for &group in &by_label[label] {
            if part_of[group].is_some() {
                continue;
            }
            part_of[group] = Some(stratifier.place(label, &counts[group], groups[group].len()));
            for &(other, n) in &counts[group] {
                remaining[other] -= n;
            }
        }
        remaining[label] = 0.0;
    }
    let mut part_of: Vec<usize> = part_of.into_iter().map(Option::unwrap_or_default).collect();
    fill_empty_parts(&mut part_of, groups, parts.len());
    let labelled: Vec<bool> = groups.iter().map(|group| has_objects(dataset, group)).collect();
    spread_objects(&mut part_of, groups, &labelled, parts.len());
    let mut result = vec![0; dataset.images.len()];
    for (group, part) in groups.iter().zip(part_of) {
        for &image in group {
            result[image] = part;
        }
    }
    result
}

/// The objects and images that each part lacks.
struct Stratifier {
    fractions: Vec<f64>,
    /// Number of objects of each label, by part.
    missing: Vec<Vec<f64>>,
    /// Number of images, by part.
    images: Vec<f64>,
}

impl Stratifier {
    fn new(totals: &[f64], parts: &[(&str, f64)], images: usize) -> Self {
        let fractions: Vec<f64> = parts.iter().map(|(_, fraction)| *fraction).collect();
        let of_part = |fraction: &f64| totals.iter().map(|total| total * fraction).collect();
        let missing = fractions.iter().map(of_part).collect();
        let images = quotas(&fractions, images).into_iter().map(|quota| quota as f64).collect();
        Self { fractions, missing, images }
    }

    /// Chooses the part of a group of `size` images with these numbers of objects by label, for the sake of
    /// one label.
    fn place(&mut self, label: usize, counts: &[(usize, f64)], size: usize) -> usize {
        const TOLERANCE: f64 = 1e-9;
        let count = counts.iter().find(|(other, _)| *other == label).map_or(0.0, |(_, n)| *n);
        let fits = |part: &usize| self.images[*part] >= size as f64;
        let open: Vec<usize> = (0..self.fractions.len()).filter(fits).collect();
        let open = if open.is_empty() { (0..self.fractions.len()).collect() } else { open };
        let lacks = |part: usize| self.missing[part][label];
        // The images that a part lacks, relative to its share.
        let relative = |part: usize| self.images[part] / self.fractions[part];
        let whole = open.iter().copied().filter(|&part| lacks(part) >= count - TOLERANCE).max_by(|&a, &b| {
            lacks(a).total_cmp(&lacks(b)).then(relative(a).total_cmp(&relative(b))).then(b.cmp(&a))
        });
        let remainder = || {
            let some: Vec<usize> = open.iter().copied().filter(|&part| lacks(part) > TOLERANCE).collect();
            let among = if some.is_empty() { &open } else { &some };
            among.iter().copied().max_by(|&a, &b| relative(a).total_cmp(&relative(b)).then(b.cmp(&a)))
        };
        let part = whole.or_else(remainder).unwrap_or(0);
        self.images[part] -= size as f64;
        for &(other, n) in counts {
            self.missing[part][other] -= n;
        }
        part
    }
}

/// Distributes `total` images by the method of the largest remainder, at least one to each part if there are
/// enough.
fn quotas(fractions: &[f64], total: usize) -> Vec<usize> {
    let exact = |part: usize| fractions[part] * total as f64;
    let mut quotas: Vec<usize> = (0..fractions.len()).map(|part| (exact(part) + 1e-9) as usize).collect();
    let mut order: Vec<usize> = (0..fractions.len()).collect();
    order.sort_by(|&a, &b| {
        (exact(b) - quotas[b] as f64).total_cmp(&(exact(a) - quotas[a] as f64)).then(a.cmp(&b))
    });
    let left = total.saturating_sub(quotas.iter().sum());
    for &part in order.iter().cycle().take(left) {
        quotas[part] += 1;
    }
    while let Some(empty) = quotas.iter().position(|quota| *quota == 0) {
        let Some(largest) = (0..quotas.len()).max_by_key(|&part| (quotas[part], usize::MAX - part)) else {
            break;
        };
        if quotas[largest] < 2 {
            break;
        }
        quotas[largest] -= 1;
        quotas[empty] += 1;
    }
    quotas
}

/// Gives each part without images the smallest group of the part with most groups.
fn fill_empty_parts(part_of: &mut [usize], groups: &[Vec<usize>], parts: usize) {
    for part in 0..parts {
        if part_of.contains(&part) {
            continue;
        }
        let count = |other: usize| part_of.iter().filter(|of| **of == other).count();
        let Some(donor) = (0..parts).max_by_key(|&other| (count(other), usize::MAX - other)) else { return };
        let smallest = (0..groups.len())
            .filter(|&group| part_of[group] == donor)
            .min_by_key(|&group| (groups[group].len(), group));
        if let Some(group) = smallest {
            part_of[group] = part;
        }
    }
}

/// Exchanges the smallest group of each part without objects for the smallest one with objects of the part that has most
/// of these.
fn spread_objects(part_of: &mut [usize], groups: &[Vec<usize>], labelled: &[bool], parts: usize) {
    for part in 0..parts {
        let count =
            |of: usize| (0..groups.len()).filter(|&group| part_of[group] == of && labelled[group]).count();
        if count(part) > 0 {
            continue;
        }
        let donor = (0..parts).max_by_key(|&other| (count(other), usize::MAX - other));
        let Some(donor) = donor.filter(|&donor| count(donor) > 1) else { return };
        let smallest = |of: usize, with_objects: bool| {
            let own =
                (0..groups.len()).filter(|&group| part_of[group] == of && labelled[group] == with_objects);
            own.min_by_key(|&group| (groups[group].len(), group))
        };
        if let (Some(background), Some(group)) = (smallest(part, false), smallest(donor, true)) {
            part_of[background] = donor;
            part_of[group] = part;
        }
    }
}

/// Fisher–Yates shuffle with SplitMix64, so that a seed gives the same split in every version.
fn shuffle(items: &mut [usize], seed: u64) {
    let mut state = seed;
    for last in (1..items.len()).rev() {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        items.swap(last, (z % (last as u64 + 1)) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Class, Format, ImageRecord, Object};

    /// Images that do not exist, with these classes of one object each.
    fn dataset(classes: &[Option<usize>]) -> Dataset {
        let count = classes.iter().flatten().max().map_or(0, |largest| largest + 1);
        let class = |id: usize| Class { id: id as i64, name: format!("c{id}"), supercategory: None };
        let image = |(index, class): (usize, &Option<usize>)| ImageRecord {
            id: index as i64,
            file: format!("{index}.png"),
            width: 10,
            height: 10,
            objects: class.iter().map(|&class| Object::new(class, [0.0, 0.0, 5.0, 5.0])).collect(),
            label: None,
            source: index as u32,
        };
        Dataset {
            format: Format::COCO,
            root: "absent".into(),
            annotations: None,
            split: None,
            classes: (0..count).map(class).collect(),
            images: classes.iter().enumerate().map(image).collect(),
        }
    }

    fn sizes(dataset: &Dataset, shares: &[(&str, f64)], seed: u64) -> Vec<usize> {
        let parts = split(dataset, shares, seed).expect("a split");
        parts.iter().map(|part| part.images.len()).collect()
    }

    #[test]
    fn parts_have_their_share_of_the_images() {
        let rare: Vec<_> = (0..100).map(|index| Some(index % 50)).collect();
        let three: Vec<_> = (0..60).map(|index| Some(index % 20)).collect();
        let mixed: Vec<_> = (0..97).map(|index| Some(index % 7).filter(|class| *class != 3)).collect();
        let two = [("train", 0.8), ("val", 0.2)];
        for seed in 0..5 {
            assert_eq!(sizes(&dataset(&rare), &two, seed), [80, 20]);
            assert_eq!(sizes(&dataset(&three), &two, seed), [48, 12]);
            assert_eq!(sizes(&dataset(&mixed), &[("a", 0.7), ("b", 0.2), ("c", 0.1)], seed), [68, 19, 10]);
        }
        // No class is in the validation part only.
        let parts = split(&dataset(&rare), &two, 3).expect("a split");
        assert!(parts[0].class_counts().iter().all(|count| *count > 0), "{:?}", parts[0].class_counts());
    }

    #[test]
    fn no_part_is_empty() {
        let shares = [("train", 0.9), ("val", 0.05), ("test", 0.05)];
        assert_eq!(sizes(&dataset(&[Some(0); 5]), &shares, 0), [3, 1, 1]);
        assert_eq!(sizes(&dataset(&[None; 3]), &shares, 0), [1, 1, 1]);
        let error = split(&dataset(&[Some(0); 2]), &shares, 0).map_err(|error| error.to_string());
        assert!(error.is_err_and(|error| error.contains("3 parts") && error.contains("has 2")));
    }

    #[test]
    fn every_part_has_objects() {
        let shares = [("train", 0.9), ("val", 0.05), ("test", 0.05)];
        let labelled = |count: usize| -> Vec<Option<usize>> {
            (0..100).map(|index| (index % 10 == 0 && index / 10 < count).then_some(0)).collect()
        };
        for (count, seed) in (3..8).flat_map(|count| (0..5).map(move |seed| (count, seed))) {
            let set = dataset(&labelled(count));
            assert_eq!(sizes(&set, &shares, seed), [90, 5, 5]);
            let parts = split(&set, &shares, seed).expect("a split");
            assert!(parts.iter().all(|part| part.object_count() > 0), "{count} labelled, seed {seed}");
        }
        for count in 1..3 {
            let error = split(&dataset(&labelled(count)), &shares, 0).map_err(|error| error.to_string());
            let expected = format!(
                "3 parts need at least as many different images with objects, the dataset has {count}"
            );
            assert!(error.is_err_and(|error| error.contains(&expected)));
        }
    }
}
