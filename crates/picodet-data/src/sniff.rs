//! Recognises the kind of a JSON file by its top-level keys and the first entries of its lists.

use std::fmt;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use picodet_format::json::{JsonGuard, MAX_TOKEN};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::input::open_regular;

/// The kind of a JSON file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonKind {
    /// COCO annotations with boxes.
    Coco,
    /// COCO captions, or other annotations without boxes.
    CocoCaptions,
    /// A LabelMe annotation.
    LabelMe,
    /// Detections in the COCO results format.
    Results,
    /// Datumaro annotations.
    Datumaro,
    /// CreateML annotations.
    CreateMl,
    /// A VGG Image Annotator project or export.
    Via,
    /// A Label Studio export.
    LabelStudio,
    /// A Supervisely annotation or project description.
    Supervisely,
    /// Valid so far, but of another kind (configuration).
    Other,
    /// Not JSON.
    Broken,
}

/// The type of a value, with the keys of an object or of the first object of a list.
enum Shape {
    List(Vec<String>),
    Map(Vec<String>),
    Scalar,
}

impl Shape {
    fn keys(&self) -> &[String] {
        match self {
            Self::List(keys) | Self::Map(keys) => keys,
            Self::Scalar => &[],
        }
    }

    fn has(&self, key: &str) -> bool {
        self.keys().iter().any(|other| other == key)
    }

    fn is_list(&self) -> bool {
        matches!(self, Self::List(_))
    }
}

/// Shape of one level; `Keys` reads the elements of a list.
struct Keys(Vec<String>);

macro_rules! scalars {
    ($($method:ident $type:ty),*; $value:expr) => {
        $(fn $method<E: Error>(self, _: $type) -> Result<Self::Value, E> { Ok($value) })*
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> { Ok($value) }
    };
}

fn keys_of<'de, A: MapAccess<'de>>(mut map: A) -> Result<Vec<String>, A::Error> {
    let mut keys = Vec::new();
    while let Some(key) = map.next_key::<String>()? {
        map.next_value::<IgnoredAny>()?;
        if keys.len() < 64 {
            keys.push(key);
        }
    }
    Ok(keys)
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct First;
        impl<'de> Visitor<'de> for First {
            type Value = Keys;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            scalars!(visit_bool bool, visit_i64 i64, visit_u64 u64, visit_f64 f64, visit_str &str; Keys(Vec::new()));
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Keys, A::Error> {
                keys_of(map).map(Keys)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Keys, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Keys(Vec::new()))
            }
        }
        deserializer.deserialize_any(First)
    }
}

/// The keys and types that were read so far.
#[derive(Default)]
struct Sniffer {
    kind: Option<JsonKind>,
    /// A key of COCO was seen, in a file that may be broken behind it.
    coco_key: bool,
    images: bool,
    labels: bool,
    captions: bool,
    categories_map: bool,
    items: bool,
    tags: bool,
}

impl Sniffer {
    /// Records the value of a top-level key; whether the kind is known.
    fn record(&mut self, key: &str, shape: &Shape) -> bool {
        match key {
            "images" => self.images = shape.is_list(),
            "annotations" if shape.is_list() => {
                if shape.has("caption") && !shape.has("bbox") {
                    self.captions = true;
                } else {
                    self.labels = true;
                }
            }
            "categories" if shape.is_list() => self.labels = true,
            "categories" => self.categories_map = true,
            "items" => self.items = shape.is_list(),
            "tags" => self.tags = true,
            "dm_format_version" => self.kind = Some(JsonKind::Datumaro),
            "_via_settings" | "_via_img_metadata" => self.kind = Some(JsonKind::Via),
            "shapes" | "imagePath" | "imageData" => self.kind = Some(JsonKind::LabelMe),
            "classes" if shape.has("title") => self.kind = Some(JsonKind::Supervisely),
            "objects" if shape.has("classTitle") => self.kind = Some(JsonKind::Supervisely),
            _ if shape.has("filename") && shape.has("regions") => self.kind = Some(JsonKind::Via),
            _ => {}
        }
        if self.images && self.captions {
            self.kind = Some(JsonKind::CocoCaptions);
        } else if self.images && self.labels {
            self.kind = Some(JsonKind::Coco);
        } else if self.items && self.categories_map {
            self.kind = Some(JsonKind::Datumaro);
        }
        self.kind.is_some()
    }

    /// The kind of a file that is a list of objects with these keys.
    fn list_kind(first: &[String]) -> JsonKind {
        let has = |key: &str| first.iter().any(|other| other == key);
        if has("image_id") && (has("bbox") || has("category_id")) {
            JsonKind::Results
        } else if has("image") && has("annotations") {
            JsonKind::CreateMl
        } else if has("annotations") || has("completions") || (has("data") && has("id")) {
            JsonKind::LabelStudio
        } else {
            JsonKind::Other
        }
    }
}

/// Reads the shape of a value. A list of annotations can be hundreds of megabytes: the sniffer stops within it once the
/// first entry identifies the file.
struct Value<'a> {
    key: &'a str,
    sniffer: &'a mut Sniffer,
}

