//! Copies a COCO file with all its fields, and changes only entries that differ in the dataset.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::{BufReader, Write};
use std::path::Path;

use picodet_format::coco::Attributes;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::builder::placed_box;
use super::reading::Reading;
use super::write::{annotation, annotation_ids, category, image};
use crate::dataset::{Class, Dataset, ImageRecord, Object};
use crate::format::raw_entry::RawEntry;

/// Writes a dataset that was read from the COCO file `source` to `out`, with the fields of the file that the
/// dataset does not represent. Entries of the file that are not in the dataset are left out; images and
/// objects of the dataset that are not in the file are added. Returns `false` if the file does not parse.
///
/// # Errors
/// The errors of `source` and of `out`.
pub(super) fn rewrite(
    source: &Path,
    dataset: &Dataset,
    mut out: impl Write,
    reading: Reading,
) -> Result<bool, std::io::Error> {
    let mut plan = Plan::new(dataset, None);
    let mut failure = None;
    let file = File { plan: &mut plan, out: &mut out, failure: &mut failure };
    let parsed = visit(source, reading, file)?;
    let done = finished(failure, parsed)?;
    out.flush()?;
    Ok(done)
}

/// Writes the entries of one list of the COCO file `source`, edited as `plan` states, and then those of the plan that the
/// file lacks; `first` is whether none was written before. Returns `false` if the file does not parse.
///
/// # Errors
/// As [`rewrite`].
pub(super) fn copy_list(
    (source, reading): (&Path, Reading),
    plan: &mut Plan<'_>,
    list: List,
    out: &mut impl Write,
    first: &mut bool,
) -> Result<bool, std::io::Error> {
    let mut failure = None;
    let file = File { plan, out, failure: &mut failure };
    let parsed = visit(source, reading, OneList { file, list, first })?;
    finished(failure, parsed)
}

/// Reads a file; the inner error is that of the JSON or of the visitor.
fn visit<V: for<'de> Visitor<'de, Value = ()>>(
    source: &Path,
    reading: Reading,
    visitor: V,
) -> Result<Result<(), serde_json::Error>, std::io::Error> {
    let reader = BufReader::with_capacity(1 << 18, reading.open(source)?);
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    Ok(deserializer.deserialize_map(visitor).and_then(|()| deserializer.end()))
}

/// Returns whether the file was parsed.
fn finished(
    failure: Option<std::io::Error>,
    parsed: Result<(), serde_json::Error>,
) -> Result<bool, std::io::Error> {
    match (failure, parsed) {
        (Some(error), _) => Err(error),
        (None, Err(error))
            if error.is_io() && error.io_error_kind() != Some(std::io::ErrorKind::InvalidData) =>
        {
            Err(error.into())
        }
        (None, parsed) => Ok(parsed.is_ok()),
    }
}

/// The images, objects and classes of the dataset that have not been written.
pub(super) struct Plan<'a> {
    dataset: &'a Dataset,
    /// Index of an image by its position in the file.
    images: HashMap<u32, usize>,
    /// Images without position, or with one that another image has.
    other_images: Vec<usize>,
    /// Indices of image and object by the position in the file.
    objects: HashMap<u32, (usize, usize)>,
    other_objects: Vec<(usize, usize)>,
    /// The classes of a name, in their order; a file can list a name twice.
    classes: HashMap<&'a str, VecDeque<usize>>,
    /// The id of each object without one, or with the id of another, by image and object.
    ids: HashMap<(usize, usize), i64>,
}

impl<'a> Plan<'a> {
    /// The images of `dataset` with this label file; `None` if it was read from one file.
    pub(super) fn new(dataset: &'a Dataset, label: Option<&str>) -> Self {
        let mut plan = Self {
            dataset,
            images: HashMap::new(),
            other_images: Vec::new(),
            objects: HashMap::new(),
            other_objects: Vec::new(),
            classes: HashMap::new(),
            ids: annotation_ids(dataset),
        };
        let images = dataset.images.iter().enumerate();
        for (index, record) in images.filter(|(_, record)| record.label.as_deref() == label) {
            match plan.images.entry(record.source) {
                Entry::Occupied(_) => plan.other_images.push(index),
                Entry::Vacant(entry) => {
                    entry.insert(index);
                }
            }
            for (number, object) in record.objects.iter().enumerate() {
                match plan.objects.entry(object.source) {
                    Entry::Occupied(_) => plan.other_objects.push((index, number)),
                    Entry::Vacant(entry) => {
                        entry.insert((index, number));
                    }
                }
            }
        }
        for (index, class) in dataset.classes.iter().enumerate() {
            plan.classes.entry(&class.name).or_default().push_back(index);
        }
        plan
    }

