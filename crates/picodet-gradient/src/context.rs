//! The environment of forward and backward steps: regions of maps, executor, random seed.

use picodet_kernel::training::{Executor, Region};

use crate::layout::Layout;
use crate::program::{ChannelSlot, Program, Step};
use crate::shard::Shard;

/// One pass over the steps of a program.
pub(crate) struct Context<'a> {
    pub(crate) program: &'a Program,
    pub(crate) layout: &'a Layout,
    pub(crate) executor: &'a Executor,
    /// Seed of this pass's dropout.
    pub(crate) seed: u64,
    /// The part of the batch that this tape processes; `None` for all of it.
    pub(crate) shard: Option<&'a Shard>,
}

impl Context<'_> {
    /// The values of a slot.
    pub(crate) fn value(&self, slot: ChannelSlot) -> Region {
        Region {
            offset: self.layout.values[slot.buffer] + slot.first,
            stride: self.program.buffers[slot.buffer].shape.channels,
            channels: slot.channels,
            size: self.layout.sizes[slot.buffer],
        }
    }

    /// The gradients of a slot that a needed step reads or writes: the layout has room for them.
    pub(crate) fn gradient(&self, slot: ChannelSlot) -> Region {
        let offset = self.layout.gradients[slot.buffer].unwrap_or(0) + slot.first;
        Region { offset, ..self.value(slot) }
    }

    /// The window position of each maximum of a step, a byte each.
    pub(crate) fn argmax(&self, index: usize, step: &Step) -> Region {
        let elements = self.layout.sizes[step.output.buffer].iter().product::<usize>() * step.output.channels;
        let len = elements.div_ceil(4);
        Region { offset: self.layout.saved[index], stride: len, channels: len, size: [1; 3] }
    }

    /// Index of a map's first pixel in the whole batch.
    pub(crate) fn first_pixel(&self, map: &Region) -> usize {
        self.shard.map_or(0, |shard| shard.first_image * map.size[1] * map.size[2])
    }
}

/// A number from 0 to 1 (excluded) that depends on the seed, the step and the index of an element.
pub(crate) fn uniform(seed: u64, step: usize, index: usize) -> f32 {
    let mut bits = seed ^ (step as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (index as u64).rotate_left(32);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    (bits >> 40) as f32 / (1u32 << 24) as f32
}
