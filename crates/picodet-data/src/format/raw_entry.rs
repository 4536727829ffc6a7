//! JSON objects whose fields keep their order and text.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// A JSON object whose fields keep their order and text; empty for any other value.
#[derive(Debug, Default)]
pub(crate) struct RawEntry(Vec<(String, Box<RawValue>)>);

impl RawEntry {
    /// Converts a record.
    pub(crate) fn of(record: &impl Serialize) -> Self {
        // These records always serialise to objects.
        let text = serde_json::to_string(record).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Whether there are no fields.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is a field of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// The names of the fields.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.get()))
    }

    fn raw(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| &**value)
    }

    /// Returns the value of a field, if it has this type.
    pub(crate) fn get<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.raw(name)?.get()).ok()
    }

    /// Sets a field, at its place or at the end.
    pub(crate) fn set(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        let Ok(value) = to_raw_value(value) else { return };
        match self.0.iter_mut().find(|(field, _)| field == name) {
            Some((_, found)) => *found = value,
            None => self.0.push((name.to_string(), value)),
        }
    }

    /// Sets a field unless it has this value, so that an unchanged value keeps its text.
    pub(crate) fn set_unless_equal<T>(&mut self, name: &str, value: &T)
    where
        T: Serialize + PartialEq + for<'de> Deserialize<'de>,
    {
        if self.get::<T>(name).is_none_or(|found| found != *value) {
            self.set(name, value);
        }
    }

    /// Sets a text field unless it has this value.
    pub(crate) fn set_text(&mut self, name: &str, text: &str) {
        if self.get::<String>(name).is_none_or(|found| found != text) {
            self.set(name, text);
        }
    }

    /// The object as JSON in one line, if its values are.
    pub(crate) fn to_json(&self) -> String {
        let fields: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{}:{}", serde_json::Value::from(name.as_str()), value.get()))
            .collect();
        format!("{{{}}}", fields.join(","))
    }
}

impl<'de> Deserialize<'de> for RawEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;

        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = RawEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawEntry, A::Error> {
                let mut entry = RawEntry::default();
                while let Some(field) = map.next_entry::<String, Box<RawValue>>()? {
                    entry.0.push(field);
                }
                Ok(entry)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawEntry, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(RawEntry::default())
            }

            fn visit_unit<E>(self) -> Result<RawEntry, E> {
                Ok(RawEntry::default())
            }

            fn visit_bool<E>(self, _: bool) -> Result<RawEntry, E> {
                Ok(RawEntry::default())
            }

            fn visit_i64<E>(self, _: i64) -> Result<RawEntry, E> {
                Ok(RawEntry::default())
            }

            fn visit_u64<E>(self, _: u64) -> Result<RawEntry, E> {
                Ok(RawEntry::default())
            }

            fn visit_f64<E>(self, _: f64) -> Result<RawEntry, E> {
                Ok(RawEntry::default())
            }

            fn visit_str<E>(self, _: &str) -> Result<RawEntry, E> {
                Ok(RawEntry::default())
            }
        }

        deserializer.deserialize_any(EntryVisitor)
    }
}

/// Whether a JSON value is more than a default: null, false, 0, or an empty text, list or object.
pub(crate) fn has_content(value: &str) -> bool {
    let inner = value.trim_matches(|c: char| c.is_whitespace() || "[]{}\"".contains(c));
    !matches!(inner, "" | "null" | "false" | "0")
}
