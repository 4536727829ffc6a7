//! Views of a network's outputs inside the engine's memory.

use picodet_graph::{Activation, TensorView};
use picodet_kernel::program::Arena;

use super::schedule::{BufferId, Operation, Schedule};
use crate::Lease;

/// An output of one image in the engine's own memory.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OutputView<'a> {
    /// Name of the output.
    pub name: &'a str,
    /// The values, `[1, c, h, w]`; usually channels last.
    pub values: TensorView<'a>,
    /// An activation that is not applied to the values yet: a reader of a few scores computes only their sigmoids.
    pub pending: Option<Activation>,
}

/// The outputs of one inference in the engine's memory, which is reused after this value is dropped.
#[derive(Debug)]
pub struct Outputs<'a> {
    schedule: &'a Schedule,
    arenas: Lease<'a, Arena>,
}

impl<'a> Outputs<'a> {
    /// Takes the arena of a run without export steps, of a schedule for which [`are_views`] holds.
    pub(crate) fn new(schedule: &'a Schedule, arenas: Lease<'a, Arena>) -> Self {
        Self { schedule, arenas }
    }

    /// Returns views of all outputs, in the graph's order.
    pub fn views(&self) -> Vec<OutputView<'_>> {
        let arena = self.arenas.first().map_or(&[][..], Arena::words);
        let mut views: Vec<_> = exports(self.schedule)
            .filter_map(|export| Some((export.output, export.view(self.schedule, arena)?)))
            .collect();
        views.sort_by_key(|(output, _)| *output);
        views.into_iter().map(|(_, view)| view).collect()
    }
}

/// Returns whether every output has a view: its channels are evenly spaced in memory.
pub(crate) fn are_views(schedule: &Schedule) -> bool {
    exports(schedule).all(|export| evenly_spaced(export.columns).is_some())
}

/// An export step: where an output is in the arena.
struct Export<'a> {
    output: usize,
    size: (usize, usize),
    from: BufferId,
    columns: &'a [usize],
    pending: Option<Activation>,
}

fn exports(schedule: &Schedule) -> impl Iterator<Item = Export<'_>> {
    schedule.steps.iter().filter_map(|step| match &step.operation {
        Operation::Export { from, columns, output, act } => {
            Some(Export { output: *output, size: step.size, from: *from, columns, pending: *act })
        }
        _ => None,
    })
}

impl<'a> Export<'a> {
    fn view(&self, schedule: &'a Schedule, arena: &'a [f32]) -> Option<OutputView<'a>> {
        let (height, width) = self.size;
        let buffer = &schedule.buffers[self.from];
        let (first, step) = evenly_spaced(self.columns)?;
        let shape = [1, self.columns.len(), height, width];
        let row = buffer.stride * width;
        let strides = [row * height, step, row, buffer.stride];
        let values = TensorView::new(arena.get(buffer.offset + first..)?, shape, strides)?;
        Some(OutputView { name: &schedule.outputs[self.output].0, values, pending: self.pending })
    }
}

/// Returns the first column and the step from each column to the next.
fn evenly_spaced(columns: &[usize]) -> Option<(usize, usize)> {
    let (&first, rest) = columns.split_first()?;
    let step = rest.first().map_or(Some(1), |second| second.checked_sub(first))?;
    let even = columns.windows(2).all(|pair| pair[0] + step == pair[1]);
    even.then_some((first, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_evenly_spaced_columns_have_a_stride() {
        assert_eq!(evenly_spaced(&[4, 5, 6]), Some((4, 1)));
        assert_eq!(evenly_spaced(&[3, 5, 7]), Some((3, 2)));
        assert_eq!(evenly_spaced(&[9]), Some((9, 1)));
        assert_eq!(
            (evenly_spaced(&[3, 5, 6]), evenly_spaced(&[5, 4]), evenly_spaced(&[])),
            (None, None, None)
        );
    }
}
