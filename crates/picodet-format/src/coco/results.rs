//! Detection results: a list of image id, category id, box and score.

use std::io::{Read, Write};

use serde::de::DeserializeSeed;
use serde::{Deserialize, Serialize};

use super::JsonError;
use super::fields::integer;
use super::list::{CurrentEntry, Each};

/// A limit for [`read_results`] that the annotation and result files of public datasets stay below: 2 GiB.
pub const DEFAULT_LIMIT: u64 = 2 << 30;

/// An entry of a results file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectionRecord {
    /// Id of the image.
    #[serde(deserialize_with = "integer")]
    pub image_id: i64,
    /// Id of the category.
    #[serde(deserialize_with = "integer")]
    pub category_id: i64,
    /// `[x, y, width, height]` in pixels of the original image.
    pub bbox: [f64; 4],
    /// Confidence.
    pub score: f64,
}

/// Reads COCO results: a list of `{"image_id", "category_id", "bbox": [x, y, width, height], "score"}`; other
/// fields are ignored.
///
/// # Errors
/// [`JsonError`] for anything else, with the 0-based index of the detection, line and column, for NaN and
/// infinite values, and for more than `limit` bytes.
pub fn read_results(reader: impl Read, limit: u64) -> Result<Vec<DetectionRecord>, JsonError> {
    let bytes = read_all(reader, limit)?;
    let entry = CurrentEntry::default();
    let mut detections: Vec<DetectionRecord> = Vec::new();
    let receive = |_, detection| {
        detections.push(detection);
        Ok(())
    };
    let mut deserializer = serde_json::Deserializer::from_slice(&bytes);
    let result = Each::new("detection", &entry, receive).deserialize(&mut deserializer);
    let result = result.and_then(|()| deserializer.end());
    result.map_err(|error| JsonError::in_slice(error, entry.prefix(), &bytes))?;
    Ok(detections)
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
        let cases: [(String, &[&str]); 15] = [
            (format!("[{good},\n{}]", bad_score("NaN")), &["detection 1:", "line 2", "NaN"]),
            (format!("[{}]", bad_score("Infinity")), &["detection 0:", "Infinity"]),
            (format!("[{}]", bad_score("-Infinity")), &["detection 0:", "-Infinity"]),
            (format!("[{}]", bad_score("1e999")), &["detection 0:", "out of range"]),
            (format!("[{}]", bad_score("null")), &["detection 0:", "null"]),
            (format!("[{}]", bad_score("\"0.5\"")), &["detection 0:", "string"]),
            (format!("[{}]", good.replace("0, 0, 1.5, 2", "0, 0, 1.5")), &["detection 0:", "length 3"]),
            (format!("[{}]", good.replace("0, 0, 1.5, 2", "0, 0, 1.5, 2, 3")), &["detection 0:"]),
            (
                format!("[{good}, {}]", good.replace("score", "scor")),
                &["detection 1:", "missing field `score`"],
            ),
            (
                format!("[{}]", good.replace("\"image_id\": 1", "\"image_id\": \"1\"")),
                &["detection 0:", "an integer"],
            ),
            (format!("[{}]", good.replace("\"image_id\": 1", "\"image_id\": 1.5")), &["detection 0:", "1.5"]),
            (format!("[{good},"), &["detection 1:", "EOF"]),
            (format!("[{good}] x"), &["trailing"]),
            (r#"{"annotations": []}"#.to_owned(), &["a list with one detection per entry"]),
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
