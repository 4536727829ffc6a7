//! Ways to read the ids of categories and images.

use std::fmt;

/// Ids from 1 to 90 that no class of COCO has.
const COCO_GAPS: [i64; 10] = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83];
/// Number of COCO's classes.
const COCO_CLASSES: usize = 80;

/// A way to read the id of a category or an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum IdReading {
    /// The id is the dataset's less this number.
    Less(i64),
    /// The id is the position in the dataset's list, counted from this number.
    PositionFrom(i64),
    /// The id is COCO's of the class at this position, in a dataset with COCO's number of classes.
    Coco,
}

impl IdReading {
    pub(super) const ALL: [Self; 4] =
        [Self::Less(1), Self::Less(-1), Self::PositionFrom(0), Self::PositionFrom(1)];

    /// The readings of a category.
    pub(super) fn of_categories() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().chain([Self::Coco])
    }

    /// Returns the id in the dataset, whose ids are `ids`.
    pub(super) fn read(self, id: i64, ids: &[i64]) -> Option<i64> {
        let at = |index: i64| usize::try_from(index).ok().and_then(|index| ids.get(index).copied());
        match self {
            Self::Less(difference) => Some(id.saturating_add(difference)),
            Self::PositionFrom(first) => at(id.checked_sub(first)?),
            Self::Coco if ids.len() != COCO_CLASSES || COCO_GAPS.contains(&id) => None,
            Self::Coco => {
                let gaps = COCO_GAPS.iter().filter(|gap| **gap < id).count();
                at(id.checked_sub(1 + gaps as i64)?)
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
            Self::Coco => f.write_str("COCO's ids from 1 to 90"),
        }
    }
}
