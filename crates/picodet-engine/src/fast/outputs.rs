//! Views of a network's outputs inside the engine's memory.

use picodet_graph::{Activation, TensorView};

use super::schedule::{Operation, Schedule};

/// An output of one image in the engine's own memory.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OutputView<'a> {
    /// Name of the output.
    pub name: &'a str,
    /// The values, `[1, c, h, w]`; usually channels last.
    pub values: TensorView<'a>,
    /// An activation that is still to be applied to the values: whoever reads only a few scores computes only their
    /// sigmoids.
    pub pending: Option<Activation>,
}

/// Returns views of all outputs in the graph's order, after a run without export steps; `None` where an output's
/// channels are not evenly spaced in memory.
pub(crate) fn views<'a>(schedule: &'a Schedule, arena: &'a [f32]) -> Option<Vec<OutputView<'a>>> {
    let exports = schedule.steps.iter().filter_map(|step| match &step.operation {
        Operation::Export { from, columns, output, act } => Some((*output, step.size, *from, columns, *act)),
        _ => None,
    });
    let mut views = exports
        .map(|(output, (height, width), from, columns, pending)| {
            let buffer = &schedule.buffers[from];
            let (first, step) = evenly_spaced(columns)?;
            let shape = [1, columns.len(), height, width];
            let row = buffer.stride * width;
            let strides = [row * height, step, row, buffer.stride];
            let values = TensorView::new(arena.get(buffer.offset + first..)?, shape, strides)?;
            Some((output, OutputView { name: &schedule.outputs[output].0, values, pending }))
        })
        .collect::<Option<Vec<_>>>()?;
    views.sort_by_key(|(output, _)| *output);
    Some(views.into_iter().map(|(_, view)| view).collect())
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
