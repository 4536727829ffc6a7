//! Deserialises boxes as annotation tools write them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::FieldError;
use super::value::{Converted, Scalar};

/// The values of a box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxValues {
    /// The first four values; NaN where the file has `null`, another value, or fewer values.
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

/// The part of `attributes` that places an object.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Attributes {
    /// The angle in degrees by which the box is rotated around its centre, as CVAT writes it.
    pub rotation: Option<f64>,
}

impl<'de> Deserialize<'de> for Attributes {
    /// Values other than objects have no attributes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Any {
            Fields { rotation: Scalar },
            Other(IgnoredAny),
        }
        let rotation = match Any::deserialize(deserializer)? {
            Any::Fields { rotation } => rotation.number().ok().flatten(),
            Any::Other(_) => None,
        };
        Ok(Self { rotation: rotation.filter(|degrees| degrees.is_finite() && *degrees != 0.0) })
    }
}

/// A box, null, or a description of a value of another kind.
pub(super) struct AnyBox {
    /// The box, if there is one.
    pub(super) values: Converted<BoxValues>,
    /// A value in the box that is not a number.
    pub(super) odd: Option<String>,
}

struct BoxVisitor;

impl BoxVisitor {
    fn other(scalar: &Scalar) -> AnyBox {
        AnyBox { values: Err(scalar.describe()), odd: None }
    }
}

impl<'de> Visitor<'de> for BoxVisitor {
    type Value = AnyBox;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[x, y, width, height]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<AnyBox, A::Error> {
        let mut found = BoxValues { values: [f64::NAN; 4], count: 0 };
        let mut odd = None;
        while found.count < 4 {
            let Some(value) = list.next_element::<Scalar>()? else {
                return Ok(AnyBox { values: Ok(Some(found)), odd });
            };
            match value.number() {
                Ok(value) => found.values[found.count] = value.unwrap_or(f64::NAN),
                Err(text) => odd = odd.or(Some(text)),
            }
            found.count += 1;
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            found.count += 1;
        }
        Ok(AnyBox { values: Ok(Some(found)), odd })
    }

    /// Accepts `"[1, 2, 3, 4]"` and `"1 2 3 4"`.
    fn visit_str<E>(self, text: &str) -> Result<AnyBox, E> {
        let inner = text.trim().trim_start_matches(['[', '(']).trim_end_matches([']', ')']);
        let separators = |c: char| c == ',' || c == ';' || c.is_whitespace();
        let numbers: Result<Vec<f64>, _> =
            inner.split(separators).filter(|part| !part.is_empty()).map(str::parse::<f64>).collect();
        let Ok(numbers) = numbers else {
            return Ok(Self::other(&Scalar::Text(text.to_owned())));
        };
        let mut found = BoxValues { values: [f64::NAN; 4], count: numbers.len() };
        found.values.iter_mut().zip(numbers).for_each(|(value, number)| *value = number);
        Ok(AnyBox { values: Ok(Some(found)), odd: None })
    }

    fn visit_unit<E>(self) -> Result<AnyBox, E> {
        Ok(AnyBox { values: Ok(None), odd: None })
    }

    fn visit_bool<E>(self, value: bool) -> Result<AnyBox, E> {
        Ok(Self::other(&Scalar::Flag(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<AnyBox, E> {
        Ok(Self::other(&Scalar::Integer(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<AnyBox, E> {
        Ok(Self::other(&Scalar::Integer(value.into())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<AnyBox, E> {
        Ok(Self::other(&Scalar::Number(value)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyBox, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::other(&Scalar::Object))
    }
}

impl<'de> Deserialize<'de> for AnyBox {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BoxVisitor)
    }
}
