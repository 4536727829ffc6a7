//! Detection results: a list of image id, category id, box and score.

use std::fmt;
use std::io::{Read, Write};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::fields::BoxValues;
use super::foreign_form::describe;
use super::grouped::{boxes, labels, scores};
use super::list::{CurrentEntry, Each};
use super::record::{AnyResult, bbox, id, number, remark};
use super::value::Id;
use super::{FieldError, JsonError};
use crate::json::NonFiniteToNull;
use crate::text::decode;

/// A limit for [`read_results`] that the annotation and result files of public datasets stay below: 2 GiB.
pub const DEFAULT_LIMIT: u64 = 2 << 30;

/// An entry of a results file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DetectionRecord {
    /// Id of the image.
    pub image_id: i64,
    /// Id of the category.
    pub category_id: i64,
    /// `[x, y, width, height]` in pixels of the original image.
    pub bbox: [f64; 4],
    /// Confidence.
    pub score: f64,
}

/// An entry of a results file whose ids may be texts: file names, their stems or names of classes.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultRecord {
    /// 0-based index in the file.
    pub index: usize,
    /// Id or file name of the image.
    pub image: Id,
    /// File name of the image, which ultralytics writes next to the id.
    pub file_name: Option<String>,
    /// Id or name of the category.
    pub category: Id,
    /// `[x, y, width, height]` in pixels of the original image.
    pub bbox: [f64; 4],
    /// Confidence.
    pub score: f64,
}

/// The entries of a results file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResultRecords {
    /// The entries with all values.
    pub records: Vec<ResultRecord>,
    /// Number of entries with all boxes of an image, as torchvision's models return them.
    pub grouped: usize,
    /// Number of entries that were left out because a value is missing or cannot be used.
    pub left_out: usize,
    /// Index and problem of the first of them.
    pub first_problem: Option<(usize, String)>,
}

impl ResultRecords {
    fn add(&mut self, index: usize, mut found: AnyResult) {
        match ungroup(index, &mut found) {
            None => self.receive(index, complete(index, found)),
            Some(Err(problem)) => self.receive(index, Err(problem)),
            Some(Ok(records)) => {
                self.grouped += 1;
                records.into_iter().for_each(|record| self.receive(index, record));
            }
        }
    }

    fn receive(&mut self, index: usize, record: Result<ResultRecord, String>) {
        match record {
            Ok(record) => self.records.push(record),
            Err(problem) => {
                self.left_out += 1;
                self.first_problem.get_or_insert((index, problem));
            }
        }
    }
}

/// Returns the entry with all values, or the problem of the first missing one.
fn complete(index: usize, found: AnyResult) -> Result<ResultRecord, String> {
    if let Some(odd) = found.odd.iter().find(|odd| odd.field != "file_name") {
        return Err(match odd.field {
            "" => format!("an object is expected, not {}", odd.found),
            field => format!("`{field}` is {}", odd.found),
        });
    }
    let missing = |field: &str| format!("`{field}` is missing or null");
    let named = || found.file_name.as_deref().map(|name| Id::Text(name.into()));
    let record = ResultRecord {
        index,
        image: found.image_id.or_else(named).ok_or_else(|| missing("image_id"))?,
        file_name: found.file_name,
        category: found.category_id.ok_or_else(|| missing("category_id"))?,
        bbox: found
            .bbox
            .ok_or_else(|| missing("bbox"))?
            .four()
            .map_err(|error: FieldError| error.to_string())?,
        score: found.score.ok_or_else(|| missing("score"))?,
    };
    Ok(record)
}

