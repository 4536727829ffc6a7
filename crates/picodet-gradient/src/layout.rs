//! Offsets of all maps of a training step in one arena, for one batch and image size.

use picodet_graph::pass::{Lifetime, Placement, place};
use picodet_graph::{Graph, Op, ResizeFactor};
use picodet_kernel::training::LINE;

use crate::error::GradientError;
use crate::program::{Kind, Program};

/// Offsets for one batch, height and width, in elements.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// Images, height, width of each buffer.
    pub(crate) sizes: Vec<[usize; 3]>,
    /// Offset of the values of each buffer.
    pub(crate) values: Vec<usize>,
    /// Offset of the gradients of each buffer, `None` for buffers that need none.
    pub(crate) gradients: Vec<Option<usize>>,
    /// Offset of what each step saves for the backward pass besides maps: the arg-max of a pool.
    pub(crate) saved: Vec<usize>,
    /// Elements in all.
    pub(crate) len: usize,
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
            // Larger ones cannot be allocated; `place` checks sums.
            extents
                .try_fold(1usize, |product, &extent| product.checked_mul(extent))
                .filter(|&len| len <= isize::MAX as usize / size_of::<f32>())
        };
        let count = program.steps.len();
        let back = |step: usize| 2 * count - step;
        let buffers = program.buffers.len();
        // Values, then gradients, then what steps save.
        let mut lifetimes = vec![Lifetime::unused(0); 2 * buffers + count];
        for buffer in 0..buffers {
            let len = length(buffer).ok_or(too_large.clone())?;
            lifetimes[buffer].len = len;
            lifetimes[buffers + buffer].len = len;
        }
        let gradient = |buffer: usize| buffers + program.buffers[buffer].gradient;
        for (index, step) in program.steps.iter().enumerate() {
            lifetimes[step.output.buffer].use_at(index);
            step.inputs.iter().for_each(|input| lifetimes[input.buffer].use_at(index));
            step.kept_inputs().for_each(|input| lifetimes[input.buffer].use_at(back(index)));
            if step.differentiates() {
                lifetimes[gradient(step.output.buffer)].use_at(back(index));
                for (input, _) in step.inputs.iter().zip(&step.needs).filter(|(_, needs)| **needs) {
                    lifetimes[gradient(input.buffer)].use_at(back(index));
                }
                if step.kind == Kind::MaxPool {
                    let saved = &mut lifetimes[2 * buffers + index];
                    saved.len = (sizes[step.output.buffer].iter().product::<usize>() * step.output.channels)
                        .div_ceil(4);
                    saved.use_at(index);
                    saved.use_at(back(index));
                }
            }
        }
        for (_, slot, needs) in &program.outputs {
            lifetimes[slot.buffer].use_at(2 * count + 1);
            if *needs {
                lifetimes[gradient(slot.buffer)].use_at(count);
            }
        }
        let Placement { offsets, len } = place(&lifetimes, LINE).ok_or(too_large)?;
        let gradient_offset = |buffer: usize| {
            let index = gradient(buffer);
            lifetimes[index].is_used().then_some(offsets[index])
        };
        Ok(Self {
            sizes,
            values: offsets[..buffers].to_vec(),
            gradients: (0..buffers).map(gradient_offset).collect(),
            saved: offsets[2 * buffers..].to_vec(),
            len,
        })
    }
}

/// Checks that doubled maps have the size of the maps that they are joined with.
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
