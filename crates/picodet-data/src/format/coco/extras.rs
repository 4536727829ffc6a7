//! Counts the fields of a COCO file that a dataset does not represent.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::BufReader;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::joined::joined_files;
use super::reading::Reading;
use crate::dataset::Part;
use crate::error::DataError;
use crate::format::raw_entry::{RawEntry, has_content};
use crate::loss::Loss;

/// Fields that a dataset represents, or that others imply.
const KNOWN: [(&str, &[&str]); 3] = [
    ("images", &["id", "file_name", "width", "height"]),
    (
        "annotations",
        &[
            "id",
            "image_id",
            "category_id",
            "bbox",
            "area",
            "iscrowd",
            "difficult",
            "truncated",
            "num_keypoints",
        ],
    ),
    ("categories", &["id", "name", "supercategory"]),
];

/// Counts the fields of images, annotations and categories of these parts, and of the whole file.
pub(super) fn extras(parts: &[Part<'_>]) -> Result<Vec<Loss>, DataError> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for part in parts {
        let own = part.dataset.annotations.iter().map(|path| (path.clone(), None));
        let joined = joined_files(std::slice::from_ref(part)).into_iter();
        for (path, label) in own.chain(joined.map(|(path, label)| (path, Some(label)))) {
            let of_file =
                || part.dataset.images.iter().filter(|image| label.is_none() || image.label == label);
            let images: HashSet<u32> = of_file().map(|image| image.source).collect();
            let objects: HashSet<u32> =
                of_file().flat_map(|image| &image.objects).map(|object| object.source).collect();
            for reading in Reading::ALL {
                let reader = reading.open(&path).map_err(|source| DataError::io(&path, source))?;
                let mut found = Counts { images: &images, objects: &objects, counts: BTreeMap::new() };
                let reader = BufReader::with_capacity(1 << 18, reader);
                if serde_json::Deserializer::from_reader(reader).deserialize_map(&mut found).is_ok() {
                    for (what, count) in found.counts {
                        *counts.entry(what).or_default() += count;
                    }
                    break;
                }
            }
        }
        let grouped = part.dataset.classes.iter().filter_map(|class| class.supercategory.as_deref());
        let grouped = grouped.filter(|name| !name.is_empty() && *name != "none").count();
        if grouped > 0 {
            *counts.entry("supercategories".to_string()).or_default() += grouped;
        }
    }
    Ok(counts.into_iter().map(|(what, count)| Loss { what, count }).collect())
}

struct Counts<'a> {
    /// Positions of the images in the file.
    images: &'a HashSet<u32>,
    /// Positions of the objects in the file.
    objects: &'a HashSet<u32>,
    counts: BTreeMap<String, usize>,
}

impl<'de> Visitor<'de> for &mut Counts<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if let Some((list, known)) = KNOWN.into_iter().find(|(list, _)| *list == key) {
                map.next_value_seed(Entries { counts: self, list, known })?;
            } else if has_content(map.next_value::<Box<RawValue>>()?.get()) {
                *self.counts.entry(format!("`{}` of the file", crate::text::clip(&key))).or_default() += 1;
            }
        }
        Ok(())
    }
}

/// One of the lists.
struct Entries<'e, 'a> {
    counts: &'e mut Counts<'a>,
    list: &'static str,
    known: &'static [&'static str],
}

impl<'de> DeserializeSeed<'de> for Entries<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Self { counts, list, known } = self;
        for position in 0u32.. {
            let wanted = match list {
                "images" => counts.images.contains(&position),
                "annotations" => counts.objects.contains(&position),
                _ => true,
            };
            if !wanted {
                if entries.next_element::<IgnoredAny>()?.is_none() {
                    break;
                }
                continue;
            }
            let Some(entry) = entries.next_element::<RawEntry>()? else { break };
            for (field, value) in entry.fields() {
                if known.contains(&field) || !has_content(value) {
                    continue;
                }
                let what = match (list, field) {
                    ("annotations", "segmentation") => "segmentations".to_string(),
                    (_, field) => format!("`{}` of {list}", crate::text::clip(field)),
                };
                *counts.counts.entry(what).or_default() += 1;
            }
        }
        Ok(())
    }
}
