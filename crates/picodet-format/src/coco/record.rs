//! The entries of an annotation file, with every field optional.

use serde::Deserialize;

use super::FieldError;
use super::fields::optional_integer;

/// An entry of `images`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Image {
    /// Image id.
    #[serde(default, deserialize_with = "optional_integer")]
    pub id: Option<i64>,
    /// Path relative to the image folder.
    pub file_name: Option<String>,
    /// Width in pixels.
    pub width: Option<f64>,
    /// Height in pixels.
    pub height: Option<f64>,
}

/// An entry of `categories`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Category {
    /// Category id.
    #[serde(default, deserialize_with = "optional_integer")]
    pub id: Option<i64>,
    /// Name.
    pub name: Option<String>,
    /// Name of the group of categories that it belongs to.
    pub supercategory: Option<String>,
}

/// An entry of `annotations`; the segmentation is skipped.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Annotation {
    /// Annotation id.
    #[serde(default, deserialize_with = "optional_integer")]
    pub id: Option<i64>,
    /// Id of the image.
    #[serde(default, deserialize_with = "optional_integer")]
    pub image_id: Option<i64>,
    /// Id of the category.
    #[serde(default, deserialize_with = "optional_integer")]
    pub category_id: Option<i64>,
    /// `[x, y, width, height]` in pixels.
    pub bbox: Option<BoxValues>,
    /// Area of the segmentation in square pixels.
    pub area: Option<f64>,
    /// 1 for a crowd region.
    #[serde(default, deserialize_with = "optional_integer")]
    pub iscrowd: Option<i64>,
    /// 1 for an object that an evaluation ignores.
    #[serde(default, deserialize_with = "optional_integer")]
    pub ignore: Option<i64>,
    /// 1 for an object marked difficult (VOC).
    #[serde(default, deserialize_with = "optional_integer")]
    pub difficult: Option<i64>,
    /// 1 for an object marked truncated (VOC).
    #[serde(default, deserialize_with = "optional_integer")]
    pub truncated: Option<i64>,
}

/// The values of a box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxValues {
    /// The first four values; NaN where the file has `null` or fewer values.
    pub values: [f64; 4],
    /// The number of values in the file.
    pub count: usize,
}

impl BoxValues {
    /// The four values.
    ///
    /// # Errors
    /// [`FieldError`] when there are more or fewer than four values, or one is `null`.
    pub fn four(self) -> Result<[f64; 4], FieldError> {
        match self {
            Self { count, .. } if count != 4 => Err(FieldError::BoxLength(count)),
            Self { values, .. } if values.iter().any(|value| value.is_nan()) => Err(FieldError::BoxNull),
            Self { values, .. } => Ok(values),
        }
    }
}