    fn object_id(&self, place: (usize, usize)) -> i64 {
        let object = &self.dataset.images[place.0].objects[place.1];
        self.ids.get(&place).copied().or(object.id).unwrap_or(0)
    }

    fn class(&self, object: &Object) -> i64 {
        self.dataset.classes.get(object.class).map_or(0, |class| class.id)
    }
}

/// The lists that are edited.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Images,
    Annotations,
    Categories,
}

const LISTS: [(List, &str); 3] =
    [(List::Images, "images"), (List::Annotations, "annotations"), (List::Categories, "categories")];

/// The object at the top level.
struct File<'f, 'a, W> {
    plan: &'f mut Plan<'a>,
    out: &'f mut W,
    /// The error of the writer, which a visitor can only report as text.
    failure: &'f mut Option<std::io::Error>,
}

impl<W: Write> File<'_, '_, W> {
    fn put<E: serde::de::Error>(&mut self, bytes: &[u8]) -> Result<(), E> {
        self.out.write_all(bytes).map_err(|error| {
            *self.failure = Some(error);
            E::custom("the output cannot be written")
        })
    }

    fn put_entry<E: serde::de::Error>(&mut self, entry: &RawEntry, first: &mut bool) -> Result<(), E> {
        self.put(if *first { b"\n" } else { b",\n" })?;
        *first = false;
        self.put(entry.to_json().as_bytes())
    }

    /// Writes the remaining entries of a list.
    fn finish<E: serde::de::Error>(&mut self, list: List, first: &mut bool) -> Result<(), E> {
        let dataset = self.plan.dataset;
        let mut rest: Vec<RawEntry> = Vec::new();
        match list {
            List::Images => {
                let mut left: Vec<usize> = self.plan.images.drain().map(|(_, index)| index).collect();
                left.append(&mut self.plan.other_images);
                left.sort_unstable();
                rest.extend(left.into_iter().map(|index| RawEntry::of(&image(&dataset.images[index]))));
            }
            List::Annotations => {
                let mut left: Vec<(usize, usize)> =
                    self.plan.objects.drain().map(|(_, place)| place).collect();
                left.append(&mut self.plan.other_objects);
                left.sort_unstable();
                for place in left {
                    let record = &dataset.images[place.0];
                    let id = self.plan.object_id(place);
                    rest.push(RawEntry::of(&annotation(dataset, record, &record.objects[place.1], id)));
                }
            }
            List::Categories => {
                let mut left: Vec<usize> =
                    self.plan.classes.drain().flat_map(|(_, indices)| indices).collect();
                left.sort_unstable();
                rest.extend(left.into_iter().map(|index| RawEntry::of(&category(&dataset.classes[index]))));
            }
        }
        for entry in rest {
            self.put_entry(&entry, first)?;
        }
        Ok(())
    }

    /// Writes a list whose entries `add` writes.
    fn list<E: serde::de::Error>(
        &mut self,
        list: List,
        add: impl FnOnce(&mut Self, &mut bool) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut first = true;
        self.put(b"[")?;
        add(self, &mut first)?;
        self.finish(list, &mut first)?;
        self.put(b"\n]")
    }
}

impl<'de, W: Write> Visitor<'de> for File<'_, '_, W> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `images`, `annotations` and `categories`")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.put(b"{")?;
        let mut first = true;
        let mut written: Vec<List> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let list = LISTS.into_iter().find(|(_, name)| *name == key).map(|(list, _)| list);
            if list.is_some_and(|list| written.contains(&list)) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let name = serde_json::to_string(&key).map_err(A::Error::custom)?;
            self.put(if first { b"" } else { b",\n" })?;
            first = false;
            self.put(name.as_bytes())?;
            self.put(b":")?;
            match list {
                Some(list) => {
                    written.push(list);
                    self.list(list, |file, first| map.next_value_seed(Entries { file, list, first }))?;
                }
                None => {
                    let value = map.next_value::<Box<RawValue>>()?;
                    self.put(value.get().as_bytes())?;
                }
            }
        }
        for (list, name) in LISTS.into_iter().filter(|(list, _)| !written.contains(list)) {
            self.put(if first { b"" } else { b",\n" })?;
            first = false;
            self.put(format!("\"{name}\":").as_bytes())?;
            self.list(list, |_, _| Ok(()))?;
        }
        self.put(b"}\n")
    }
}

/// The entries of one list in the object at the top level.
struct OneList<'e, 'f, 'a, W> {
    file: File<'f, 'a, W>,
    list: List,
    first: &'e mut bool,
}