/// Returns the detections of an entry `{image_id, boxes, labels, scores}`, each or its problem; `None` for an entry in
/// another form. The boxes are left, top, right and bottom.
fn ungroup(index: usize, found: &mut AnyResult) -> Option<Result<Vec<Result<ResultRecord, String>>, String>> {
    if found.bbox.is_some() || found.score.is_some() {
        return None;
    }
    let file_name = found.file_name.take();
    let image = found.image_id.take().or_else(|| file_name.as_deref().map(Id::from_text))?;
    let boxes = found.boxes.take()?;
    let (labels, scores) = (found.labels.take()?, found.scores.take()?);
    if boxes.len() != labels.len() || boxes.len() != scores.len() {
        let (labels, scores) = (labels.len(), scores.len());
        return Some(Err(format!("{} `boxes`, {labels} `labels` and {scores} `scores`", boxes.len())));
    }
    let record = |((bbox, label), score): ((Result<BoxValues, String>, _), _)| {
        let odd = |field: &str, problem: String| format!("a value of `{field}` is {problem}");
        let bbox = bbox.map_err(|problem| odd("boxes", problem))?;
        let [left, top, right, bottom] = bbox.four().map_err(|error| error.to_string())?;
        Ok(ResultRecord {
            index,
            image: image.clone(),
            file_name: file_name.clone(),
            category: Result::map_err(label, |problem| odd("labels", problem))?,
            bbox: [left, top, right - left, bottom - top],
            score: Result::map_err(score, |problem| odd("scores", problem))?,
        })
    };
    Some(Ok(boxes.into_iter().zip(labels).zip(scores).map(record).collect()))
}

/// Reads COCO results with numeric ids: a list of `{"image_id", "category_id", "bbox": [x, y, width, height],
/// "score"}`, in any of the forms of [`read_result_records`].
///
/// # Errors
/// As [`read_result_records`], and for an entry that lacks a value or has a text as id.
pub fn read_results(reader: impl Read, limit: u64) -> Result<Vec<DetectionRecord>, JsonError> {
    let results = read_result_records(reader, limit)?;
    if let Some((index, problem)) = results.first_problem {
        return Err(JsonError::Entry { index, problem });
    }
    let numeric = |record: ResultRecord| {
        let ResultRecord { index, image, category, bbox, score, .. } = record;
        let number = |id: &Id, field: &str| {
            let problem = || format!("`{field}` is the text {id}, an integer is expected");
            id.number().ok_or_else(|| JsonError::Entry { index, problem: problem() })
        };
        let (image_id, category_id) = (number(&image, "image_id")?, number(&category, "category_id")?);
        Ok(DetectionRecord { image_id, category_id, bbox, score })
    };
    results.records.into_iter().map(numeric).collect()
}

/// Reads the results of any program: a list of detections, an object with such a list (`annotations`,
/// `predictions`, `detections` or `results`), or one detection per line. Numbers may be texts; unknown fields
/// are ignored. An entry may have all boxes of an image: `{"image_id", "boxes": [[left, top, right, bottom], …],
/// "labels", "scores"}`. A `file_name` replaces a missing `image_id`. An entry without all values, or with NaN or an infinity as one of them, is left out and counted.
///
/// # Errors
/// [`JsonError`] when the input is not such JSON, and for more than `limit` bytes.
pub fn read_result_records(reader: impl Read, limit: u64) -> Result<ResultRecords, JsonError> {
    let mut bytes = read_all(reader, limit)?;
    // Programs on Windows write UTF-16, with a byte order mark.
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        bytes = decode(bytes).map(|decoded| decoded.text.into_bytes()).unwrap_or_default();
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let found = parse_finite(bytes);
    let is_unusable = found.as_ref().is_ok_and(|results| results.records.is_empty() && results.grouped == 0);
    let is_other = matches!(&found, Err(JsonError::Malformed { .. } | JsonError::Entry { .. }));
    let other = if is_unusable || is_other { describe(bytes) } else { None };
    match other {
        Some((found, advice)) => Err(JsonError::NotResults { found, advice }),
        None => found,
    }
}

/// Parses results, with NaN and infinities as missing values.
fn parse_finite(bytes: &[u8]) -> Result<ResultRecords, JsonError> {
    let mut at = 0;
    let error = match parse(bytes, &mut at) {
        Err(JsonError::Malformed { element, problem, line: 1, column: 1 }) => {
            let problem = format!(
                "{problem}; a results file is JSON: a list of {{image_id, category_id, bbox, score}}"
            );
            return Err(JsonError::Malformed { element, problem, line: 1, column: 1 });
        }
        Err(error) if error.is_non_finite(bytes) => error,
        other => return other,
    };
    // Python writes NaN, which is no JSON.
    let mut with_null = Vec::with_capacity(bytes.len());
    NonFiniteToNull::new(bytes).read_to_end(&mut with_null)?;
    let mut results = parse(&with_null, &mut 0)?;
    if let (Some((index, found)), JsonError::Malformed { problem, line, .. }) =
        (&mut results.first_problem, error)
        && *index == at
    {
        *found = format!("{problem} (line {line})");
    }
    Ok(results)
}

