//! The models inside the library, so that a first detection needs neither a file nor a network.

use picodet_detect::{Error, Model};

/// Name of the model of [`default_model`].
pub const DEFAULT_MODEL: &str = "coco_s_416";

/// Name of the model of [`layout_model`].
pub const LAYOUT_MODEL: &str = "layout_cdla";

/// A model inside the library; NOTICE gives its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbeddedModel {
    /// The name under which `--model` and [`embedded_model`] find it.
    pub name: &'static str,
    /// Summary of the objects that the model detects, in one line.
    pub summary: &'static str,
    /// The native model file.
    pub bytes: &'static [u8],
}

/// All models inside the library; [`default_model`] is the first.
pub static EMBEDDED_MODELS: [EmbeddedModel; 2] = [
    EmbeddedModel {
        name: DEFAULT_MODEL,
        summary: "the 80 classes of COCO: people, vehicles, animals, furniture, food, …",
        bytes: include_bytes!("../models/coco_s_416.safetensors"),
    },
    EmbeddedModel {
        name: LAYOUT_MODEL,
        summary: "10 classes of regions on document pages: text, title, figure, table, …",
        bytes: include_bytes!("../models/layout_cdla.safetensors"),
    },
];

impl EmbeddedModel {
    /// Reads the model.
    ///
    /// # Errors
    /// None in a build whose tests pass; the bytes are checked like those of any file.
    pub fn open(&self) -> Result<Model, Error> {
        Ok(Model::from_bytes(self.bytes)?)
    }
}

/// Returns the embedded model of a name (see [`EMBEDDED_MODELS`]); `None` if there is none.
#[must_use]
pub fn embedded_model(name: &str) -> Option<&'static EmbeddedModel> {
    EMBEDDED_MODELS.iter().find(|model| model.name == name)
}

/// Returns the embedded model for photos: PicoDet-S at 416 x 416 pixels, trained on the 80 classes of COCO.
///
/// # Errors
/// As [`EmbeddedModel::open`].
pub fn default_model() -> Result<Model, Error> {
    EMBEDDED_MODELS[0].open()
}

/// Returns the embedded model for document pages, which finds text, titles, figures, tables, captions and equations.
///
/// # Errors
/// As [`EmbeddedModel::open`].
pub fn layout_model() -> Result<Model, Error> {
    EMBEDDED_MODELS[1].open()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_model_is_found_by_its_name() {
        for model in &EMBEDDED_MODELS {
            assert_eq!(embedded_model(model.name), Some(model));
            let opened = model.open().expect("a sound model");
            assert_eq!(opened.metadata.licence, "Apache-2.0", "{}", model.name);
            assert!(opened.metadata.folded, "{}", model.name);
        }
        assert_eq!(embedded_model("legacy_s_416"), None);
    }

    #[test]
    fn the_default_is_for_photos_and_the_layout_model_for_pages() {
        let default = default_model().expect("a sound model").metadata;
        assert_eq!((default.variant.as_str(), default.input_size), ("legacy_s_416", (416, 416)));
        assert_eq!((default.classes.len(), default.classes[0].as_str()), (80, "person"));
        assert_eq!(default.category_ids.last(), Some(&90));
        let layout = layout_model().expect("a sound model").metadata;
        assert_eq!((layout.variant.as_str(), layout.classes.len()), (LAYOUT_MODEL, 10));
    }

    #[test]
    fn together_they_have_at_most_three_megabytes_and_a_fifth() {
        let bytes: usize = EMBEDDED_MODELS.iter().map(|model| model.bytes.len()).sum();
        assert!(bytes <= 3_200_000, "{bytes}");
    }
}