impl<'de, W: Write> Visitor<'de> for OneList<'_, '_, '_, W> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `images`, `annotations` and `categories`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { mut file, list, first } = self;
        let mut found = false;
        while let Some(key) = map.next_key::<String>()? {
            if !found && LISTS.contains(&(list, key.as_str())) {
                found = true;
                map.next_value_seed(Entries { file: &mut file, list, first: &mut *first })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        file.finish(list, first)
    }
}

/// One of the lists.
struct Entries<'e, 'f, 'a, W> {
    file: &'e mut File<'f, 'a, W>,
    list: List,
    first: &'e mut bool,
}

impl<'de, W: Write> DeserializeSeed<'de> for Entries<'_, '_, '_, W> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, W: Write> Visitor<'de> for Entries<'_, '_, '_, W> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    /// Treats null as an empty list.
    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Self { file, list, first } = self;
        for position in 0u32.. {
            let wanted = match list {
                List::Images => file.plan.images.contains_key(&position),
                List::Annotations => file.plan.objects.contains_key(&position),
                List::Categories => true,
            };
            if !wanted {
                if entries.next_element::<IgnoredAny>()?.is_none() {
                    break;
                }
                continue;
            }
            let Some(mut entry) = entries.next_element::<RawEntry>()? else { break };
            let kept = match list {
                List::Images => edit_image(&mut entry, position, file.plan),
                List::Annotations => edit_annotation(&mut entry, position, file.plan),
                List::Categories => edit_category(&mut entry, file.plan),
            };
            if kept {
                file.put_entry(&entry, first)?;
            }
        }
        Ok(())
    }
}

/// Updates the entry of an image; `false` if it is the entry of another image.
fn edit_image(entry: &mut RawEntry, position: u32, plan: &mut Plan<'_>) -> bool {
    let Some(&index) = plan.images.get(&position) else { return false };
    let ImageRecord { id, ref file, width, height, .. } = plan.dataset.images[index];
    plan.images.remove(&position);
    entry.set_unless_equal("id", &id);
    entry.set_text("file_name", file);
    for (name, extent) in [("width", width), ("height", height)] {
        if extent > 0 && entry.get::<f64>(name) != Some(f64::from(extent)) {
            entry.set(name, &extent);
        }
    }
    true
}

/// Updates the entry of an annotation; `false` if it is the entry of another object.
fn edit_annotation(entry: &mut RawEntry, position: u32, plan: &mut Plan<'_>) -> bool {
    let Some(&place) = plan.objects.get(&position) else { return false };
    let record = &plan.dataset.images[place.0];
    let object = record.objects[place.1];
    let attributes: Attributes = entry.get("attributes").unwrap_or_default();
    let same_box =
        entry.get::<[f64; 4]>("bbox").is_some_and(|bbox| placed_box(bbox, attributes) == object.bbox);
    let id: Option<i64> = entry.get("id");
    let image: Option<i64> = entry.get("image_id");
    // An object that was added to the dataset has the default position 0.
    let is_other =
        id.is_some() && id != object.id && image.is_some() && image != Some(record.id) && !same_box;
    if is_other || entry.is_empty() {
        return false;
    }
    plan.objects.remove(&position);
    entry.set_unless_equal("id", &plan.object_id(place));
    entry.set_unless_equal("image_id", &record.id);
    entry.set_unless_equal("category_id", &plan.class(&object));
    if !same_box {
        entry.set("bbox", &object.xywh());
        // The new box contains the rotated one.
        if attributes.rotation.is_some()
            && let Some(mut fields) = entry.get::<serde_json::Map<String, serde_json::Value>>("attributes")
        {
            fields.remove("rotation");
            entry.set("attributes", &fields);
        }
    }
    entry.set_unless_equal("area", &object.area());
    entry.set_unless_equal("iscrowd", &i64::from(object.crowd));
    for (name, flag) in [("difficult", object.difficult), ("truncated", object.truncated)] {
        if flag || entry.has(name) {
            entry.set_unless_equal(name, &i64::from(flag));
        }
    }
    true
}

/// Updates the entry of a category; `false` if it is not in the dataset.
fn edit_category(entry: &mut RawEntry, plan: &mut Plan<'_>) -> bool {
    let name = entry.get::<serde_json::Value>("name").map(|name| match name {
        serde_json::Value::String(name) => name,
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    });
    let of_name = plan.classes.get_mut(name.unwrap_or_default().as_str());
    let Some(index) = of_name.and_then(VecDeque::pop_front) else { return false };
    let Class { id, ref name, .. } = plan.dataset.classes[index];
    entry.set_unless_equal("id", &id);
    entry.set_text("name", name);
    true
}
