//! Deserialises integers, flags and boxes as annotation tools write them.

use std::fmt;

use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, de};

use super::BoxValues;

/// An integer; `7.0`, `true` and `false` are accepted as 7, 1 and 0.
pub(super) struct Integer(pub(super) i64);

struct IntegerVisitor;

impl Visitor<'_> for IntegerVisitor {
    type Value = Integer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_i64<E>(self, value: i64) -> Result<Integer, E> {
        Ok(Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Integer, E> {
        i64::try_from(value).map(Integer).map_err(|_| E::custom("an integer below 2^63 is expected"))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Integer, E> {
        // Doubles represent every integer up to 2^53, about 9e15.
        if value.fract() == 0.0 && value.abs() < 9e15 {
            Ok(Integer(value as i64))
        } else {
            Err(E::custom(format!("an integer is expected, not {value}")))
        }
    }

    fn visit_bool<E>(self, value: bool) -> Result<Integer, E> {
        Ok(Integer(i64::from(value)))
    }
}

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IntegerVisitor)
    }
}

pub(super) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Integer::deserialize(deserializer).map(|Integer(value)| value)
}

pub(super) fn optional_integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(Option::<Integer>::deserialize(deserializer)?.map(|Integer(value)| value))
}

impl<'de> Deserialize<'de> for BoxValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BoxVisitor;

        impl<'de> Visitor<'de> for BoxVisitor {
            type Value = BoxValues;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[x, y, width, height]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<BoxValues, A::Error> {
                let mut found = BoxValues { values: [f64::NAN; 4], count: 0 };
                while found.count < 4 {
                    let Some(value) = list.next_element::<Option<f64>>()? else {
                        return Ok(found);
                    };
                    found.values[found.count] = value.unwrap_or(f64::NAN);
                    found.count += 1;
                }
                while list.next_element::<IgnoredAny>()?.is_some() {
                    found.count += 1;
                }
                Ok(found)
            }
        }

        de::Deserializer::deserialize_seq(deserializer, BoxVisitor)
    }
}
