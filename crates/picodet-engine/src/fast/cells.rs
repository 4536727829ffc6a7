//! Outputs where the engine has them, for readers that do not mind the order of the numbers.

use picodet_graph::Activation;

use super::schedule::{Operation, Schedule};

/// An output of one image, channels last, in the engine's own memory.
#[derive(Clone, Copy, Debug)]
pub struct CellMap<'a> {
    /// Name of the output.
    pub name: &'a str,
    /// Height and width in cells.
    pub size: (usize, usize),
    /// What has not been applied yet: a score that nobody asks for needs no sigmoid.
    pub pending: Option<Activation>,
    values: &'a [f32],
    stride: usize,
    columns: &'a [usize],
}

impl CellMap<'_> {
    /// Channels of each cell.
    pub fn channels(&self) -> usize {
        self.columns.len()
    }

    /// The channels of cell `row · width + column`, or `None` when they do not lie side by side or there is no such
    /// cell.
    pub fn cell(&self, index: usize) -> Option<&[f32]> {
        let first = *self.columns.first()?;
        let side_by_side = self.columns[self.columns.len() - 1] + 1 == first + self.columns.len()
            && self.columns.is_sorted();
        if !side_by_side || index >= self.size.0 * self.size.1 {
            return None;
        }
        let begin = index * self.stride + first;
        self.values.get(begin..begin + self.columns.len())
    }

    /// One number, or `None` outside the map.
    pub fn get(&self, cell: usize, channel: usize) -> Option<f32> {
        let column = *self.columns.get(channel)?;
        (cell < self.size.0 * self.size.1).then(|| self.values.get(cell * self.stride + column).copied())?
    }
}

/// The outputs in the graph's order after a run without exports.
pub(crate) fn maps<'a>(schedule: &'a Schedule, arena: &'a [f32]) -> Vec<CellMap<'a>> {
    let exports = schedule.steps.iter().filter_map(|step| match &step.operation {
        Operation::Export { from, columns, output, act } => Some((*output, step.size, *from, columns, *act)),
        _ => None,
    });
    let mut maps: Vec<_> = exports
        .map(|(output, size, from, columns, pending)| {
            let buffer = &schedule.buffers[from];
            let values = &arena[buffer.offset..];
            let name = schedule.outputs[output].0.as_str();
            (output, CellMap { name, size, pending, values, stride: buffer.stride, columns })
        })
        .collect();
    maps.sort_by_key(|(output, _)| *output);
    maps.into_iter().map(|(_, map)| map).collect()
}
