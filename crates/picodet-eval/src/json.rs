//! COCO's JSON: results read and written, annotations read.

use std::cell::Cell;
use std::fmt;
use std::io::{Read, Write};

use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::error::JsonError;
use crate::types::{Category, Detection, GroundTruth};

/// A limit for [`read_results`] and [`read_annotations`] that every known dataset stays below: 2 GiB.
pub const DEFAULT_LIMIT: u64 = 2 << 30;

/// Reads COCO results: a list of `{"image_id", "category_id", "bbox": [x, y, width, height], "score"}`;
/// other fields are passed over. Boxes in pixels of the original image.
///
/// # Errors
/// Anything else, with the 0-based index of the detection, line and column; more than `limit` bytes.
/// NaN and infinite numbers are refused. Whether the images exist is checked by [`crate::Evaluator::new`].
pub fn read_results(reader: impl Read, limit: u64) -> Result<Vec<Detection>, JsonError> {
    let bytes = read_all(reader, limit)?;
    let place = Place::default();
    parse(&bytes, &place, List::<RawDetection>::new("detection", &place)).map(|all| {
        let convert = |raw: RawDetection| Detection {
            image_id: raw.image_id,
            category_id: raw.category_id,
            bbox: raw.bbox,
            score: raw.score,
        };
        all.into_iter().map(convert).collect()
    })
}

/// Writes COCO results, a detection a line; numbers come back as they were.
///
/// # Errors
/// NaN and infinite numbers, before anything is written; failure to write.
pub fn write_results(mut writer: impl Write, detections: &[Detection]) -> Result<(), JsonError> {
    for (index, detection) in detections.iter().enumerate() {
        if !detection.score.is_finite() {
            return Err(JsonError::NotFinite { index, field: "score" });
        }
        if detection.bbox.iter().any(|value| !value.is_finite()) {
            return Err(JsonError::NotFinite { index, field: "bbox" });
        }
    }
    writer.write_all(b"[")?;
    for (index, detection) in detections.iter().enumerate() {
        writer.write_all(if index == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut writer, detection).map_err(std::io::Error::from)?;
    }
    writer.write_all(b"\n]\n")?;
    writer.flush()?;
    Ok(())
}

/// An image of an annotation file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AnnotatedImage {
    /// COCO image id.
    pub id: i64,
    /// Path relative to the image folder.
    #[serde(default)]
    pub file_name: String,
    /// Pixels; 0 where the file does not say.
    #[serde(default)]
    pub width: u32,
    /// Pixels; 0 where the file does not say.
    #[serde(default)]
    pub height: u32,
}

/// What an evaluation needs of a COCO annotation file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Annotations {
    /// The images in the order of the file.
    pub images: Vec<AnnotatedImage>,
    /// The classes in the order of the file.
    pub categories: Vec<Category>,
    /// The objects in the order of the file.
    pub truths: Vec<GroundTruth>,
}

impl Annotations {
    /// The ids of the images in the order of the file.
    pub fn image_ids(&self) -> Vec<i64> {
        self.images.iter().map(|image| image.id).collect()
    }
}

/// Reads a COCO annotation file for an evaluation without checking the dataset. A missing `area` is
/// taken as the box's, a missing `iscrowd` or `ignore` as 0.
///
/// # Errors
/// JSON of another kind, with the 0-based index of the element, line and column; more than `limit` bytes.
pub fn read_annotations(reader: impl Read, limit: u64) -> Result<Annotations, JsonError> {
    let bytes = read_all(reader, limit)?;
    let place = Place::default();
    parse(&bytes, &place, AnnotationFile { place: &place })
}

#[derive(Deserialize)]
struct RawDetection {
    image_id: i64,
    category_id: i64,
    bbox: [f64; 4],
    score: f64,
}

#[derive(Deserialize)]
struct RawAnnotation {
    id: i64,
    image_id: i64,
    category_id: i64,
    bbox: [f64; 4],
    area: Option<f64>,
    #[serde(default)]
    iscrowd: Flag,
    #[serde(default)]
    ignore: Flag,
}

/// 0, 1, true or false.
#[derive(Deserialize, Default)]
#[serde(from = "RawFlag")]
struct Flag(bool);

#[derive(Deserialize)]
#[serde(untagged)]
enum RawFlag {
    Word(bool),
    Number(i64),
}

impl From<RawFlag> for Flag {
    fn from(raw: RawFlag) -> Self {
        match raw {
            RawFlag::Word(value) => Self(value),
            RawFlag::Number(value) => Self(value != 0),
        }
    }
}

