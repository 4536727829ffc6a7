//! The entries of an annotation file, with every field optional and of any type.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fields::{AnyBox, Attributes, BoxValues};
use super::grouped::{Boxes, Labels, Scores, boxes, labels, scores};
use super::value::{Id, OddValue, Scalar, keep};

/// Declares a record whose fields are converted from values of any type; values that cannot be converted are
/// listed in its field `odd`.
macro_rules! record {
    (
        $(#[$doc:meta])* $visibility:vis $name:ident, $visitor:ident, $key:ident, $expected:literal;
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $read:ident,)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        $visibility struct $name {
            $($(#[$field_doc])* $visibility $field: Option<$type>,)*
            /// Values that cannot be used.
            $visibility odd: Vec<OddValue>,
        }

        #[allow(non_camel_case_types)]
        enum $key {
            $($field,)*
            unknown,
        }

        impl<'de> Deserialize<'de> for $key {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct KeyVisitor;

                impl Visitor<'_> for KeyVisitor {
                    type Value = $key;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a field name")
                    }

                    fn visit_str<E>(self, name: &str) -> Result<$key, E> {
                        $(if name == stringify!($field) {
                            return Ok($key::$field);
                        })*
                        Ok($key::unknown)
                    }
                }

                deserializer.deserialize_identifier(KeyVisitor)
            }
        }

        struct $visitor;

        impl $visitor {
            fn no_object<E>(found: &Scalar) -> Result<$name, E> {
                Ok($name { odd: vec![OddValue { field: "", found: found.describe() }], ..$name::default() })
            }
        }

        impl<'de> Visitor<'de> for $visitor {
            type Value = $name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expected)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                let mut record = $name::default();
                while let Some(key) = map.next_key::<$key>()? {
                    match key {
                        $($key::$field => {
                            record.$field = $read(&mut map, stringify!($field), &mut record.odd)?;
                        })*
                        $key::unknown => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(record)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<$name, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Self::no_object(&Scalar::List)
            }

            fn visit_unit<E>(self) -> Result<$name, E> {
                Self::no_object(&Scalar::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<$name, E> {
                Self::no_object(&Scalar::Flag(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<$name, E> {
                Self::no_object(&Scalar::Integer(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<$name, E> {
                Self::no_object(&Scalar::Integer(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<$name, E> {
                Self::no_object(&Scalar::Number(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<$name, E> {
                Self::no_object(&Scalar::Text(value.to_owned()))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any($visitor)
            }
        }
    };
}

/// The value of a field, or `None` with an entry in the list of odd values.
type Field<T, E> = Result<Option<T>, E>;

pub(super) fn id<'de, A: MapAccess<'de>>(
    map: &mut A,
    name: &'static str,
    odd: &mut Vec<OddValue>,
) -> Field<Id, A::Error> {
    Ok(keep(map.next_value::<Scalar>()?.id(), name, odd))
}

pub(super) fn number<'de, A: MapAccess<'de>>(
    map: &mut A,
    name: &'static str,
    odd: &mut Vec<OddValue>,
) -> Field<f64, A::Error> {
    Ok(keep(map.next_value::<Scalar>()?.number(), name, odd))
}

fn flag<'de, A: MapAccess<'de>>(
    map: &mut A,
    name: &'static str,
    odd: &mut Vec<OddValue>,
) -> Field<i64, A::Error> {
    Ok(keep(map.next_value::<Scalar>()?.flag(), name, odd))
}

fn text<'de, A: MapAccess<'de>>(
    map: &mut A,
    name: &'static str,
    odd: &mut Vec<OddValue>,
) -> Field<String, A::Error> {
    Ok(keep(map.next_value::<Scalar>()?.text(), name, odd))
}

/// A text that is optional in COCO: values of other types are dropped.
pub(super) fn remark<'de, A: MapAccess<'de>>(
    map: &mut A,
    _: &'static str,
    _: &mut Vec<OddValue>,
) -> Field<String, A::Error> {
    Ok(map.next_value::<Scalar>()?.text().unwrap_or_default())
}

pub(super) fn bbox<'de, A: MapAccess<'de>>(
    map: &mut A,
    name: &'static str,
    odd: &mut Vec<OddValue>,
) -> Field<BoxValues, A::Error> {
    let found = map.next_value::<AnyBox>()?;
    odd.extend(found.odd.map(|found| OddValue { field: name, found }));
    Ok(keep(found.values, name, odd))
}

fn attributes<'de, A: MapAccess<'de>>(
    map: &mut A,
    _: &'static str,
    _: &mut Vec<OddValue>,
) -> Field<Attributes, A::Error> {
    map.next_value().map(Some)
}

record! {
    /// An entry of `images`.
    pub Image, ImageVisitor, ImageKey, "an image";
    /// Image id.
    id: Id = id,
    /// Path relative to the image folder.
    file_name: String = text,
    /// Path that some programs write besides or instead of `file_name`.
    path: String = remark,
    /// Width in pixels.
    width: f64 = number,
    /// Height in pixels.
    height: f64 = number,
}

record! {
    /// An entry of `categories`.
    pub Category, CategoryVisitor, CategoryKey, "a category";
    /// Category id.
    id: Id = id,
    /// Name.
    name: String = text,
    /// Name of the group of categories that it belongs to.
    supercategory: String = remark,
}

record! {
    /// An entry of `annotations`; the segmentation is skipped.
    pub Annotation, AnnotationVisitor, AnnotationKey, "an annotation";
    /// Annotation id.
    id: Id = id,
    /// Id of the image.
    image_id: Id = id,
    /// Id of the category.
    category_id: Id = id,
    /// `[x, y, width, height]` in pixels.
    bbox: BoxValues = bbox,
    /// Attributes of labelling tools.
    attributes: Attributes = attributes,
    /// Area of the segmentation in square pixels.
    area: f64 = number,
    /// 1 for a crowd region.
    iscrowd: i64 = flag,
    /// 1 for an object that an evaluation ignores.
    ignore: i64 = flag,
    /// 1 for an object marked difficult (VOC).
    difficult: i64 = flag,
    /// 1 for an object marked truncated (VOC).
    truncated: i64 = flag,
}

record! {
    /// An entry of a results file.
    pub(super) AnyResult, ResultVisitor, ResultKey, "a detection";
    /// Image id, file name or its stem.
    image_id: Id = id,
    /// Category id or name.
    category_id: Id = id,
    /// `[x, y, width, height]` in pixels.
    bbox: BoxValues = bbox,
    /// Confidence.
    score: f64 = number,
    /// File name of the image.
    file_name: String = remark,
    /// Boxes of an image, in the form of torchvision.
    boxes: Boxes = boxes,
    /// Category ids of these boxes.
    labels: Labels = labels,
    /// Scores of these boxes.
    scores: Scores = scores,
}
