//! Detection results: a list of image id, category id, box and score.

use std::fmt;
use std::io::{Read, Write};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

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
    /// Number of entries that were left out because a value is missing or cannot be used.
    pub left_out: usize,
    /// Index and problem of the first of them.
    pub first_problem: Option<(usize, String)>,
}

impl ResultRecords {
    fn add(&mut self, index: usize, found: AnyResult) {
        match complete(index, found) {
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
    let record = ResultRecord {
        index,
        image: found.image_id.ok_or_else(|| missing("image_id"))?,
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
/// are ignored. An entry without all values, or with NaN or an infinity as one of them, is left out and counted.
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
            let document =
                document.map_err(|error| JsonError::in_slice(error, format!("detection {at}: "), bytes))?;
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
    result.map_err(|error| JsonError::in_slice(error, entry.prefix(), bytes))?;
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(text: &str) -> String {
        match read_results(text.as_bytes(), DEFAULT_LIMIT) {
            Ok(detections) => format!("accepted: {detections:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn malformed_results_are_refused_with_index_and_position() {
        let good = r#"{"image_id": 1, "category_id": 2, "bbox": [0, 0, 1.5, 2], "score": 0.5, "segmentation": {"x": [1]}}"#;
        assert_eq!(read_results(format!("[{good}]").as_bytes(), 1000).map(|all| all.len()).ok(), Some(1));
        let bad_score = |score: &str| good.replace("0.5", score);
        let cases: [(String, &[&str]); 17] = [
            (format!("[{good},\n{}]", bad_score("NaN")), &["detection 1:", "line 2", "NaN"]),
            (format!("[{}]", bad_score("Infinity")), &["detection 0:", "Infinity"]),
            (format!("[{}]", bad_score("-Infinity")), &["detection 0:", "-Infinity"]),
            (format!("[{}]", bad_score("1e999")), &["detection 0:", "out of range"]),
            (format!("[{}]", bad_score("null")), &["detection 0:", "`score` is missing or null"]),
            (format!("[{}]", bad_score("\"high\"")), &["detection 0:", "`score` is the text \"high\""]),
            (format!("[{}]", good.replace("0, 0, 1.5, 2", "0, 0, 1.5")), &["detection 0:", "3 values"]),
            (format!("[{}]", good.replace("0, 0, 1.5, 2", "0, 0, 1.5, 2, 3")), &["detection 0:"]),
            (
                format!("[{good}, {}]", good.replace("score", "scor")),
                &["detection 1:", "`score` is missing or null"],
            ),
            (
                format!("[{}]", good.replace("\"image_id\": 1", "\"image_id\": \"a\"")),
                &["detection 0:", "an integer"],
            ),
            (format!("[{}]", good.replace("\"image_id\": 1", "\"image_id\": 1.5")), &["detection 0:", "1.5"]),
            (format!("[{good},"), &["detection 1:", "EOF"]),
            (format!("[{good}] x"), &["trailing"]),
            (r#"{"images": []}"#.to_owned(), &["detection 0:", "`image_id` is missing or null"]),
            (r#""text""#.to_owned(), &["a list with one detection per entry"]),
            ("image_id,score\n1,0.5\n".to_owned(), &["expected value", "a results file is JSON"]),
            (String::new(), &["EOF"]),
        ];
        let failures: Vec<String> = (cases.iter())
            .filter_map(|(text, expected)| {
                let problem = problem(text);
                let all = expected.iter().all(|part| problem.contains(part));
                (!all).then(|| format!("{text}\n  gave: {problem}\n  expected: {expected:?}"))
            })
            .collect();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    #[test]
    fn results_in_utf_16_are_read() {
        let text = r#"[{"image_id": 1, "category_id": 2, "bbox": [0, 0, 1.5, 2], "score": 0.5}]"#;
        let little: Vec<u8> =
            "\u{feff}".chars().chain(text.chars()).flat_map(|c| (c as u16).to_le_bytes()).collect();
        let big: Vec<u8> =
            "\u{feff}".chars().chain(text.chars()).flat_map(|c| (c as u16).to_be_bytes()).collect();
        let expected = read_results(text.as_bytes(), 1000).expect("results");
        for wide in [little, big] {
            assert_eq!(read_results(&wide[..], 1000).expect("results"), expected);
        }
    }

    #[test]
    fn every_prefix_is_refused() {
        let mut text = Vec::new();
        let detection =
            DetectionRecord { image_id: 1, category_id: 2, bbox: [0.5, 1.0, 2.0, 3.0], score: 0.25 };
        write_results(&mut text, [detection; 2].into_iter()).unwrap();
        let end = text.trim_ascii_end().len();
        let accepted: Vec<usize> = (0..end).filter(|&cut| read_results(&text[..cut], 1000).is_ok()).collect();
        assert!(accepted.is_empty(), "{accepted:?}");
    }

    #[test]
    fn size_and_depth_are_limited() {
        let error = read_results(&b"[          ]"[..], 4).map_err(|error| error.to_string());
        assert_eq!(
            error,
            Err("the input is larger than 4 bytes; raise the limit if this is intended".to_owned())
        );
        let deep = format!("[{{\"extra\": {}", "[".repeat(1_000_000));
        assert!(problem(&deep).contains("EOF"), "{}", problem(&deep));
        let deep = deep.replace("extra", "bbox");
        assert!(problem(&deep).contains("detection 0:"), "{}", problem(&deep));
    }

    #[test]
    fn results_of_other_programs_are_read() {
        let one = r#"{"image_id": "frame_a", "file_name": "frame_a.png", "category_id": "1", "bbox": ["0", 0, 1.5, 2], "score": "0.5"}"#;
        let record = ResultRecord {
            index: 0,
            image: Id::Text("frame_a".into()),
            file_name: Some("frame_a.png".to_owned()),
            category: Id::Number(1),
            bbox: [0.0, 0.0, 1.5, 2.0],
            score: 0.5,
        };
        let two = vec![record.clone(), ResultRecord { index: 1, ..record }];
        let forms = [
            format!("[{one}, {one}]"),
            format!("\u{feff}[{one}, {one}]"),
            format!("{one}\n{one}\n"),
            format!("{{\"annotations\": [{one}, {one}]}}"),
            format!("{{\"info\": {{}}, \"predictions\": [{one}, {one}], \"images\": [1]}}"),
        ];
        for form in &forms {
            let found = read_result_records(form.as_bytes(), 10_000).map(|results| results.records);
            assert_eq!(found.map_err(|error| error.to_string()), Ok(two.clone()), "{form}");
        }
        let broken = format!("[{one}, {}, 7]", one.replace("\"0.5\"", "null"));
        let found = read_result_records(broken.as_bytes(), 10_000).expect("one good entry");
        let first = Some((1, "`score` is missing or null".to_owned()));
        assert_eq!((found.records.len(), found.left_out, found.first_problem), (1, 2, first));
        let score = |score: &str| one.replace("\"0.5\"", score);
        let not_finite = [
            format!("[{one}, {}, {one}]", score("NaN")),
            format!("{one}\n{}\n{one}", score("-Infinity")),
            format!("[{one}, {}, {one}]", one.replace("1.5", "Infinity")),
            format!("[{one}, {}, {one}]", score("1e999")),
        ];
        for text in not_finite {
            let found = read_result_records(text.as_bytes(), 10_000).expect("two good entries");
            let (index, problem) = found.first_problem.expect("a problem");
            assert_eq!((found.records.len(), found.left_out, index), (2, 1, 1), "{text}");
            let is_named = problem.contains("is not a valid JSON number") || problem.contains("out of range");
            assert!(is_named && problem.contains("line "), "{problem}");
        }
        let unused =
            read_result_records(format!("[{}]", one.replacen('{', "{\"area\": NaN, ", 1)).as_bytes(), 10_000);
        assert_eq!(unused.map(|found| (found.records.len(), found.left_out)).ok(), Some((1, 0)));
        let float = forms[0].replace("\"frame_a\"", "1.0");
        assert_eq!(read_results(float.as_bytes(), 10_000).map(|all| all[0].image_id).ok(), Some(1));
    }

    #[test]
    fn non_finite_values_are_not_written() {
        let detection = DetectionRecord { image_id: 1, category_id: 1, bbox: [0.0; 4], score: f64::NAN };
        let mut written = Vec::new();
        let scores = [DetectionRecord { score: 1.0, ..detection }, detection];
        let error = write_results(&mut written, scores.into_iter());
        assert!(matches!(error, Err(JsonError::NotFinite { index: 1, field: "score" })));
        let infinite = [DetectionRecord { score: 1.0, bbox: [0.0, f64::INFINITY, 1.0, 1.0], ..detection }];
        let error = write_results(&mut written, infinite.into_iter());
        assert!(matches!(error, Err(JsonError::NotFinite { index: 0, field: "bbox" })));
        assert!(written.is_empty());
    }

    proptest! {
        #[test]
        fn results_round_trip_exactly(
            rows in prop::collection::vec((any::<i64>(), any::<i64>(), any::<[f64; 4]>(), any::<f64>()), 0..20),
        ) {
            let finite = |value: f64| if value.is_finite() { value } else { 0.1 };
            let detections: Vec<DetectionRecord> = (rows.into_iter())
                .map(|(image_id, category_id, bbox, score)| DetectionRecord {
                    image_id,
                    category_id,
                    bbox: bbox.map(finite),
                    score: finite(score),
                })
                .collect();
            let mut written = Vec::new();
            write_results(&mut written, detections.iter().copied()).unwrap();
            prop_assert_eq!(read_results(&written[..], DEFAULT_LIMIT).unwrap(), detections);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_results(&bytes[..], DEFAULT_LIMIT);
        }
    }
}