/// The element that is being read, for the message if it fails.
#[derive(Default)]
struct Place(Cell<Option<(&'static str, usize)>>);

/// A list whose elements are counted while they are read.
struct List<'a, T> {
    what: &'static str,
    place: &'a Place,
    element: std::marker::PhantomData<T>,
}

impl<'a, T> List<'a, T> {
    fn new(what: &'static str, place: &'a Place) -> Self {
        Self { what, place, element: std::marker::PhantomData }
    }
}

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for List<'_, T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: DeserializeOwned> Visitor<'de> for List<'_, T> {
    type Value = Vec<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of {}s", self.what)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        loop {
            self.place.0.set(Some((self.what, all.len())));
            let Some(element) = elements.next_element()? else { break };
            all.push(element);
        }
        self.place.0.set(None);
        Ok(all)
    }
}

struct AnnotationFile<'a> {
    place: &'a Place,
}

impl<'de> DeserializeSeed<'de> for AnnotationFile<'_> {
    type Value = Annotations;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Annotations, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AnnotationFile<'_> {
    type Value = Annotations;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with `images`, `annotations` and `categories`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Annotations, A::Error> {
        let (mut images, mut categories, mut truths) = (None, None, None);
        while let Some(field) = fields.next_key::<String>()? {
            match field.as_str() {
                "images" => images = Some(fields.next_value_seed(List::new("image", self.place))?),
                "categories" => categories = Some(fields.next_value_seed(List::new("category", self.place))?),
                "annotations" => {
                    let raw = fields.next_value_seed(List::new("annotation", self.place))?;
                    truths = Some(raw.into_iter().map(truth).collect());
                }
                _ => {
                    fields.next_value::<serde::de::IgnoredAny>()?;
                }
            }
        }
        Ok(Annotations {
            images: images.ok_or_else(|| A::Error::missing_field("images"))?,
            categories: categories.ok_or_else(|| A::Error::missing_field("categories"))?,
            truths: truths.ok_or_else(|| A::Error::missing_field("annotations"))?,
        })
    }
}

fn truth(raw: RawAnnotation) -> GroundTruth {
    GroundTruth {
        id: raw.id,
        image_id: raw.image_id,
        category_id: raw.category_id,
        bbox: raw.bbox,
        area: raw.area.unwrap_or(raw.bbox[2] * raw.bbox[3]),
        crowd: raw.iscrowd.0,
        ignore: raw.ignore.0,
    }
}

fn read_all(reader: impl Read, limit: u64) -> Result<Vec<u8>, JsonError> {
    let mut bytes = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(JsonError::TooLarge { limit });
    }
    Ok(bytes)
}

fn parse<'de, S: DeserializeSeed<'de>>(
    bytes: &'de [u8],
    place: &Place,
    seed: S,
) -> Result<S::Value, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let result = seed.deserialize(&mut deserializer);
    result.and_then(|value| deserializer.end().map(|()| value)).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let problem = match not_finite(bytes, line, column) {
            Some(word) => format!(
                "{word} is not a number that JSON or an evaluation can use; it comes from a model that has \
                 diverged or from damaged weights"
            ),
            None => text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem).to_owned(),
        };
        let element = place.0.get().map_or_else(String::new, |(what, index)| format!("{what} {index}: "));
        JsonError::Malformed { element, problem, line, column }
    })
}

