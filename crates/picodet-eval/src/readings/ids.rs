//! Ways to read the ids of categories and images.

use std::fmt;

/// A way to read the id of a category or an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum IdReading {
    /// The id is the dataset's less this number.
    Less(i64),
    /// The id is the position in the dataset's list, counted from this number.
    PositionFrom(i64),
}

impl IdReading {
    pub(super) const ALL: [Self; 4] =
        [Self::Less(1), Self::Less(-1), Self::PositionFrom(0), Self::PositionFrom(1)];

    /// Returns the id in the dataset, whose ids are `ids`.
    pub(super) fn read(self, id: i64, ids: &[i64]) -> Option<i64> {
        match self {
            Self::Less(difference) => Some(id.saturating_add(difference)),
            Self::PositionFrom(first) => {
                usize::try_from(id.checked_sub(first)?).ok().and_then(|index| ids.get(index).copied())
            }
        }
    }
}

impl fmt::Display for IdReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Less(1) => f.write_str("one less than the dataset's ids"),
            Self::Less(_) => f.write_str("one more than the dataset's ids"),
            Self::PositionFrom(first) => write!(f, "positions in the dataset's list, from {first}"),
        }
    }
}
