//! The block of memory that all maps of a step live in.

use crate::kernel::Shared;

/// A cache line: maps begin at one.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; Arena::LINE]);

/// Numbers at addresses that stay while it does not grow.
#[derive(Default)]
pub(crate) struct Arena {
    lines: Vec<Line>,
}

impl Arena {
    /// Numbers of a cache line.
    pub(crate) const LINE: usize = 16;

    /// Makes room for `len` numbers; what it held is lost where it grows. `None` if there is not so much memory.
    pub(crate) fn reserve(&mut self, len: usize) -> Option<()> {
        let lines = len.div_ceil(Self::LINE);
        if lines > self.lines.len() {
            // The old block goes first, so that the two are never held at once.
            self.lines = Vec::new();
            self.lines.try_reserve_exact(lines).ok()?;
            self.lines.resize(lines, Line([0.0; Self::LINE]));
        }
        Some(())
    }

    /// The first number.
    pub(crate) fn data(&mut self) -> Shared {
        Shared(self.lines.as_mut_ptr().cast())
    }
}