/// `NaN` and the infinities, as Python's `json` writes them, where the parser stopped.
fn not_finite(bytes: &[u8], line: usize, column: usize) -> Option<&'static str> {
    let text = bytes.split(|&byte| byte == b'\n').nth(line.checked_sub(1)?)?;
    let before = &text[column.saturating_sub(2).min(text.len())..];
    let words = ["NaN", "-NaN", "-Infinity", "Infinity"];
    words.into_iter().find(|word| {
        (0..2).any(|skip| before.get(skip..).is_some_and(|rest| rest.starts_with(word.as_bytes())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(text: &str) -> String {
        match read_results(text.as_bytes(), DEFAULT_LIMIT) {
            Ok(detections) => format!("accepted: {detections:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn bad_results_are_refused_with_index_and_place() {
        let good = r#"{"image_id": 1, "category_id": 2, "bbox": [0, 0, 1.5, 2], "score": 0.5, "segmentation": {"x": [1]}}"#;
        assert_eq!(read_results(format!("[{good}]").as_bytes(), 1000).map(|all| all.len()).ok(), Some(1));
        let cases: [(String, &[&str]); 14] = [
            (format!("[{good},\n{}]", good.replace("0.5", "NaN")), &["detection 1:", "line 2", "NaN"]),
            (format!("[{}]", good.replace("0.5", "-Infinity")), &["detection 0:", "Infinity"]),
            (format!("[{}]", good.replace("0.5", "Infinity")), &["detection 0:", "Infinity"]),
            (format!("[{}]", good.replace("1.5", "NaN")), &["detection 0:", "NaN"]),
            (format!("[{}]", good.replace("0.5", "1e999")), &["detection 0:", "number out of range"]),
            (format!("[{}]", good.replace("0.5", "null")), &["detection 0:", "null"]),
            (
                format!("[{}]", good.replace("0, 0, 1.5, 2", "0, 0, 1.5")),
                &["detection 0:", "array of length 4"],
            ),
            (format!("[{}]", good.replace("0, 0, 1.5, 2", "0, 0, 1.5, 2, 3")), &["detection 0:"]),
            (
                format!("[{good}, {}]", good.replace("score", "scor")),
                &["detection 1:", "missing field `score`"],
            ),
            (
                format!("[{}]", good.replace("\"image_id\": 1", "\"image_id\": \"1\"")),
                &["detection 0:", "i64"],
            ),
            (format!("[{good},"), &["detection 1:", "EOF"]),
            (format!("[{good}] x"), &["trailing"]),
            (r#"{"annotations": []}"#.to_owned(), &["a list of detections"]),
            (String::new(), &["EOF"]),
        ];
        let failures: Vec<String> = (cases.iter())
            .filter_map(|(text, wanted)| {
                let problem = problem(text);
                let all = wanted.iter().all(|word| problem.contains(word));
                (!all).then(|| format!("{text}\n  gave: {problem}\n  wanted: {wanted:?}"))
            })
            .collect();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    #[test]
    fn size_and_depth_are_limited() {
        let error = read_results(&b"[          ]"[..], 4).map_err(|error| error.to_string());
        assert_eq!(
            error,
            Err("the input is larger than 4 bytes; raise the limit if this is meant".to_owned())
        );
        let deep = format!("[{{\"extra\": {}", "[".repeat(1_000_000));
        assert!(problem(&deep).contains("EOF"), "{}", problem(&deep));
        let deep = deep.replace("extra", "bbox");
        assert!(problem(&deep).contains("detection 0:"), "{}", problem(&deep));
    }

    #[test]
    fn not_finite_is_not_written() {
        let detection = Detection { image_id: 1, category_id: 1, bbox: [0.0; 4], score: f64::NAN };
        let mut written = Vec::new();
        let error = write_results(&mut written, &[Detection { score: 1.0, ..detection }, detection]);
        assert!(matches!(error, Err(JsonError::NotFinite { index: 1, field: "score" })));
        let endless = Detection { score: 1.0, bbox: [0.0, f64::INFINITY, 1.0, 1.0], ..detection };
        let error = write_results(&mut written, &[endless]);
        assert!(matches!(error, Err(JsonError::NotFinite { index: 0, field: "bbox" })));
        assert!(written.is_empty());
    }

    #[test]
    fn annotations_with_missing_fields() {
        let text = r#"{"info": {}, "images": [{"id": 3}], "categories": [{"id": 7, "name": "cup", "supercategory": "x"}],
            "annotations": [{"id": 1, "image_id": 3, "category_id": 7, "bbox": [1, 2, 3, 4]},
                            {"id": 2, "image_id": 3, "category_id": 7, "bbox": [1, 2, 3, 4], "area": 5, "iscrowd": 1, "ignore": true}]}"#;
        let read = read_annotations(text.as_bytes(), DEFAULT_LIMIT).map_err(|error| error.to_string());
        let Ok(read) = read else { panic!("{read:?}") };
        let flags: Vec<_> = read.truths.iter().map(|one| (one.area, one.crowd, one.ignore)).collect();
        assert_eq!(flags, [(12.0, false, false), (5.0, true, true)]);
        let error = read_annotations(text.replace("\"id\": 2, ", "").as_bytes(), DEFAULT_LIMIT);
        let error = error.map_err(|error| error.to_string());
        assert!(
            error.as_ref().is_err_and(|text| text.contains("annotation 1:") && text.contains("`id`")),
            "{error:?}"
        );
        let error = read_annotations(&b"{\"images\": [], \"annotations\": []}"[..], DEFAULT_LIMIT);
        let error = error.map_err(|error| error.to_string());
        assert!(error.as_ref().is_err_and(|text| text.contains("missing field `categories`")), "{error:?}");
    }

    proptest! {
        #[test]
        fn what_is_written_comes_back(
            rows in proptest::collection::vec((any::<i64>(), any::<i64>(), any::<[f64; 4]>(), any::<f64>()), 0..20),
        ) {
            let finite = |value: f64| if value.is_finite() { value } else { 0.1 };
            let detections: Vec<Detection> = (rows.into_iter())
                .map(|(image_id, category_id, bbox, score)| Detection { image_id, category_id, bbox: bbox.map(finite), score: finite(score) })
                .collect();
            let mut written = Vec::new();
            write_results(&mut written, &detections).unwrap();
            prop_assert_eq!(read_results(&written[..], DEFAULT_LIMIT).unwrap(), detections);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_results(&bytes[..], DEFAULT_LIMIT);
            let _ = read_annotations(&bytes[..], DEFAULT_LIMIT);
        }
    }
}
