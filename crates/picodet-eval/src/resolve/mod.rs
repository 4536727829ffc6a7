//! Assigns the entries of a results file to the images and categories of a dataset.

mod notes;
mod scores;
mod targets;

use std::collections::{BTreeSet, HashMap};

use picodet_format::coco::{Id, ResultRecord, ResultRecords, file_stem};

use crate::error::EvaluationError;
use crate::types::Detection;

use notes::LISTED;
use targets::CategoryNames;

pub use notes::ResultNotes;
pub use targets::ResultTargets;

/// Returns the detections of the images and categories of a dataset, and counts the others. Image ids are
/// numbers, texts that are ids in the dataset, file names or their stems; category ids are numbers or names.
///
/// # Errors
/// [`EvaluationError::AmbiguousImage`] for a file name that two images have.
pub fn resolve_results(
    results: ResultRecords,
    targets: &ResultTargets,
) -> Result<(Vec<Detection>, ResultNotes), EvaluationError> {
    let ResultRecords { records, left_out, first_problem, grouped, .. } = results;
    let by_name = CategoryNames::new(&targets.categories);
    let by_number = targets.by_number(&records);
    let number_note = targets.number_note(&records);
    let known: BTreeSet<i64> = targets.categories.iter().map(|category| category.id).collect();
    let mut notes = ResultNotes {
        total: records.len() + left_out,
        malformed: left_out,
        first_malformed: first_problem,
        grouped,
        known_category_ids: known,
        ..ResultNotes::default()
    };
    let mut detections = Vec::with_capacity(records.len());
    for record in records {
        let image = image_of(&record, targets, &by_number, &mut notes)?;
        let category = match &record.category {
            Id::Number(id) => Some(*id).filter(|id| notes.known_category_ids.contains(id)),
            Id::Text(name) => by_name.find(name).map(|(id, is_respelled)| {
                if is_respelled {
                    notes.respelled += 1;
                    notes.first_respelled.get_or_insert_with(|| name.to_string());
                }
                id
            }),
        };
        let Some(image_id) = image else {
            notes.unknown_images += 1;
            let ids = (record.image.number(), category.or(record.category.number()));
            if let (Some(image_id), Some(category_id)) = ids {
                let ResultRecord { bbox, score, .. } = record;
                notes.unresolved.push(Detection { image_id, category_id, bbox, score });
            }
            if notes.first_unknown_image.is_none() {
                notes.first_unknown_image = Some((record.index, record.image));
            }
            continue;
        };
        let Some(category_id) = category else {
            notes.unknown_categories += 1;
            if record.category.number().is_none() && notes.known_names.is_empty() {
                notes.known_names = targets.categories.iter().map(|category| category.name.clone()).collect();
            }
            if notes.category_ids.len() <= LISTED {
                notes.category_ids.insert(record.category.to_string());
            }
            if let Id::Number(category_id) = record.category {
                let ResultRecord { bbox, score, .. } = record;
                notes.unresolved.push(Detection { image_id, category_id, bbox, score });
            }
            continue;
        };
        if record.bbox[2] < 0.0 || record.bbox[3] < 0.0 {
            notes.inverted += 1;
            notes.first_inverted.get_or_insert(record.index);
        }
        detections.push(Detection { image_id, category_id, bbox: record.bbox, score: record.score });
    }
    notes.remarks = number_note.into_iter().chain(scores::remarks(&detections)).collect();
    Ok((detections, notes))
}

