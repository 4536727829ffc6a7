//! Recognises the kind of a JSON file by its top-level keys, without parsing the rest.

use std::fmt;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use picodet_format::json::{JsonGuard, MAX_TOKEN};
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::input::open_regular;

/// The kind of a JSON file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonKind {
    /// COCO annotations.
    Coco,
    /// A LabelMe annotation.
    LabelMe,
    /// Valid so far, but of another kind (detections, configuration).
    Other,
    /// Not JSON.
    Broken,
}

/// Reads top-level keys until one identifies the kind.
pub(crate) fn json_kind(path: &Path) -> JsonKind {
    struct Sniffer(JsonKind);

    impl<'de> Visitor<'de> for &mut Sniffer {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a label file")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<String>()? {
                self.0 = match key.as_str() {
                    "images" | "annotations" | "categories" => JsonKind::Coco,
                    "shapes" | "imagePath" | "imageData" => JsonKind::LabelMe,
                    _ => {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                };
                // A serde visitor can only stop early with an error.
                return Err(A::Error::custom("recognised"));
            }
            self.0 = JsonKind::Other;
            Ok(())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
            self.0 = JsonKind::Other;
            Err(A::Error::custom("recognised"))
        }
    }

    let Ok(file) = open_regular(path) else {
        return JsonKind::Broken;
    };
    let mut sniffer = Sniffer(JsonKind::Broken);
    let reader = BufReader::new(JsonGuard::new(file, MAX_TOKEN));
    // The kind is in the sniffer, whether it stopped with an error or not.
    let _ = serde_json::Deserializer::from_reader(reader).deserialize_any(&mut sniffer);
    sniffer.0
}

/// Returns the JSON files of a folder, sorted.
pub(crate) fn json_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(listing) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = listing
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("json")))
        .collect();
    files.sort_unstable();
    files
}
