//! The dataset formats: one folder per format with its reader, its writer and its handler.
//!
//! A new format is a folder with a [`handler::FormatHandler`] and a line in [`HANDLERS`].

pub mod coco;
pub(crate) mod handler;
pub mod labelme;
pub(crate) mod other_labels;
mod raw_entry;
pub mod voc;
pub mod yolo;

use std::str::FromStr;

use handler::{FormatHandler, ObjectSource};

use crate::dataset::{Dataset, Format, display};
use crate::error::DataError;
use crate::finding::Location;
use crate::image_file::{ImageHeader, ImageSource};

/// The formats in the order in which they are recognised.
pub(crate) static HANDLERS: [&dyn FormatHandler; 4] =
    [&yolo::YoloHandler, &voc::VocHandler, &coco::CocoHandler, &labelme::LabelMeHandler];

/// Returns the handler of a format.
pub(crate) fn handler_of(format: Format) -> &'static dyn FormatHandler {
    let found = HANDLERS.into_iter().find(|handler| handler.format() == format);
    // Formats exist only as constants of the handlers' modules.
    found.unwrap_or(&coco::CocoHandler)
}

impl Format {
    /// Iterates over all formats.
    pub fn all() -> impl Iterator<Item = Self> {
        HANDLERS.into_iter().map(FormatHandler::format)
    }
}

impl FromStr for Format {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let found = Self::all().find(|format| format.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| {
            let mut names: Vec<&str> = Self::all().map(Self::name).collect();
            names.sort_unstable();
            let what = format!("unknown format `{text}`; expected one of: {}", names.join(", "));
            DataError::BadArgument { what }
        })
    }
}

impl Dataset {
    /// Returns the bytes of an image that is embedded in its label file (LabelMe's `imageData`).
    #[must_use]
    pub fn embedded_image(&self, index: usize) -> Option<Vec<u8>> {
        handler_of(self.format).embedded_image(self, index)
    }

    /// Returns the file of an image, or the image that is embedded in its label file if the file does not exist; `None`
    /// if there is neither.
    pub(crate) fn image_source(&self, index: usize) -> Option<ImageSource> {
        let path = self.image_path(index)?;
        if path.is_file() {
            return Some(ImageSource::File(path));
        }
        self.embedded_image(index).map(ImageSource::Embedded)
    }

    /// Reads the header of an image, of its file or embedded; `None` if it cannot be read.
    pub(crate) fn image_header(&self, index: usize) -> Option<ImageHeader> {
        self.image_source(index)?.header().ok()
    }

    /// Reads the file of an image, or the image that is embedded in its label file if the file is absent.
    ///
    /// # Errors
    /// The error of reading the file, if there is no embedded image.
    pub fn read_image(&self, index: usize) -> std::io::Result<Vec<u8>> {
        let absent = || std::io::Error::new(std::io::ErrorKind::NotFound, "no such image in the dataset");
        let path = self.image_path(index).ok_or_else(absent)?;
        match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.embedded_image(index).ok_or(error)
            }
            other => other,
        }
    }

    /// Position of an image in the label files.
    #[must_use]
    pub fn image_location(&self, image: usize) -> Location {
        let Some(record) = self.images.get(image) else {
            return Location::default();
        };
        match (&self.annotations, &record.label) {
            (Some(annotations), _) if handler_of(self.format).conventions().single_file => {
                Location::pointer(display(annotations), format!("/images/{}", record.source))
            }
            (None, Some(label)) if handler_of(self.format).conventions().single_file => {
                Location::pointer(display(&self.root.join(label)), format!("/images/{}", record.source))
            }
            (_, Some(label)) => Location::file(display(&self.root.join(label))),
            _ => Location::file(display(&self.root.join(&record.file))),
        }
    }

    /// Position of an object in the label files.
    #[must_use]
    pub fn object_location(&self, image: usize, object: usize) -> Location {
        let location = self.image_location(image);
        let Some(object) = self.images.get(image).and_then(|image| image.objects.get(object)) else {
            return location;
        };
        match handler_of(self.format).conventions().object_source {
            ObjectSource::Element(list) => {
                Location { pointer: Some(format!("{list}/{}", object.source)), ..location }
            }
            ObjectSource::Line => Location { line: Some(u64::from(object.source)), ..location },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_one_handler_and_a_unique_name() {
        for format in Format::all() {
            let same = HANDLERS.iter().filter(|handler| handler.format().name() == format.name()).count();
            assert_eq!((same, format.name().parse::<Format>().ok()), (1, Some(format)));
            assert_eq!(handler_of(format).format(), format);
        }
        let error = "csv".parse::<Format>().map_err(|error| error.to_string());
        assert_eq!(error, Err("unknown format `csv`; expected one of: coco, labelme, voc, yolo".to_owned()));
    }
}