/// The id of the image of a result, if the dataset has it. A file name counts more than an image id of another image:
/// ultralytics writes a numeric stem as number next to the file name, which need not be the id.
fn image_of(
    record: &ResultRecord,
    targets: &ResultTargets,
    by_number: &HashMap<i64, i64>,
    notes: &mut ResultNotes,
) -> Result<Option<i64>, EvaluationError> {
    let find = |name: &str| {
        targets
            .names
            .find(name)
            .map_err(|source| EvaluationError::AmbiguousImage { index: record.index, source })
    };
    let id = record.image.number().filter(|id| targets.image_ids.contains(id));
    if let Some(name) = &record.file_name {
        let is_stem = |id: i64| file_stem(name).parse() == Ok(id);
        match (targets.names.find(name), id) {
            (Ok(Some(named)), id) => {
                if let Some(id) = id.filter(|&id| id != named && !is_stem(id)) {
                    notes.other_ids.add(record.index, id, name);
                }
                return Ok(Some(named));
            }
            (Err(_), Some(id)) if targets.names.is_named(id, name) => return Ok(Some(id)),
            // An id that is only the stem is no other information than the name.
            (Err(source), id) if id.is_none_or(is_stem) => {
                return Err(EvaluationError::AmbiguousImage { index: record.index, source });
            }
            (_, Some(id)) => {
                if !is_stem(id) {
                    notes.other_names.add(record.index, id, name);
                }
                return Ok(Some(id));
            }
            _ => {}
        }
    }
    match &record.image {
        Id::Number(id) if targets.image_ids.contains(id) => Ok(Some(*id)),
        Id::Number(id) => match by_number.get(id) {
            Some(image_id) => {
                notes.by_number += 1;
                Ok(Some(*image_id))
            }
            None => find(&id.to_string()),
        },
        Id::Text(text) => match targets.text_ids.get(&**text) {
            Some(id) => Ok(Some(*id)),
            None => find(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use picodet_format::coco::{DEFAULT_LIMIT, ImageNames, read_result_records};

    use super::*;
    use crate::types::Category;

    fn targets() -> ResultTargets {
        let files = [(1, "cam1/a.png".to_owned()), (2, "cam2/a.png".to_owned()), (7, "17.jpg".to_owned())];
        ResultTargets {
            image_ids: files.iter().map(|(id, _)| *id).collect(),
            names: ImageNames::new(files),
            text_ids: [("img-7".to_owned(), 7)].into(),
            categories: vec![
                Category { id: 1, name: "cat".to_owned() },
                Category { id: 2, name: "dog".to_owned() },
            ],
        }
    }

    fn resolved(entries: &[(&str, &str)]) -> Result<(Vec<(i64, i64)>, ResultNotes), String> {
        let entries: Vec<String> = (entries.iter().enumerate())
            .map(|(index, (image, category))| {
                format!(r#"{{"image_id": {image}, "category_id": {category}, "bbox": [1, 2, 3, 4], "score": 0.{index}}}"#)
            })
            .collect();
        let text = format!("[{}]", entries.join(","));
        let records = read_result_records(text.as_bytes(), DEFAULT_LIMIT).expect("results");
        let (detections, notes) = resolve_results(records, &targets()).map_err(|error| error.to_string())?;
        notes.check().map_err(|error| error.to_string())?;
        let ids = detections.iter().map(|detection| (detection.image_id, detection.category_id)).collect();
        Ok((ids, notes))
    }

    #[test]
    fn images_and_categories_are_found_by_id_and_name() {
        let entries = [
            ("1", "1"),
            ("\"2\"", "\"2\""),
            ("7.0", "\"dog\""),
            ("\"img-7\"", "1"),
            ("\"cam2/a\"", "1"),
            ("\"17\"", "1"),
            ("17", "2"),
            ("\"d\\\\cam1\\\\a.png\"", "1"),
        ];
        let (ids, notes) = resolved(&entries).expect("resolved");
        assert_eq!(ids, [(1, 1), (2, 2), (7, 2), (7, 1), (2, 1), (7, 1), (7, 2), (1, 1)]);
        assert_eq!(notes.lines(), Vec::<String>::new());
        let error = resolved(&[("\"a\"", "1")]).err().unwrap_or_default();
        assert!(error.contains("cam1/a.png") && error.contains("cam2/a.png"), "{error}");
    }

    #[test]
    fn image_ids_and_file_names_of_different_images_are_named() {
        let lines = |entries: &[(&str, &str)]| {
            let entry = |(index, (id, name)): (usize, &(&str, &str))| {
                format!(
                    r#"{{"image_id": {id}, "file_name": "{name}", "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.{index}}}"#
                )
            };
            let entries = entries.iter().enumerate().map(entry);
            let text = format!("[{}]", entries.collect::<Vec<_>>().join(","));
            let records = read_result_records(text.as_bytes(), DEFAULT_LIMIT).expect("results");
            let (found, notes) = resolve_results(records, &targets()).map_err(|error| error.to_string())?;
            let ids = found.iter().map(|found| found.image_id).collect::<Vec<i64>>();
            Ok::<_, String>((ids, notes.lines().join("\n")))
        };
        let sound = [("1", "cam1/a.png"), ("7", "17.jpg"), ("17", "17.jpg"), ("2", "a.png")];
        assert_eq!(lines(&sound), Ok((vec![1, 7, 7, 2], String::new())));
        let (ids, found) =
            lines(&[("1", "cam1/a.png"), ("2", "cam1/a.png"), ("1", "17.jpg")]).expect("results");
        assert_eq!(ids, [1, 1, 7]);
        let expected = "2 of 3 detections have an `image_id` and a `file_name` of different images, the first: \
                        detection 1 has 2 and `cam1/a.png`; the file name counts";
        assert_eq!(found.lines().next(), Some(expected), "{found}");
        // An ambiguous name, and one that the dataset does not have.
        for name in ["a.png", "b.png"] {
            let (ids, found) = lines(&[("7", name)]).expect("results");
            assert!(ids == [7] && found.ends_with("the image id counts"), "{found}");
        }
        assert!(lines(&[("99", "a.png")]).is_err_and(|error| error.contains("`a.png` is ambiguous")));
    }

    #[test]
    fn inverted_boxes_and_empty_files_are_said() {
        let lines = |boxes: &[&str]| {
            let entry = |b: &&str| {
                format!(r#"{{"image_id": 1, "category_id": 1, "bbox": [{b}], "score": 0.{}}}"#, b.len())
            };
            let text = format!("[{}]", boxes.iter().map(entry).collect::<Vec<_>>().join(","));
            let records = read_result_records(text.as_bytes(), DEFAULT_LIMIT).expect("results");
            let (detections, notes) = resolve_results(records, &targets()).expect("resolved");
            assert_eq!(detections.len(), boxes.len());
            notes.lines().join("\n")
        };
        assert_eq!(lines(&["90, 40, 12, 12", "0, 0, 0, 0", "0.2, 0.1, 0.5, 0.5"]), "");
        assert_eq!(lines(&[]), "the file has no detections");
        let inverted = lines(&["1, 1, 5, 5", "30, 30, -20, 5"]);
        assert!(
            inverted.starts_with("1 of 2 boxes have a negative width or height, the first in detection 1;")
        );
    }

    #[test]
    fn image_ids_may_be_the_numbers_of_the_file_names() {
        let files = [(1, "000000011813.jpg"), (2, "000000000009.jpg"), (3, "000000000002.jpg")];
        let targets = ResultTargets {
            image_ids: [1, 2, 3].into(),
            names: ImageNames::new(files.map(|(id, name)| (id, name.to_owned()))),
            ..targets()
        };
        let resolved = |ids: &[&str]| {
            let entry = |(index, id): (usize, &&str)| {
                format!(r#"{{"image_id": {id}, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.{index}}}"#)
            };
            let text = format!("[{}]", ids.iter().enumerate().map(entry).collect::<Vec<_>>().join(","));
            let records = read_result_records(text.as_bytes(), DEFAULT_LIMIT).expect("results");
            let (found, notes) = resolve_results(records, &targets).expect("resolved");
            (found.iter().map(|found| found.image_id).collect::<Vec<i64>>(), notes.lines().join("\n"))
        };
        let (ids, lines) = resolved(&["11813", "\"9\"", "\"000000000002\""]);
        assert_eq!(ids, [1, 2, 3]);
        assert!(
            lines.starts_with("the image ids of 2 of 3 detections are the numbers of the file names"),
            "{lines}"
        );
        // One of the numbers is an id.
        let (_, lines) = resolved(&["11813", "2"]);
        assert!(lines.contains("image ids seem to be the numbers of the file names: 1 of 2"), "{lines}");
        assert_eq!(resolved(&["1", "2"]), (vec![1, 2], String::new()));
    }

    #[test]
    fn class_names_may_be_spelled_in_another_way() {
        let (ids, notes) = resolved(&[("1", "\"DOG\""), ("1", "\"cat\"")]).expect("resolved");
        assert_eq!(ids, [(1, 2), (1, 1)]);
        let lines = notes.lines().join("\n");
        assert!(
            lines.starts_with("the class names of 1 of 2 detections are spelled in another way"),
            "{lines}"
        );
        let error = resolved(&[("1", "\"cow\"")]).err().unwrap_or_default();
        assert!(error.contains("its classes are `cat`, `dog`"), "{error}");
        let twins = [(1, "traffic light"), (2, "a_b"), (3, "A b")];
        let twins = twins.map(|(id, name)| Category { id, name: name.to_owned() });
        let names = CategoryNames::new(&twins);
        assert_eq!(names.find("Traffic_Light"), Some((1, true)));
        assert_eq!((names.find("a_b"), names.find("A B")), (Some((2, false)), None));
    }

    #[test]
    fn detections_of_others_are_counted() {
        let (ids, notes) =
            resolved(&[("1", "1"), ("99", "1"), ("1", "0"), ("1", "\"cow\"")]).expect("resolved");
        assert_eq!((ids.len(), notes.unknown_images, notes.unknown_categories), (1, 1, 2));
        let lines = notes.lines().join("\n");
        assert!(
            lines.contains("1 of 4 detections belong to images") && lines.contains("image_id 99"),
            "{lines}"
        );
        assert!(lines.contains("2 of 4 detections have category ids"), "{lines}");
        let error = resolved(&[("1", "0"), ("2", "0")]).err().unwrap_or_default();
        let expected =
            "2 of 2 detections have category ids that the dataset does not have (0); its ids are 1, 2";
        assert!(error.starts_with(expected), "{error}");
        assert!(resolved(&[("99", "1")]).is_err_and(|error| error.contains("image_id 99")));
        assert!(resolved(&[("\"x\"", "1")]).is_err_and(|error| error.contains("`x`")));
    }
}
