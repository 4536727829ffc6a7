//! The detections of one image: a list that can be drawn and written as JSON.

use std::ops::Deref;
use std::path::Path;

use picodet_format::write_atomically;
use picodet_image::{Fonts, Image, Label, class_colour, encode_jpeg, encode_png};
use serde::Serialize;

use crate::{Detection, Error};

/// Maximum width and height of JPEG files in pixels.
const MAX_JPEG_SIDE: usize = 65_535;
/// Quality of JPEG files, 1 to 100.
const JPEG_QUALITY: u8 = 92;

/// The detections of one image, ordered by class, then by falling score.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Detections(Vec<Detection>);

impl Detections {
    /// Returns a copy of `image` with the detections drawn in: boxes in the colours of the classes, with name and score. Boxes
    /// are in pixels of [`Image::source_size`].
    #[must_use]
    pub fn draw(&self, image: &Image) -> Drawing {
        self.draw_with(image, &Fonts::default())
    }

    /// Draws as [`Detections::draw`] does, with the given fonts. Where no font has a character of a class name, the class
    /// index is drawn, as in `#12`; see [`Fonts::missing`].
    #[must_use]
    pub fn draw_with(&self, image: &Image, fonts: &Fonts) -> Drawing {
        let mut worst_first: Vec<&Detection> = self.iter().collect();
        worst_first.sort_by(|a, b| a.score.total_cmp(&b.score));
        let (source_width, source_height) = image.source_size();
        let scale =
            [image.width() as f32 / source_width as f32, image.height() as f32 / source_height as f32];
        let label = |found: &&Detection| {
            let [x1, y1, x2, y2] = found.bbox.xyxy();
            let bbox = [x1 * scale[0], y1 * scale[1], x2 * scale[0], y2 * scale[1]];
            let text = format!("{} {:.2}", found.label, found.score);
            let label = Label::new(bbox, text, class_colour(found.class));
            label.with_fallback(format!("#{} {:.2}", found.class, found.score))
        };
        let labels: Vec<_> = worst_first.iter().map(label).collect();
        Drawing(picodet_image::draw_with(image, &labels, fonts))
    }

    /// Returns the detections as a JSON array of objects with `class`, `name`, `score` and `box` `[x1, y1, x2, y2]`.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Serialising fails only for maps with keys that are no strings and for writers that fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Returns references to the detections, best score first.
    #[must_use]
    pub fn by_score(&self) -> Vec<&Detection> {
        let mut detections: Vec<&Detection> = self.iter().collect();
        detections.sort_by(|a, b| b.score.total_cmp(&a.score));
        detections
    }
}

impl Deref for Detections {
    type Target = [Detection];

    fn deref(&self) -> &[Detection] {
        &self.0
    }
}

impl From<Vec<Detection>> for Detections {
    fn from(detections: Vec<Detection>) -> Self {
        Self(detections)
    }
}

impl FromIterator<Detection> for Detections {
    fn from_iter<I: IntoIterator<Item = Detection>>(detections: I) -> Self {
        Self(detections.into_iter().collect())
    }
}

impl IntoIterator for Detections {
    type Item = Detection;
    type IntoIter = std::vec::IntoIter<Detection>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Detections {
    type Item = &'a Detection;
    type IntoIter = std::slice::Iter<'a, Detection>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// An image with detections drawn in. Dereferences to the [`Image`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing(Image);

impl Drawing {
    /// Writes the drawing to a file, atomically: the file is complete or absent. The format follows the extension:
    /// `.jpg` and `.jpeg` are JPEG, everything else is PNG.
    ///
    /// # Errors
    /// [`Error::Write`] when the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let write = |source| Error::Write { path: path.display().to_string(), source };
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        let bytes = match extension.to_str() {
            Some("jpg" | "jpeg") if self.0.width().max(self.0.height()) > MAX_JPEG_SIDE => {
                let problem = format!("JPEG has at most {MAX_JPEG_SIDE} pixels per side; write a .png file");
                return Err(write(std::io::Error::new(std::io::ErrorKind::InvalidInput, problem)));
            }
            Some("jpg" | "jpeg") => encode_jpeg(&self.0, JPEG_QUALITY),
            _ => encode_png(&self.0),
        };
        write_atomically(path, &bytes).map_err(write)
    }

    /// Returns the image.
    #[must_use]
    pub fn into_image(self) -> Image {
        self.0
    }
}

impl Deref for Drawing {
    type Target = Image;

    fn deref(&self) -> &Image {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageBox, ScoredBox};

    fn detections() -> Detections {
        let found = |class, score, x| ScoredBox { class, score, bbox: ImageBox([x, 1.0, x + 8.0, 9.5]) };
        [("text", found(0, 0.5, 0.0)), ("a \"b\"", found(1, 0.75, 20.0))]
            .map(|(label, found)| Detection::new(label, found))
            .into_iter()
            .collect()
    }

    #[test]
    fn json_has_class_name_score_and_box() {
        let expected = concat!(
            r#"[{"class":0,"name":"text","score":0.5,"box":[0.0,1.0,8.0,9.5]},"#,
            r#"{"class":1,"name":"a \"b\"","score":0.75,"box":[20.0,1.0,28.0,9.5]}]"#
        );
        assert_eq!(detections().to_json(), expected);
        assert_eq!(Detections::default().to_json(), "[]");
    }

    #[test]
    fn lists_are_iterated_by_value_and_by_reference() {
        let list = detections();
        let labels: Vec<&str> = (&list).into_iter().map(|found| &*found.label).collect();
        assert_eq!((labels, list.len()), (vec!["text", "a \"b\""], 2));
        assert_eq!(list.by_score()[0].class, 1);
        assert_eq!(list.into_iter().map(|found| found.class).sum::<usize>(), 1);
    }

    #[test]
    #[cfg_attr(target_os = "wasi", ignore = "there is no folder for temporary files")]
    fn drawings_are_written_in_the_format_of_their_extension() {
        let image = Image::filled(60, 40, [255; 3]);
        let drawing = detections().draw(&image);
        assert_ne!(*drawing, image);
        let folder = tempfile::tempdir().expect("a folder");
        for (name, start) in [("a.png", &b"\x89PNG"[..]), ("b.JPG", b"\xff\xd8"), ("c", b"\x89PNG")] {
            let path = folder.path().join(name);
            drawing.save(&path).expect("a file");
            assert!(std::fs::read(&path).expect("the file").starts_with(start), "{name}");
        }
        let missing = folder.path().join("no/folder.png");
        let error = drawing.save(&missing).expect_err("the folder does not exist").to_string();
        assert!(error.starts_with(&missing.display().to_string()), "{error}");
    }
}
