//! Streams annotation files, entry by entry.

use std::fmt;
use std::io::{BufReader, Read};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::list::{CurrentEntry, Each};
use super::{Annotation, Category, FieldError, Image, JsonError};
use crate::json::JsonGuard;

/// Longest string or number of an annotation file in bytes.
pub(super) const MAX_TOKEN: u64 = 16 << 20;
/// Size of the read buffer in bytes.
pub(super) const BUFFER: usize = 1 << 18;

/// Receives the entries of an annotation file in the order of the file; indices are 0-based.
///
/// An error of a method ends the reading and is reported with the entry's index, line and column.
pub trait AnnotationSink {
    /// Receives an entry of `images`.
    ///
    /// # Errors
    /// [`FieldError`] to refuse the file.
    fn image(&mut self, index: usize, image: Image) -> Result<(), FieldError>;

    /// Receives an entry of `categories`.
    ///
    /// # Errors
    /// [`FieldError`] to refuse the file.
    fn category(&mut self, index: usize, category: Category) -> Result<(), FieldError>;

    /// Receives an entry of `annotations`.
    ///
    /// # Errors
    /// [`FieldError`] to refuse the file.
    fn annotation(&mut self, index: usize, annotation: Annotation) -> Result<(), FieldError>;
}

/// The lists that an annotation file contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sections {
    /// The file has `images`.
    pub images: bool,
    /// The file has `categories`.
    pub categories: bool,
    /// The file has `annotations`.
    pub annotations: bool,
}

/// Streams an annotation file to `sink`, with bounded depth, token length and memory.
///
/// # Errors
/// [`JsonError`] when the input is not an object with lists of entries, or `sink` refuses an entry.
pub fn read_annotations(
    mut reader: impl Read,
    sink: &mut impl AnnotationSink,
) -> Result<Sections, JsonError> {
    read_stream(&mut reader, sink)
}

/// Not generic, so that the parser is compiled here, where it is optimised for speed, and only once.
fn read_stream(reader: &mut dyn Read, sink: &mut dyn AnnotationSink) -> Result<Sections, JsonError> {
    let reader = BufReader::with_capacity(BUFFER, JsonGuard::new(reader, MAX_TOKEN));
    let entry = CurrentEntry::default();
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let result = deserializer.deserialize_map(TopLevel { sink, entry: &entry });
    let result = result.and_then(|sections| deserializer.end().map(|()| sections));
    result.map_err(|error| JsonError::new(error, entry.prefix()))
}

/// Reads an annotation file in memory, which is faster than [`read_annotations`].
///
/// # Errors
/// As [`read_annotations`].
pub fn read_annotations_from_slice(
    bytes: &[u8],
    sink: &mut impl AnnotationSink,
) -> Result<Sections, JsonError> {
    read_slice(bytes, sink)
}

fn read_slice(bytes: &[u8], sink: &mut dyn AnnotationSink) -> Result<Sections, JsonError> {
    let entry = CurrentEntry::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let result = deserializer.deserialize_map(TopLevel { sink, entry: &entry });
    let result = result.and_then(|sections| deserializer.end().map(|()| sections));
    result.map_err(|error| JsonError::in_slice(error, entry.prefix(), bytes))
}

/// Reads only the `images` of an annotation file.
///
/// # Errors
/// As [`read_annotations`], and when the file has no list `images`.
pub fn read_images(reader: impl Read) -> Result<Vec<Image>, JsonError> {
    struct Images(Vec<Image>);

    impl AnnotationSink for Images {
        fn image(&mut self, _: usize, image: Image) -> Result<(), FieldError> {
            self.0.push(image);
            Ok(())
        }

        fn category(&mut self, _: usize, _: Category) -> Result<(), FieldError> {
            Ok(())
        }

        fn annotation(&mut self, _: usize, _: Annotation) -> Result<(), FieldError> {
            Ok(())
        }
    }

    let mut images = Images(Vec::new());
    let sections = read_annotations(reader, &mut images)?;
    if !sections.images {
        return Err(JsonError::MissingList { field: "images" });
    }
    Ok(images.0)
}

/// The object at the top level.
struct TopLevel<'a> {
    sink: &'a mut dyn AnnotationSink,
    entry: &'a CurrentEntry,
}

