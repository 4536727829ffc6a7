//! Writes datasets that were joined from several COCO files, with the fields of these files.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::reading::Reading;
use super::rewrite::{List, Plan, copy_list};
use super::write::category;
use crate::dataset::{Dataset, Part, display};
use crate::error::DataError;
use crate::format::raw_entry::{RawEntry, has_content};
use crate::loss::Loss;
use crate::split_name::{split_of_file, split_rank};
use crate::text::clip;

/// Returns the files that were joined, each with the label of its images; train first. Empty for a dataset of one file.
pub(super) fn joined_files(parts: &[Part<'_>]) -> Vec<(PathBuf, String)> {
    let images = |part: &Part<'_>| {
        let labels = part.dataset.images.iter().filter_map(|image| image.label.clone());
        let is_joined = part.dataset.annotations.is_none() && part.dataset.format == crate::Format::COCO;
        let labels: BTreeSet<String> = if is_joined { labels.collect() } else { BTreeSet::new() };
        labels.into_iter().map(|label| (part.dataset.root.join(&label), label)).collect::<Vec<_>>()
    };
    let mut files: Vec<(PathBuf, String)> = parts.iter().flat_map(images).collect();
    files.sort_by_cached_key(|(file, _)| {
        (split_of_file(file).map_or(usize::MAX, |split| split_rank(&split)), file.clone())
    });
    files.dedup();
    files
}

/// Counts the contents that are lost when these files are joined.
///
/// # Errors
/// [`DataError::Io`]; [`DataError::BadArgument`] for entries of a list, excluding images, annotations and categories, that
/// have one id and differ.
pub(super) fn losses(files: &[PathBuf]) -> Result<Vec<Loss>, DataError> {
    let heads = files.iter().map(|file| {
        let (_, head) = Head::read(file).map_err(|source| DataError::io(file, source))?;
        Ok((file.as_path(), head))
    });
    let joined = Joined::new(heads.collect::<Result<_, DataError>>()?)?;
    Ok(joined.lost.into_iter().map(|(what, count)| Loss { what, count }).collect())
}

/// Writes a dataset whose images are of these files.
///
/// # Errors
/// The errors of the files and of `out`.
pub(super) fn write_joined(
    files: &[(PathBuf, String)],
    dataset: &Dataset,
    mut out: impl Write,
) -> io::Result<()> {
    let mut heads = Vec::new();
    let mut sources = Vec::new();
    for (file, label) in files {
        let (reading, head) = Head::read(file)?;
        heads.push((file.as_path(), head));
        sources.push((file.as_path(), reading, Plan::new(dataset, Some(label))));
    }
    let joined = Joined::new(heads).map_err(|error| io::Error::other(error.to_string()))?;
    out.write_all(b"{")?;
    for (name, value) in &joined.fields {
        writeln!(out, "{}:{value},", Value::from(name.as_str()))?;
    }
    for (list, name) in [(List::Images, "images"), (List::Annotations, "annotations")] {
        write!(out, "\"{name}\":[")?;
        let mut first = true;
        for (file, reading, plan) in &mut sources {
            if !copy_list((file, *reading), plan, list, &mut out, &mut first)? {
                let what = format!("{}: the file has changed while it was read", file.display());
                return Err(io::Error::other(what));
            }
        }
        out.write_all(b"\n],\n")?;
    }
    out.write_all(b"\"categories\":[")?;
    let mut categories = joined.categories;
    for (position, class) in dataset.classes.iter().enumerate() {
        let mut entry = categories.remove(&class.name).unwrap_or_else(|| RawEntry::of(&category(class)));
        entry.set_unless_equal("id", &class.id);
        entry.set_text("name", &class.name);
        write!(out, "{}{}", if position == 0 { "\n" } else { ",\n" }, entry.to_json())?;
    }
    out.write_all(b"\n]}\n")?;
    out.flush()
}

/// The contents of a file without its images and annotations.
#[derive(Default)]
struct Head {
    fields: Vec<(String, Box<RawValue>)>,
    categories: Vec<RawEntry>,
}

impl Head {
    /// Reads a file in the first way that succeeds.
    fn read(file: &Path) -> io::Result<(Reading, Self)> {
        let mut first = None;
        for reading in Reading::ALL {
            let mut deserializer = serde_json::Deserializer::from_reader(reading.open(file)?);
            match deserializer.deserialize_map(HeadVisitor) {
                Ok(head) => return Ok((reading, head)),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.map_or_else(|| io::Error::other("the file cannot be read"), io::Error::from))
    }
}

struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = Head;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `images`, `annotations` and `categories`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head, A::Error> {
        let mut head = Head::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "images" | "annotations" => {
                    map.next_value::<IgnoredAny>()?;
                }
                "categories" => {
                    head.categories.extend(map.next_value::<Option<Vec<RawEntry>>>()?.unwrap_or_default());
                }
                _ => head.fields.push((key, map.next_value()?)),
            }
        }
        Ok(head)
    }
}

