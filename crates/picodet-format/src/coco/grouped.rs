//! Lists of boxes, labels and scores of one image, as torchvision's models return them.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fields::{AnyBox, BoxValues};
use super::value::{Id, OddValue, Scalar};

/// The elements of a list; `None` for a value of another kind.
pub(super) struct AnyList<T>(pub(super) Option<Vec<T>>);

struct ListVisitor<T>(PhantomData<fn() -> T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = AnyList<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<AnyList<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(AnyList(Some(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyList<T>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(AnyList(None))
    }

    fn visit_unit<E>(self) -> Result<AnyList<T>, E> {
        Ok(AnyList(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<AnyList<T>, E> {
        Ok(AnyList(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<AnyList<T>, E> {
        Ok(AnyList(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<AnyList<T>, E> {
        Ok(AnyList(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<AnyList<T>, E> {
        Ok(AnyList(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<AnyList<T>, E> {
        Ok(AnyList(None))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for AnyList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

pub(super) type Boxes = Vec<Result<BoxValues, String>>;
pub(super) type Labels = Vec<Result<Id, String>>;
pub(super) type Scores = Vec<Result<f64, String>>;

/// Reads a list and converts each element; null is an error of its element.
fn list<'de, A: MapAccess<'de>, T: Deserialize<'de>, V>(
    map: &mut A,
    convert: impl Fn(T) -> Result<Option<V>, String>,
) -> Result<Option<Vec<Result<V, String>>>, A::Error> {
    let list = map.next_value::<AnyList<T>>()?.0;
    let value = |found| convert(found).and_then(|value| value.ok_or_else(|| "null".to_owned()));
    Ok(list.map(|list| list.into_iter().map(value).collect()))
}

pub(super) fn boxes<'de, A: MapAccess<'de>>(
    map: &mut A,
    _: &'static str,
    _: &mut Vec<OddValue>,
) -> Result<Option<Boxes>, A::Error> {
    list(map, |found: AnyBox| found.values)
}

pub(super) fn labels<'de, A: MapAccess<'de>>(
    map: &mut A,
    _: &'static str,
    _: &mut Vec<OddValue>,
) -> Result<Option<Labels>, A::Error> {
    list(map, Scalar::id)
}

pub(super) fn scores<'de, A: MapAccess<'de>>(
    map: &mut A,
    _: &'static str,
    _: &mut Vec<OddValue>,
) -> Result<Option<Scores>, A::Error> {
    list(map, Scalar::number)
}
