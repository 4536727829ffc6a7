//! Streams annotation files, entry by entry.

use std::io::Read;

use super::entries::split;
use super::{Annotation, Category, FieldError, Image, JsonError};

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

/// Not generic, so that the parser is compiled once, in this crate, which is optimised for speed.
fn read_stream(reader: &mut dyn Read, sink: &mut dyn AnnotationSink) -> Result<Sections, JsonError> {
    let mut sections = Sections::default();
    let kinds = [("images", "image"), ("categories", "category"), ("annotations", "annotation")];
    split(reader, &kinds, &mut |list, entry| {
        let Some(entry) = entry else {
            let section = match list {
                "images" => &mut sections.images,
                "categories" => &mut sections.categories,
                _ => &mut sections.annotations,
            };
            *section = true;
            return Ok(());
        };
        let received = match list {
            "images" => sink.image(entry.index, entry.parse()?),
            "categories" => sink.category(entry.index, entry.parse()?),
            _ => sink.annotation(entry.index, entry.parse()?),
        };
        received.map_err(|error| entry.refused(&error))
    })?;
    Ok(sections)
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

    /// Reads a file in blocks of any size.
    struct Blocks<'a> {
        text: &'a [u8],
        size: usize,
    }

    impl Read for Blocks<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let count = self.size.min(out.len());
            self.text.read(&mut out[..count])
        }
    }

    fn read_in_blocks(text: &str, size: usize) -> Result<(Entries, Sections), String> {
        let mut entries = Entries::default();
        let sections = read_annotations(Blocks { text: text.as_bytes(), size }, &mut entries);
        sections.map(|sections| (entries, sections)).map_err(|error| error.to_string())
    }

    fn read(text: &str) -> Result<(Entries, Sections), String> {
        let whole = read_in_blocks(text, usize::MAX);
        for size in [1, 2, 7] {
            // NaN differs from itself.
            assert_eq!(
                format!("{:?}", read_in_blocks(text, size)),
                format!("{whole:?}"),
                "in blocks of {size}"
            );
        }
        whole
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
        }
    }
}
