//! Places buffers in one arena by their lifetimes.

use std::cmp::Reverse;

/// A buffer: its length and the first and last moment at which it holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Length in the unit of the arena.
    pub len: usize,
    /// The first moment.
    pub first: usize,
    /// The last moment, included.
    pub last: usize,
}

impl Lifetime {
    /// A buffer that is used at no moment so far.
    #[must_use]
    pub fn unused(len: usize) -> Self {
        Self { len, first: usize::MAX, last: 0 }
    }

    /// Extends the lifetime to a moment.
    pub fn use_at(&mut self, moment: usize) {
        self.first = self.first.min(moment);
        self.last = self.last.max(moment);
    }

    /// Whether the buffer needs memory at any moment.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.first <= self.last && self.len > 0
    }

    /// Whether two buffers hold something at the same moment.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Addresses in an arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Offset of each buffer; 0 for those that are not used.
    pub offsets: Vec<usize>,
    /// Length of the arena.
    pub len: usize,
}

/// Gives every buffer the lowest offset at which it overlaps no buffer of an overlapping lifetime, the largest buffer
/// first. Lengths are rounded up to `alignment`, so that all offsets are multiples of it.
///
/// Returns `None` if the arena would be longer than `usize::MAX`.
#[must_use]
pub fn place(lifetimes: &[Lifetime], alignment: usize) -> Option<Placement> {
    let mut lens = Vec::with_capacity(lifetimes.len());
    for lifetime in lifetimes {
        lens.push(lifetime.len.checked_next_multiple_of(alignment)?);
    }
    let mut order: Vec<usize> = (0..lifetimes.len()).filter(|&index| lifetimes[index].is_used()).collect();
    order.sort_by_key(|&index| Reverse(lens[index]));
    let mut offsets = vec![0usize; lifetimes.len()];
    // Sorted by offset.
    let mut placed: Vec<usize> = Vec::with_capacity(order.len());
    let mut end = 0;
    for index in order {
        let mut offset = 0usize;
        for &other in placed.iter().filter(|&&other| lifetimes[other].overlaps(&lifetimes[index])) {
            if offset.checked_add(lens[index])? <= offsets[other] {
                break;
            }
            offset = offset.max(offsets[other] + lens[other]);
        }
        offsets[index] = offset;
        end = end.max(offset.checked_add(lens[index])?);
        let position = placed.partition_point(|&other| offsets[other] <= offset);
        placed.insert(position, index);
    }
    Some(Placement { offsets, len: end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_of_overlapping_lifetimes_do_not_overlap() {
        let lifetimes: Vec<Lifetime> = (0..200usize)
            .map(|i| {
                let first = i * 7919 % 97;
                Lifetime { len: 1 + i * 104_729 % 1000, first, last: first + i * 31 % 40 }
            })
            .collect();
        let Some(Placement { offsets, len }) = place(&lifetimes, 16) else { panic!("a short arena") };
        let total: usize = lifetimes.iter().map(|lifetime| lifetime.len).sum();
        assert!(len < total / 2, "{len} of {total}");
        for (i, a) in lifetimes.iter().enumerate() {
            assert!(offsets[i] + a.len <= len && offsets[i].is_multiple_of(16));
            for (j, b) in lifetimes[..i].iter().enumerate() {
                let apart = offsets[i] + a.len <= offsets[j] || offsets[j] + b.len <= offsets[i];
                assert!(apart || !a.overlaps(b), "{i} and {j}");
            }
        }
    }

    #[test]
    fn buffers_of_disjoint_lifetimes_share_memory() {
        let mut early = Lifetime::unused(100);
        let mut late = Lifetime::unused(50);
        (0..3).for_each(|moment| early.use_at(moment));
        late.use_at(3);
        let placement = place(&[late, early, Lifetime::unused(7)], 16);
        assert_eq!(placement, Some(Placement { offsets: vec![0, 0, 0], len: 112 }));
    }

    #[test]
    fn an_arena_beyond_the_address_space_is_refused() {
        let mut half = Lifetime::unused(usize::MAX / 2);
        half.use_at(0);
        assert_eq!(place(&[half; 3], 16), None);
        assert_eq!(place(&[Lifetime { len: usize::MAX, ..half }], 16), None);
    }
}
