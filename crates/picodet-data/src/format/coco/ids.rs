//! Numbers ids that are texts.

use std::collections::HashMap;

use picodet_format::coco::Id;

/// Ids below this number are treated as texts, so that they cannot collide with provisional numbers.
const LOWEST: i64 = i64::MIN / 2;

/// Assigns numbers to text ids: provisional ones while the file is read, and at its end those that follow
/// the largest number of the file, in the order of first appearance.
#[derive(Debug, Default)]
pub(super) struct IdNumbers {
    texts: HashMap<Box<str>, i64>,
    largest: i64,
}

impl IdNumbers {
    /// Returns the number of an id; for a text a provisional one, to be converted with [`Self::number_of`].
    pub(super) fn add(&mut self, id: Id) -> i64 {
        let text = match id {
            Id::Number(number) if number >= LOWEST => {
                self.largest = self.largest.max(number);
                return number;
            }
            Id::Number(number) => number.to_string().into(),
            Id::Text(text) => text,
        };
        let next = i64::MIN + self.texts.len() as i64;
        *self.texts.entry(text).or_insert(next)
    }

    /// Whether any id is a text.
    pub(super) fn has_texts(&self) -> bool {
        !self.texts.is_empty()
    }

    /// Returns the final number of an id that [`Self::add`] returned.
    pub(super) fn number_of(&self, id: i64) -> i64 {
        if id >= LOWEST {
            return id;
        }
        let position = id.wrapping_sub(i64::MIN);
        self.largest.saturating_add(1).saturating_add(position)
    }

    /// The text ids with their final numbers.
    pub(super) fn into_texts(self) -> HashMap<String, i64> {
        let numbers: Vec<(String, i64)> =
            self.texts.iter().map(|(text, &id)| (text.to_string(), self.number_of(id))).collect();
        numbers.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_get_the_numbers_after_the_largest_one() {
        let mut ids = IdNumbers::default();
        let found: Vec<i64> =
            [Id::Text("b".into()), Id::Number(7), Id::Text("a".into()), Id::Text("b".into())]
                .map(|id| ids.add(id))
                .into();
        let numbers: Vec<i64> = found.into_iter().map(|id| ids.number_of(id)).collect();
        assert_eq!((numbers, ids.has_texts()), (vec![8, 7, 9, 8], true));
        let lowest = ids.add(Id::Number(i64::MIN));
        assert_eq!(ids.number_of(lowest), 10);
        assert_eq!(ids.into_texts().len(), 3);
    }
}
