//! The state of a backward pass, with the channels of gradients that have been written.

use picodet_kernel::training::{Arena, Elementwise, Region, Scratch, elementwise};

use crate::context::Context;
use crate::parameters::Parameters;
use crate::program::{ChannelSlot, Program, Step};

/// The state that the steps of a backward pass modify.
pub(crate) struct State<'a> {
    pub(crate) written: Written,
    pub(crate) arena: &'a mut Arena,
    pub(crate) parameters: &'a mut Parameters,
    pub(crate) scratch: &'a mut Scratch,
}

impl State<'_> {
    /// Returns the gradient of an input that needs one, and whether to add to it.
    pub(crate) fn target(&mut self, ctx: &Context<'_>, step: &Step, input: usize) -> Option<(Region, bool)> {
        let slot = step.inputs[input];
        step.needs[input].then(|| (ctx.gradient(slot), self.written.claim(ctx, self.arena, slot)))
    }
}

/// Which channels of the gradients have been written, by buffer.
pub(crate) struct Written(Vec<Vec<bool>>);

impl Written {
    pub(crate) fn new(program: &Program) -> Self {
        Self(program.buffers.iter().map(|buffer| vec![false; buffer.shape.channels]).collect())
    }

    /// Marks a slot as written, and returns whether the writer must add to what is there.
    pub(crate) fn claim(&mut self, ctx: &Context<'_>, arena: &mut Arena, slot: ChannelSlot) -> bool {
        let accumulates = self.complete(ctx, arena, slot);
        self.channels(slot).fill(true);
        accumulates
    }

    /// Returns whether a slot has any gradient; its channels without one are set to zero then.
    pub(crate) fn complete(&mut self, ctx: &Context<'_>, arena: &mut Arena, slot: ChannelSlot) -> bool {
        let channels = self.channels(slot);
        let reached = channels.contains(&true);
        if reached {
            clear(ctx, arena, slot, channels);
            channels.fill(true);
        }
        reached
    }

    fn channels(&mut self, slot: ChannelSlot) -> &mut [bool] {
        &mut self.0[slot.buffer][slot.first..][..slot.channels]
    }
}

/// Sets the channels of a gradient that are not `written` to zero.
fn clear(ctx: &Context<'_>, arena: &mut Arena, slot: ChannelSlot, written: &[bool]) {
    let mut first = slot.first;
    for run in written.chunk_by(|a, b| a == b) {
        if !run[0] {
            let part = ChannelSlot { first, channels: run.len(), ..slot };
            let ([], [out]) = arena.claim([], [ctx.gradient(part)]);
            elementwise(ctx.executor, &Elementwise::Zero, out, false);
        }
        first += run.len();
    }
}
