//! The memory block of a training step, and checked handles to the feature maps in it.
//!
//! All maps of a step are in one [`Arena`], several of them as column ranges of one buffer (a concatenation in place).
//! [`Arena::claim`] checks the regions of one operation and lends them as [`Map`]s and [`MapMut`]s. A `MapMut` is split
//! into disjoint parts for the tasks of a [`super::ThreadPool`]. Only this module and `map` argue about overlap.
#![allow(unsafe_code)]

use std::fmt;

use super::map::{Map, MapMut};
use super::region::Region;

/// Elements of a cache line; buffers in an [`Arena`] are aligned to cache lines.
pub const LINE: usize = 16;

/// A cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// The memory block of a training step.
#[derive(Default)]
pub struct Arena {
    lines: Vec<Line>,
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("elements", &(self.lines.len() * LINE)).finish()
    }
}

impl Arena {
    /// Makes room for `len` elements. Contents are lost where it grows. Returns `None` if memory is insufficient.
    pub fn reserve(&mut self, len: usize) -> Option<()> {
        let lines = len.div_ceil(LINE);
        if lines > self.lines.len() {
            // Freed first, so that old and new block do not exist at the same time.
            self.lines = Vec::new();
            self.lines.try_reserve_exact(lines).ok()?;
            self.lines.resize(lines, Line([0.0; LINE]));
        }
        Some(())
    }

    /// Returns all elements, those of unused lines too.
    #[must_use]
    pub fn elements(&self) -> &[f32] {
        // SAFETY: a line is `LINE` consecutive f32 elements without padding (`repr(C)`, size 64), all of them initialised.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * LINE) }
    }

    /// Lends the maps of one operation: `reads` to read, `writes` to write (and read).
    ///
    /// # Panics
    /// If a region leaves the arena, or a written region overlaps another region of the claim. Layouts are computed by
    /// the caller from lifetimes, so either is an internal error.
    pub fn claim<const R: usize, const W: usize>(
        &mut self,
        reads: [Region; R],
        writes: [Region; W],
    ) -> ([Map<'_>; R], [MapMut<'_>; W]) {
        let len = self.lines.len() * LINE;
        for region in reads.iter().chain(&writes) {
            assert!(
                region.end().is_some_and(|end| end <= len),
                "{region:?} leaves the arena of {len} elements"
            );
        }
        for (index, region) in writes.iter().enumerate() {
            let mut others = reads.iter().chain(&writes[..index]);
            assert!(!others.any(|other| region.overlaps(other)), "written {region:?} overlaps another map");
        }
        let data: *mut f32 = self.lines.as_mut_ptr().cast();
        // SAFETY: all elements of the regions are inside the block, which is borrowed as long as the handles live, and no
        // written one belongs to another region.
        unsafe {
            (
                reads.map(|region| Map::from_raw(data, region)),
                writes.map(|region| MapMut::from_raw(data, region)),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(offset: usize, stride: usize, channels: usize, size: [usize; 3]) -> Region {
        Region { offset, stride, channels, size }
    }

    #[test]
    fn columns_of_one_buffer_are_read_and_written_at_once() {
        let mut arena = Arena::default();
        arena.reserve(60).expect("memory");
        let (reads, writes) = (region(0, 5, 2, [2, 2, 3]), region(2, 5, 3, [2, 2, 3]));
        let ([], [mut all]) = arena.claim([], [region(0, 5, 5, [2, 2, 3])]);
        all.pixel(3).fill(2.0);
        let ([x], [y]) = arena.claim([reads], [writes]);
        for (first, mut block) in y.blocks(5) {
            for pixel in 0..block.pixels() {
                let value = x.pixel(first + pixel)[1] + 1.0;
                block.pixel(pixel).fill(value);
            }
        }
        let ([all], []) = arena.claim([region(0, 5, 5, [2, 2, 3])], []);
        assert_eq!(all.pixel(3), [2.0, 2.0, 3.0, 3.0, 3.0]);
        assert_eq!(all.pixel(11), [0.0, 0.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    #[should_panic(expected = "overlaps")]
    fn a_written_map_that_overlaps_is_refused() {
        let mut arena = Arena::default();
        arena.reserve(64).expect("memory");
        arena.claim([region(1, 4, 2, [1, 1, 9])], [region(2, 4, 2, [1, 1, 9])]);
    }

    #[test]
    #[should_panic(expected = "leaves the arena")]
    fn a_map_beyond_the_end_is_refused() {
        let mut arena = Arena::default();
        arena.reserve(64).expect("memory");
        arena.claim([region(32, 4, 2, [1, 3, 3])], []);
    }
}