/// Parses results; `at` becomes the index of the last entry that was begun.
fn parse(bytes: &[u8], at: &mut usize) -> Result<ResultRecords, JsonError> {
    let mut results = ResultRecords::default();
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        let mut documents = serde_json::Deserializer::from_slice(bytes).into_iter::<Document>();
        for document in &mut documents {
            let document = document.map_err(|error| {
                JsonError::in_slice(error, format!("detection {at}: "), bytes).of_a_model()
            })?;
            for found in document.0 {
                results.add(*at, found);
                *at += 1;
            }
        }
        if *at == 0 {
            let problem = "missing; a results file is a list of detections, or has one in `annotations`";
            return Err(JsonError::Entry { index: 0, problem: problem.to_owned() });
        }
        return Ok(results);
    }
    let entry = CurrentEntry::default();
    let receive = |index, found| {
        results.add(index, found);
        Ok(())
    };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let result = Each::new("detection", &entry, receive).deserialize(&mut deserializer);
    *at = entry.index();
    let result = result.and_then(|()| deserializer.end());
    result.map_err(|error| JsonError::in_slice(error, entry.prefix(), bytes).of_a_model())?;
    Ok(results)
}

/// An object that is a detection, or contains a list of detections.
struct Document(Vec<AnyResult>);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DocumentVisitor;

        impl<'de> Visitor<'de> for DocumentVisitor {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a detection, or an object with a list of detections")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut list: Option<Vec<AnyResult>> = None;
                let mut single = AnyResult::default();
                while let Some(key) = map.next_key::<String>()? {
                    let odd = &mut single.odd;
                    match key.as_str() {
                        "annotations" | "predictions" | "detections" | "results" => {
                            list.get_or_insert_default().extend(map.next_value::<Vec<AnyResult>>()?);
                        }
                        "image_id" => single.image_id = id(&mut map, "image_id", odd)?,
                        "category_id" => single.category_id = id(&mut map, "category_id", odd)?,
                        "bbox" => single.bbox = bbox(&mut map, "bbox", odd)?,
                        "score" => single.score = number(&mut map, "score", odd)?,
                        "file_name" => single.file_name = remark(&mut map, "file_name", odd)?,
                        "boxes" => single.boxes = boxes(&mut map, "boxes", odd)?,
                        "labels" => single.labels = labels(&mut map, "labels", odd)?,
                        "scores" => single.scores = scores(&mut map, "scores", odd)?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Document(list.unwrap_or_else(|| vec![single])))
            }
        }

        deserializer.deserialize_map(DocumentVisitor)
    }
}

/// Writes COCO results, one detection per line; numbers round-trip exactly.
///
/// # Errors
/// [`JsonError::NotFinite`] before anything is written; [`JsonError::Io`].
pub fn write_results(
    mut writer: impl Write,
    detections: impl Iterator<Item = DetectionRecord> + Clone,
) -> Result<(), JsonError> {
    for (index, detection) in detections.clone().enumerate() {
        if !detection.score.is_finite() {
            return Err(JsonError::NotFinite { index, field: "score" });
        }
        if detection.bbox.iter().any(|value| !value.is_finite()) {
            return Err(JsonError::NotFinite { index, field: "bbox" });
        }
    }
    writer.write_all(b"[")?;
    for (index, detection) in detections.enumerate() {
        writer.write_all(if index == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut writer, &detection)?;
    }
    writer.write_all(b"\n]\n")?;
    writer.flush()?;
    Ok(())
}

/// Reads all bytes of at most `limit` bytes.
///
/// # Errors
/// [`JsonError::TooLarge`], [`JsonError::Io`].
pub fn read_all(reader: impl Read, limit: u64) -> Result<Vec<u8>, JsonError> {
    let mut bytes = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(JsonError::TooLarge { limit });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
