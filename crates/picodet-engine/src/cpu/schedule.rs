//! The schedule that lowering produces: values in buffers, and the placement of the buffers.

use picodet_graph::pass::{self, Lifetime};
pub(crate) use picodet_kernel::program::{
    Buffer, BufferId, DenseKind, DenseSource, Elementwise, Operation, Residual, Schedule, Step, Weights,
};
use picodet_kernel::program::{CACHE_LINE, WORD};

/// A value: some columns of a buffer, in the order of the channels.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) buffer: BufferId,
    /// Column of each channel.
    pub(crate) columns: Vec<usize>,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl View {
    /// The first column, if the columns follow each other.
    pub(crate) fn contiguous(&self) -> Option<usize> {
        let first = *self.columns.first()?;
        self.columns.iter().enumerate().all(|(i, &column)| column == first + i).then_some(first)
    }

    /// The channels in the order of their columns.
    pub(crate) fn by_column(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.columns.len()).collect();
        order.sort_by_key(|&channel| self.columns[channel]);
        order
    }
}

/// Places the buffers in one arena so that those in use at the same time do not overlap, and returns its length in
/// words. Offsets are multiples of a cache line.
pub(crate) fn place(buffers: &mut [Buffer], steps: &[Step]) -> usize {
    let mut lifetimes: Vec<Lifetime> =
        buffers.iter().map(|buffer| Lifetime::unused(buffer.words())).collect();
    for (index, step) in steps.iter().enumerate() {
        for buffer in step.operation.buffers() {
            lifetimes[buffer].use_at(index);
            if matches!(step.operation, Operation::Export { .. }) {
                // Outputs can be read in place after the last step.
                lifetimes[buffer].use_at(steps.len());
            }
        }
    }
    // Only buffers beyond the address space have no placement, and those fail when the arena is allocated.
    let Some(placement) = pass::place(&lifetimes, CACHE_LINE / WORD) else { return usize::MAX / 2 };
    buffers.iter_mut().zip(placement.offsets).for_each(|(buffer, offset)| buffer.offset = offset);
    placement.len
}
