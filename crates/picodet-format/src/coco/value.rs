//! JSON values of any type, converted to ids, numbers, flags and texts as annotation tools write them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A value that cannot be used, which is treated as missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OddValue {
    /// The field; empty if the whole entry is not an object.
    pub field: &'static str,
    /// A description of the value, as in `the text "abc"`.
    pub found: String,
}

/// The id of an image, category or annotation: an integer in COCO, a text in the files of some tools.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    /// An integer; `7.0` and `"7"` are accepted as 7.
    Number(i64),
    /// Any other text, and integers beyond 64 bits.
    Text(Box<str>),
}

impl Id {
    /// The integer; `None` for a text.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
    }

    /// Converts a text: `"7"` and `"7.0"` are the number 7, `"007"` is a text.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let text = text.trim();
        let whole = text.strip_suffix(".0").unwrap_or(text);
        match whole.parse::<i64>() {
            Ok(number) if number.to_string() == whole => Self::Number(number),
            _ => Self::Text(text.into()),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "`{}`", text.chars().take(40).collect::<String>()),
        }
    }
}

/// A JSON value; lists and objects are skipped.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Flag(bool),
    Integer(i128),
    Number(f64),
    Text(String),
    List,
    Object,
}

/// The result of a conversion: a value, `None` for null, or a description of a value of another kind.
pub(super) type Converted<T> = Result<Option<T>, String>;

/// Doubles represent every integer up to 2^53, about 9e15.
const EXACT: f64 = 9e15;

impl Scalar {
    pub(super) fn id(self) -> Converted<Id> {
        Ok(Some(match self {
            Self::Null => return Ok(None),
            Self::Flag(flag) => Id::Number(i64::from(flag)),
            Self::Integer(value) => {
                i64::try_from(value).map_or_else(|_| Id::Text(value.to_string().into()), Id::Number)
            }
            Self::Number(value) if value.fract() == 0.0 && value.abs() < EXACT => Id::Number(value as i64),
            Self::Number(value) => Id::Text(value.to_string().into()),
            Self::Text(text) if text.trim().is_empty() => return Err(shown(&text)),
            Self::Text(text) => Id::from_text(&text),
            Self::List | Self::Object => return Err(self.describe()),
        }))
    }

    pub(super) fn number(self) -> Converted<f64> {
        match self {
            Self::Null => Ok(None),
            Self::Integer(value) => Ok(Some(value as f64)),
            Self::Number(value) => Ok(Some(value)),
            Self::Text(text) => {
                let value = text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
                value.map(Some).ok_or_else(|| shown(&text))
            }
            _ => Err(self.describe()),
        }
    }

    pub(super) fn flag(self) -> Converted<i64> {
        match self {
            Self::Null => Ok(None),
            Self::Flag(flag) => Ok(Some(i64::from(flag))),
            Self::Integer(value) => i64::try_from(value).map(Some).map_err(|_| value.to_string()),
            Self::Number(value) if value.fract() == 0.0 && value.abs() < EXACT => Ok(Some(value as i64)),
            Self::Number(value) => Err(value.to_string()),
            Self::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "" => Ok(None),
                "true" | "yes" | "1.0" => Ok(Some(1)),
                "false" | "no" | "0.0" => Ok(Some(0)),
                other => other.parse().map(Some).map_err(|_| shown(&text)),
            },
            Self::List | Self::Object => Err(self.describe()),
        }
    }

    pub(super) fn text(self) -> Converted<String> {
        match self {
            Self::Null => Ok(None),
            Self::Flag(flag) => Ok(Some(flag.to_string())),
            Self::Integer(value) => Ok(Some(value.to_string())),
            Self::Number(value) => Ok(Some(value.to_string())),
            Self::Text(text) => Ok(Some(text)),
            Self::List | Self::Object => Err(self.describe()),
        }
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Flag(flag) => flag.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Text(text) => shown(text),
            Self::List => "a list".to_owned(),
            Self::Object => "an object".to_owned(),
        }
    }
}

fn shown(text: &str) -> String {
    format!("the text \"{}\"", text.chars().take(40).collect::<String>().escape_debug())
}

/// Stores a converted value, or adds it to `odd`.
pub(super) fn keep<T>(found: Converted<T>, field: &'static str, odd: &mut Vec<OddValue>) -> Option<T> {
    found.unwrap_or_else(|found| {
        odd.push(OddValue { field, found });
        None
    })
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;

        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar::Flag(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar::Integer(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar::Integer(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar::Number(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(value.to_owned()))
            }

            fn visit_string<E>(self, value: String) -> Result<Scalar, E> {
                Ok(Scalar::Text(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Object)
            }
        }

        deserializer.deserialize_any(ScalarVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(json: &str) -> Scalar {
        serde_json::from_str(json).expect("JSON")
    }

    #[test]
    fn ids_are_numbers_or_texts() {
        let text = |text: &str| Ok(Some(Id::Text(text.into())));
        let cases = [
            ("7", Ok(Some(Id::Number(7)))),
            ("7.0", Ok(Some(Id::Number(7)))),
            ("\"7\"", Ok(Some(Id::Number(7)))),
            ("\" 7.0 \"", Ok(Some(Id::Number(7)))),
            ("\"007\"", text("007")),
            ("\"img-1\"", text("img-1")),
            ("1.5", text("1.5")),
            ("9223372036854775809", text("9223372036854775809")),
            ("null", Ok(None)),
            ("\"\"", Err("the text \"\"".to_owned())),
            ("[1]", Err("a list".to_owned())),
        ];
        let wrong: Vec<_> = cases.into_iter().filter(|(json, id)| scalar(json).id() != *id).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn numbers_flags_and_texts_are_converted_or_described() {
        let number = |json: &str| scalar(json).number();
        assert_eq!(
            [number("\" 3.5\""), number("4"), number("null")],
            [Ok(Some(3.5)), Ok(Some(4.0)), Ok(None)]
        );
        assert_eq!(number("\"nan\""), Err("the text \"nan\"".to_owned()));
        assert_eq!(number("true"), Err("true".to_owned()));
        let flag = |json: &str| scalar(json).flag();
        assert_eq!(
            [flag("\"1\""), flag("true"), flag("\"No\""), flag("\"\"")].map(Result::ok),
            [Some(Some(1)), Some(Some(1)), Some(Some(0)), Some(None)]
        );
        assert_eq!(flag("\"maybe\""), Err("the text \"maybe\"".to_owned()));
        assert_eq!(scalar("3").text(), Ok(Some("3".to_owned())));
        assert_eq!(scalar("{}").text(), Err("an object".to_owned()));
    }
}