impl<'de> Visitor<'de> for TopLevel<'_> {
    type Value = Sections;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `images`, `annotations` and `categories`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sections, A::Error> {
        let Self { sink, entry } = self;
        let mut sections = Sections::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "images" => {
                    sections.images = true;
                    map.next_value_seed(Each::new("image", entry, |index, image| sink.image(index, image)))?;
                }
                "categories" => {
                    sections.categories = true;
                    let receive = |index, category| sink.category(index, category);
                    map.next_value_seed(Each::new("category", entry, receive))?;
                }
                "annotations" => {
                    sections.annotations = true;
                    let receive = |index, annotation| sink.annotation(index, annotation);
                    map.next_value_seed(Each::new("annotation", entry, receive))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(sections)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::coco::{BoxValues, Id};

    /// Keeps all entries; refuses annotations without id.
    #[derive(Debug, Default, PartialEq)]
    struct Entries {
        images: Vec<Image>,
        categories: Vec<Category>,
        annotations: Vec<(usize, Annotation)>,
    }

    impl AnnotationSink for Entries {
        fn image(&mut self, _: usize, image: Image) -> Result<(), FieldError> {
            self.images.push(image);
            Ok(())
        }

        fn category(&mut self, _: usize, category: Category) -> Result<(), FieldError> {
            self.categories.push(category);
            Ok(())
        }

        fn annotation(&mut self, index: usize, annotation: Annotation) -> Result<(), FieldError> {
            annotation.id.as_ref().ok_or(FieldError::Missing("id"))?;
            self.annotations.push((index, annotation));
            Ok(())
        }
    }

    const FILE: &str = r#"{"info": {"year": [2017]},
"images": [{"id": 3.0, "file_name": "a.jpg", "width": 640, "height": 4.8e2}, {"id": null}],
"categories": [{"id": 7, "name": "cup", "supercategory": "kitchen"}],
"annotations": [
{"id": 1, "image_id": 3, "category_id": 7, "bbox": [0.1, 2, 3, null, 5], "iscrowd": true, "segmentation": [[1]]}]}"#;

    fn read(text: &str) -> Result<(Entries, Sections), String> {
        let mut streamed = Entries::default();
        let sections = read_annotations(text.as_bytes(), &mut streamed).map_err(|error| error.to_string());
        // The parsers count columns of some errors differently.
        let before_column = |error: &String| error.split(", column").next().map(str::to_owned);
        let mut sliced = Entries::default();
        let from_slice =
            read_annotations_from_slice(text.as_bytes(), &mut sliced).map_err(|error| error.to_string());
        assert_eq!(sections.as_ref().map_err(before_column), from_slice.as_ref().map_err(before_column));
        assert_eq!(format!("{streamed:?}"), format!("{sliced:?}"));
        sections.map(|sections| (streamed, sections))
    }

    #[test]
    fn entries_are_read_with_optional_fields() {
        let (entries, sections) = read(FILE).unwrap();
        assert_eq!(sections, Sections { images: true, categories: true, annotations: true });
        assert_eq!(
            (entries.images[0].id.clone(), entries.images[0].height),
            (Some(Id::Number(3)), Some(480.0))
        );
        assert_eq!(entries.images[1], Image::default());
        let (index, annotation) = &entries.annotations[0];
        assert_eq!((*index, annotation.iscrowd, annotation.area), (0, Some(1), None));
        let bbox = annotation.bbox.expect("a box");
        assert_eq!((bbox.count, bbox.values[0]), (5, 0.1));
        assert!(bbox.values[3].is_nan());
        assert_eq!(bbox.four(), Err(FieldError::BoxLength(5)));
        assert_eq!(BoxValues { count: 4, ..bbox }.four(), Err(FieldError::BoxNull));
        assert_eq!(read_images(FILE.as_bytes()).unwrap().len(), 2);
        let error = read_images(&b"{\"annotations\": []}"[..]).map_err(|error| error.to_string());
        assert!(error.as_ref().is_err_and(|error| error.contains("missing list `images`")), "{error:?}");
    }

    #[test]
    fn the_sink_and_the_parser_report_entry_and_position() {
        let cases = [
            (FILE.replace("\"id\": 1,", ""), ["annotation 0: line 5", "missing field `id`"]),
            (FILE.replace("[{\"id\": 7", "{\"id\": 7"), ["line 3", "a list with one category per entry"]),
            ("[]".to_owned(), ["line 1", "`images`"]),
        ];
        let failures: Vec<String> = (cases.iter())
            .filter_map(|(text, expected)| {
                let error = read(text).err().unwrap_or_default();
                (!expected.iter().all(|part| error.contains(part))).then(|| format!("{expected:?}: {error}"))
            })
            .collect();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    #[test]
    fn one_odd_value_is_not_the_end_of_the_file() {
        let odd = |entry: &[super::super::OddValue]| -> Vec<(&'static str, String)> {
            entry.iter().map(|odd| (odd.field, odd.found.clone())).collect()
        };
        let text = FILE.replace("\"images\": [", "\"images\": [7, ").replace("[0.1, 2, 3, null, 5]", "true");
        let (entries, _) = read(&text.replace("640", "\"wide\"")).unwrap();
        assert_eq!(odd(&entries.images[0].odd), [("", "7".to_owned())]);
        assert_eq!(odd(&entries.images[1].odd), [("width", "the text \"wide\"".to_owned())]);
        assert_eq!(odd(&entries.annotations[0].1.odd), [("bbox", "true".to_owned())]);
        let text = FILE.replace("[0.1, 2, 3, null, 5]", "[\"0.5\", {}, 3, 4]");
        let (entries, _) = read(&text.replace("\"kitchen\"", "[0]")).unwrap();
        let annotation = &entries.annotations[0].1;
        assert_eq!(odd(&annotation.odd), [("bbox", "an object".to_owned())]);
        assert_eq!(annotation.bbox.expect("a box").values[0], 0.5);
        assert_eq!(entries.categories[0].supercategory, None);
        let (entries, sections) = read("{\"images\": null, \"annotations\": []}").unwrap();
        assert_eq!((entries, sections.images), (Entries::default(), true));
    }

    #[test]
    fn every_prefix_is_refused() {
        let accepted: Vec<usize> = (0..FILE.len()).filter(|&cut| read(&FILE[..cut]).is_ok()).collect();
        assert!(accepted.is_empty(), "{accepted:?}");
    }

    proptest! {
        #[test]
        fn damaged_files_never_panic(at: prop::sample::Index, byte: u8) {
            let mut bytes = FILE.as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = read_annotations(&bytes[..], &mut Entries::default());
            let _ = read_annotations_from_slice(&bytes, &mut Entries::default());
        }
    }
}