impl<'de> serde::de::DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A serde visitor can only stop early with an error.
fn recognised<E: Error>() -> E {
    E::custom("recognised")
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    scalars!(visit_bool bool, visit_i64 i64, visit_u64 u64, visit_f64 f64; ());

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        if self.sniffer.record(self.key, &Shape::Scalar) { Err(recognised()) } else { Ok(()) }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let shape = Shape::Map(keys_of(map)?);
        if self.sniffer.record(self.key, &shape) { Err(recognised()) } else { Ok(()) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let first = list.next_element::<Keys>()?.map_or_else(Vec::new, |keys| keys.0);
        let shape = Shape::List(first);
        // Boxes of images: no other kind has entries like these.
        let boxes = self.key == "annotations" && shape.has("image_id") && shape.has("bbox");
        if boxes {
            self.sniffer.kind = Some(JsonKind::Coco);
        }
        if self.sniffer.record(self.key, &shape) {
            return Err(recognised());
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

impl<'de> Visitor<'de> for &mut Sniffer {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a label file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            // LabelMe embeds the image as one long string.
            if matches!(key.as_str(), "shapes" | "imagePath" | "imageData") {
                self.kind = Some(JsonKind::LabelMe);
                return Err(recognised());
            }
            self.coco_key |= matches!(key.as_str(), "images" | "annotations" | "categories");
            map.next_value_seed(Value { key: &key, sniffer: self })?;
        }
        let supervisely = self.tags && self.coco_key;
        self.kind = self.kind.or(Some(if supervisely { JsonKind::Supervisely } else { JsonKind::Other }));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let first = list.next_element::<Keys>()?.map_or_else(Vec::new, |keys| keys.0);
        self.kind = Some(Sniffer::list_kind(&first));
        Err(recognised())
    }
}

/// Reads the top-level keys until they identify the kind.
pub(crate) fn json_kind(path: &Path) -> JsonKind {
    let Ok(file) = open_regular(path) else {
        return JsonKind::Broken;
    };
    let mut sniffer = Sniffer::default();
    let reader = BufReader::new(JsonGuard::new(file, MAX_TOKEN));
    // The kind is in the sniffer, whether it stopped with an error or not.
    let _ = serde_json::Deserializer::from_reader(reader).deserialize_any(&mut sniffer);
    // A broken COCO file is opened for the parser's error message.
    let broken = if sniffer.coco_key { JsonKind::Coco } else { JsonKind::Broken };
    sniffer.kind.unwrap_or(broken)
}

/// Returns the JSON files of a folder, sorted.
pub(crate) fn json_files(folder: &Path) -> Vec<PathBuf> {
    files_with_extension(folder, &["json"])
}

/// Returns the files of a folder with one of the extensions, sorted; hidden ones are left out.
pub(crate) fn files_with_extension(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let Ok(listing) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = listing
        .flatten()
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| entry.path())
        .filter(|path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            extension.is_some_and(|ext| extensions.iter().any(|known| known.eq_ignore_ascii_case(ext)))
        })
        .collect();
    files.sort_unstable();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_recognised_by_structure() {
        let coco = r#""images": [{"id": 1, "file_name": "a.jpg"}]"#;
        let boxes = r#""annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}]"#;
        let cases = [
            (format!("{{{coco}, {boxes}, \"categories\": []}}"), JsonKind::Coco),
            (format!("{{\"info\": {{}}, {boxes}, {coco}}}"), JsonKind::Coco),
            (format!("{{\"categories\": [{{\"id\": 1}}], {coco}}}"), JsonKind::Coco),
            ("{\"images\": [], \"annotations\": [], \"categories\": []}".into(), JsonKind::Coco),
            ("{\"images\": [\n{\"id\": }]}".into(), JsonKind::Coco),
            (
                format!("{{{coco}, \"annotations\": [{{\"image_id\": 1, \"caption\": \"a\"}}]}}"),
                JsonKind::CocoCaptions,
            ),
            // The notes of Label Studio's YOLO export.
            ("{\"categories\": [{\"id\": 0, \"name\": \"cat\"}], \"info\": {}}".into(), JsonKind::Other),
            ("{\"version\": \"5\", \"flags\": {}, \"shapes\": []}".into(), JsonKind::LabelMe),
            (
                "{\"info\": {}, \"categories\": {\"label\": {}}, \"items\": [{\"id\": \"a\"}]}".into(),
                JsonKind::Datumaro,
            ),
            ("[{\"image\": \"a.jpg\", \"annotations\": []}]".into(), JsonKind::CreateMl),
            (
                "{\"a.jpg123\": {\"filename\": \"a.jpg\", \"size\": 123, \"regions\": []}}".into(),
                JsonKind::Via,
            ),
            ("[{\"id\": 1, \"annotations\": [], \"data\": {}}]".into(), JsonKind::LabelStudio),
            (
                "{\"classes\": [{\"title\": \"cat\", \"shape\": \"rectangle\"}], \"tags\": []}".into(),
                JsonKind::Supervisely,
            ),
            ("[{\"image_id\": 1, \"bbox\": [], \"score\": 1}]".into(), JsonKind::Results),
            ("{\"theme\": \"dark\"}".into(), JsonKind::Other),
            ("[".into(), JsonKind::Broken),
            ("no".into(), JsonKind::Broken),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let mut wrong = Vec::new();
        for (text, expected) in cases {
            std::fs::write(&path, &text).unwrap();
            let kind = json_kind(&path);
            if kind != expected {
                wrong.push(format!("{text}: {kind:?} instead of {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
