//! Where in the arena each map of a step lives, for one size of image.

use picodet_graph::{Graph, Op, ResizeFactor};
use picodet_kernel::training::LINE;

use crate::error::GradientError;
use crate::program::{Kind, Program};

/// Addresses for one batch, height and width.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// Images, height, width of each buffer.
    pub(crate) sizes: Vec<[usize; 3]>,
    /// The first number of each buffer's values.
    pub(crate) values: Vec<usize>,
    /// The first number of each buffer's gradients, `None` where nothing needs them.
    pub(crate) gradients: Vec<Option<usize>>,
    /// The first number of what each step saves beside maps (the taps of a maximum).
    pub(crate) saved: Vec<usize>,
    /// Numbers in all.
    pub(crate) len: usize,
}

/// Something that needs memory from one moment to another.
struct Item {
    len: usize,
    from: usize,
    to: usize,
    at: usize,
}

impl Item {
    fn new() -> Self {
        Self { len: 0, from: usize::MAX, to: 0, at: 0 }
    }

    fn live_at(&mut self, moment: usize) {
        self.from = self.from.min(moment);
        self.to = self.to.max(moment);
    }

    fn is_used(&self) -> bool {
        self.from <= self.to && self.len > 0
    }
}

impl Layout {
    /// Lays out `program` of `graph` for a batch of `[n, h, w]`.
    ///
    /// # Errors
    /// [`GradientError::Size`] and [`GradientError::Memory`].
    pub(crate) fn new(
        graph: &Graph,
        program: &Program,
        [n, h, w]: [usize; 3],
    ) -> Result<Self, GradientError> {
        check_size(graph, (h, w))?;
        let too_large = GradientError::Memory([n, 3, h, w]);
        let sizes: Vec<[usize; 3]> = program
            .buffers
            .iter()
            .map(|buffer| {
                let [_, height, width] = buffer.shape.resolve((h, w));
                [n, height, width]
            })
            .collect();
        let length = |buffer: usize| {
            let mut extents = sizes[buffer].iter().chain([&program.buffers[buffer].shape.channels]);
            // So far below the end of memory that sums of lengths do not overflow either.
            extents
                .try_fold(1usize, |product, &extent| product.checked_mul(extent))
                .filter(|&len| len < usize::MAX >> 16)
        };
        let count = program.steps.len();
        let back = |step: usize| 2 * count - step;
        let buffers = program.buffers.len();
        // Values, then gradients, then what steps save.
        let mut items: Vec<Item> = (0..2 * buffers + count).map(|_| Item::new()).collect();
        for buffer in 0..buffers {
            let len = length(buffer).ok_or(too_large.clone())?;
            items[buffer].len = len;
            items[buffers + buffer].len = len;
        }
        let storage = |buffer: usize| buffers + program.buffers[buffer].gradient;
        for (index, step) in program.steps.iter().enumerate() {
            items[step.output.buffer].live_at(index);
            step.inputs.iter().for_each(|input| items[input.buffer].live_at(index));
            step.kept_inputs().for_each(|input| items[input.buffer].live_at(back(index)));
            if step.differentiates() {
                items[storage(step.output.buffer)].live_at(back(index));
                for (input, _) in step.inputs.iter().zip(&step.needs).filter(|(_, needs)| **needs) {
                    items[storage(input.buffer)].live_at(back(index));
                }
                if step.kind == Kind::MaxPool {
                    let saved = &mut items[2 * buffers + index];
                    saved.len = (sizes[step.output.buffer].iter().product::<usize>() * step.output.channels)
                        .div_ceil(4);
                    saved.live_at(index);
                    saved.live_at(back(index));
                }
            }
        }
        for (_, place, needs) in &program.outputs {
            items[place.buffer].live_at(2 * count + 1);
            if *needs {
                items[storage(place.buffer)].live_at(count);
            }
        }
        let len = pack(&mut items).ok_or(too_large)?;
        Ok(Self {
            sizes,
            values: items[..buffers].iter().map(|item| item.at).collect(),
            gradients: (0..buffers)
                .map(|buffer| Some(&items[storage(buffer)]).filter(|item| item.is_used()).map(|item| item.at))
                .collect(),
            saved: items[2 * buffers..].iter().map(|item| item.at).collect(),
            len,
        })
    }
}

/// Gives every item the lowest address that no item of the same time has, the largest first; returns the end.
fn pack(items: &mut [Item]) -> Option<usize> {
    let mut order: Vec<usize> = (0..items.len()).filter(|&index| items[index].is_used()).collect();
    order.sort_unstable_by_key(|&index| (std::cmp::Reverse(items[index].len), index));
    let mut placed: Vec<usize> = Vec::with_capacity(order.len());
    let mut end = 0;
    for index in order {
        let (from, to) = (items[index].from, items[index].to);
        let len = items[index].len.next_multiple_of(LINE);
        let mut at = 0usize;
        // `placed` is sorted by address.
        for other in placed.iter().map(|&other| &items[other]) {
            if other.from > to || from > other.to {
                continue;
            }
            if at.checked_add(len)? <= other.at {
                break;
            }
            at = at.max(other.at + other.len.next_multiple_of(LINE));
        }
        items[index].at = at;
        end = end.max(at.checked_add(len)?);
        let position = placed.partition_point(|&other| items[other].at <= at);
        placed.insert(position, index);
    }
    Some(end)
}

/// Checks that the maps of an image fit: doubling must meet the map that it is joined with.
fn check_size(graph: &Graph, (height, width): (usize, usize)) -> Result<(), GradientError> {
    for node in &graph.nodes {
        if let Op::UpsampleNearest | Op::ResizeBilinear(ResizeFactor::Double) = node.op {
            let [_, from_height, from_width] = graph.node(node.inputs[0]).shape.resolve((height, width));
            let [_, to_height, to_width] = node.shape.resolve((height, width));
            if (to_height, to_width) != (2 * from_height, 2 * from_width) {
                return Err(GradientError::Size { scope: node.scope.clone(), height, width });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_lives_at_once_overlaps() {
        let mut items: Vec<Item> = (0..200usize)
            .map(|i| {
                let from = i * 7919 % 97;
                Item { len: 1 + i * 104_729 % 1000, from, to: from + i * 31 % 40, at: 0 }
            })
            .collect();
        let end = pack(&mut items).expect("fits");
        let total: usize = items.iter().map(|item| item.len).sum();
        assert!(end < total / 2, "{end} of {total}");
        for (index, a) in items.iter().enumerate() {
            assert!(a.at + a.len <= end);
            for b in &items[..index] {
                let at_once = a.from <= b.to && b.from <= a.to;
                assert!(!at_once || a.at + a.len <= b.at || b.at + b.len <= a.at);
            }
        }
    }
}