/// The fields and categories of all files.
#[derive(Default)]
struct Joined {
    /// The names and JSON texts of the fields.
    fields: Vec<(String, String)>,
    /// The first entry of each name.
    categories: HashMap<String, RawEntry>,
    /// Contents that differ from those of an earlier file.
    lost: BTreeMap<String, usize>,
}

impl Joined {
    fn new(heads: Vec<(&Path, Head)>) -> Result<Self, DataError> {
        let mut joined = Self::default();
        let mut lists: HashMap<String, Entries> = HashMap::new();
        for (file, head) in heads {
            for (name, value) in head.fields {
                joined.add_field(file, name, &value, &mut lists)?;
            }
            for entry in head.categories {
                joined.add_category(entry);
            }
        }
        for (name, value) in &mut joined.fields {
            if let Some(list) = lists.remove(name) {
                *value = format!("[{}]", list.texts.join(",\n"));
            }
        }
        Ok(joined)
    }

    /// Adds a field: lists are joined, and of other values that differ the first is kept.
    fn add_field(
        &mut self,
        file: &Path,
        name: String,
        value: &RawValue,
        lists: &mut HashMap<String, Entries>,
    ) -> Result<(), DataError> {
        let known = self.fields.iter().position(|(other, _)| *other == name);
        let entries: Option<Vec<Box<RawValue>>> = serde_json::from_str(value.get()).ok();
        let is_list = known.is_none() || lists.contains_key(&name);
        if let Some(entries) = entries.filter(|_| is_list) {
            let list = lists.entry(name.clone()).or_default();
            for entry in &entries {
                list.add(entry).map_err(|id| DataError::BadArgument {
                    what: format!(
                        "{}: /{name}: the entry with id {id} differs from that of an earlier split, so the splits cannot \
                         be joined; make both equal, or give the file of one split",
                        display(file)
                    ),
                })?;
            }
        }
        match known {
            None => self.fields.push((name, value.get().to_string())),
            Some(position) if !lists.contains_key(&name) => {
                let differs = plain(value.get()) != plain(&self.fields[position].1);
                if differs && has_content(value.get()) {
                    let what = format!("`{}` of files (that of the first split is kept)", clip(&name));
                    *self.lost.entry(what).or_default() += 1;
                }
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Adds a category, unless there is one of the same name.
    fn add_category(&mut self, entry: RawEntry) {
        let Some(name) = entry.get::<String>("name") else { return };
        let Some(first) = self.categories.get(&name) else {
            self.categories.insert(name, entry);
            return;
        };
        let differs = |(field, value): &(&str, &str)| {
            let own = first.fields().find(|(other, _)| other == field).map(|(_, value)| plain(value));
            *field != "id" && has_content(value) && own != Some(plain(value))
        };
        let count = entry.fields().filter(differs).count();
        if count > 0 {
            let what = "fields of categories (those of the first split are kept)".to_string();
            *self.lost.entry(what).or_default() += count;
        }
    }
}

/// The different entries of a list.
#[derive(Default)]
struct Entries {
    texts: Vec<String>,
    seen: HashSet<String>,
    /// The entry of each id, both as plain text.
    of_id: HashMap<String, String>,
}

impl Entries {
    /// Adds an entry, unless there is an equal one; the error is the id of an entry that differs.
    fn add(&mut self, entry: &RawValue) -> Result<(), String> {
        let text = plain(entry.get());
        if !self.seen.insert(text.clone()) {
            return Ok(());
        }
        let id = serde_json::from_str::<Value>(entry.get()).ok().and_then(|entry| entry.get("id").cloned());
        if let Some(id) = id.map(|id| id.to_string()) {
            if self.of_id.contains_key(&id) {
                return Err(clip(&id));
            }
            self.of_id.insert(id, text);
        }
        self.texts.push(entry.get().to_string());
        Ok(())
    }
}

/// A JSON value without spaces and with sorted keys.
fn plain(text: &str) -> String {
    serde_json::from_str::<Value>(text).map_or_else(|_| text.to_string(), |value| value.to_string())
}
