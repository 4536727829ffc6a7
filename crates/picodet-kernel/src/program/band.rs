//! A band of rows of a step, and the memory of an inference.

use picodet_graph::DType;

use super::operation::{BufferId, Weights};
use super::schedule::Schedule;

/// The memory of one inference.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// `Schedule::arena` words.
    pub(super) arena: *mut f32,
    /// `[3, h, w]`.
    pub(super) image: *const f32,
    /// One `[c, h, w]` per output; empty if no step with an export is executed.
    pub(super) outputs: Vec<*mut f32>,
}

// SAFETY: only `execute::run_band` accesses the memory, whose callers execute each band of a step once, and steps one
// after the other; the bands of a checked program access disjoint memory (`verify`).
unsafe impl Send for Memory {}
// SAFETY: as for Send.
unsafe impl Sync for Memory {}

/// One band of a step: the schedule, its memory and the worker whose band it is. A value exists only inside
/// [`run_band`], whose contract holds for it.
#[derive(Clone, Copy)]
pub(super) struct Band<'a> {
    pub(super) schedule: &'a Schedule,
    pub(super) memory: &'a Memory,
    pub(super) worker: usize,
}

impl Band<'_> {
    /// The first pixel.
    pub(super) fn at(&self, buffer: BufferId) -> *mut f32 {
        self.memory.arena.wrapping_add(self.schedule.buffers[buffer].offset)
    }

    /// A pixel.
    pub(super) fn pixel(&self, buffer: BufferId, index: usize) -> *mut f32 {
        self.at(buffer).wrapping_add(index * self.words(buffer))
    }

    /// Words of the arena from one pixel to the next.
    pub(super) fn words(&self, buffer: BufferId) -> usize {
        self.schedule.buffers[buffer].words_per_pixel()
    }

    /// Elements of the buffer's type from one pixel to the next.
    pub(super) fn stride(&self, buffer: BufferId) -> usize {
        self.schedule.buffers[buffer].stride
    }

    pub(super) fn dtype(&self, buffer: BufferId) -> DType {
        self.schedule.buffers[buffer].dtype
    }

    /// A column, in elements of the buffer's type, of a pixel.
    pub(super) fn column(&self, buffer: BufferId, pixel: *mut f32, column: usize) -> *mut f32 {
        pixel.wrapping_byte_add(column * self.dtype(buffer).size())
    }

    /// The f32 weights of a step; none if they have 16 bits.
    pub(super) fn floats<'w>(&self, weights: &'w Weights) -> &'w [f32] {
        match weights {
            Weights::Constant(values) => values,
            // SAFETY: the buffer has `len` words, and no band of the step writes them.
            Weights::Scaled(buffer, len) => unsafe { std::slice::from_raw_parts(self.at(*buffer), *len) },
            Weights::Pairs { .. } | Weights::RowPairs(_) | Weights::Halves { .. } | Weights::Taps(_) => &[],
        }
    }
}
