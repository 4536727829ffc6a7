//! Splits a dataset: stratified by class, reproducible, with images of equal content in the same part.

use std::collections::HashMap;

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::image_file::content_hash;

/// Splits `dataset` into parts with the given names and fractions, which must add up to 1.
///
/// Iterative stratification: classes are distributed in order of increasing frequency, each image to the part
/// that lacks most objects of the class; images without objects are treated as one more class. Files with
/// equal contents are assigned to the same part. A seed gives the same split on every machine; the order and
/// ids of images are preserved.
///
/// # Errors
/// [`DataError::BadArgument`] for fractions that are not positive or do not add up to 1, and for
/// names that are empty or repeated.
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

    let groups = groups(dataset);
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

/// Groups images by content, in order of first appearance; an unreadable file forms its own group.
fn groups(dataset: &Dataset) -> Vec<Vec<usize>> {
    let hashes = picodet_parallel::map(0..dataset.images.len(), 0, |index| {
        dataset.image_path(index).and_then(|path| content_hash(&path))
    });
    let mut group_of: HashMap<[u8; 32], usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, hash) in hashes.into_iter().enumerate() {
        let next = groups.len();
        match hash.map(|hash| *group_of.entry(hash).or_insert(next)) {
            Some(group) if group < next => groups[group].push(index),
            _ => groups.push(vec![index]),
        }
    }
    groups
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
    // The number of objects of each label, and of images, that each part lacks.
    let mut missing: Vec<Vec<f64>> =
        parts.iter().map(|(_, fraction)| remaining.iter().map(|total| total * fraction).collect()).collect();
    let mut images_missing: Vec<f64> =
        parts.iter().map(|(_, fraction)| fraction * dataset.images.len() as f64).collect();

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
            let part = (0..parts.len())
                .max_by(|&a, &b| {
                    missing[a][label]
                        .total_cmp(&missing[b][label])
                        .then(images_missing[a].total_cmp(&images_missing[b]))
                        .then(b.cmp(&a))
                })
                .unwrap_or(0);
            part_of[group] = Some(part);
            images_missing[part] -= groups[group].len() as f64;
            for &(other, n) in &counts[group] {
                missing[part][other] -= n;
                remaining[other] -= n;
            }
        }
        remaining[label] = 0.0;
    }
    let mut result = vec![0; dataset.images.len()];
    for (group, part) in groups.iter().zip(part_of) {
        for &image in group {
            result[image] = part.unwrap_or(0);
        }
    }
    result
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
