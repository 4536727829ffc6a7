//! A program of kernel steps on one arena: the executor of inference, with a safe interface.
//!
//! A [`Schedule`] lists buffers, their positions in an arena, and steps. [`Program::new`] checks once that
//! every access of every step stays inside its buffer, and that concurrent bands of rows of a step do not
//! access what another band writes (`verify`). A checked program runs without further checks
//! ([`Program::run_in_bands`], [`Program::run_side_by_side`]); all raw memory of an inference is confined to
//! this module.

mod access;
mod arena;
mod dense;
mod execute;
mod operation;
mod queue;
mod run;
#[cfg(test)]
mod tests;
mod verify;

use std::fmt;

use picodet_simd::Isa;

pub use arena::Arena;
pub use operation::{
    Buffer, BufferId, CACHE_LINE, DenseKind, DenseSource, Elementwise, Operation, Residual, Step, WORD,
    Weights,
};
pub use run::{Image, Job};
pub use verify::ProgramError;

/// Buffers and steps of a network at one input size.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The instruction set that weights are packed for.
    pub isa: Isa,
    /// Number of bands that the rows of each step are divided into, one per worker.
    pub workers: usize,
    /// The buffers.
    pub buffers: Vec<Buffer>,
    /// The steps in the order of execution.
    pub steps: Vec<Step>,
    /// Name, channels, height, width.
    pub outputs: Vec<(String, [usize; 3])>,
    /// First word of the row of zeros, which is after all buffers.
    pub zeros: usize,
    /// Words in the arena, the row of zeros included.
    pub arena: usize,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} steps, {}, {} workers, arena {:.1} MiB",
            self.steps.len(),
            self.isa,
            self.workers,
            self.arena as f64 * 4.0 / f64::from(1 << 20)
        )?;
        for step in &self.steps {
            writeln!(
                f,
                "{:<18} {:>4}x{:<4} {:>8.2} MMAC  {}",
                step.operation.kind(),
                step.out_size.0,
                step.out_size.1,
                step.macs as f64 / 1e6,
                step.scope
            )?;
        }
        Ok(())
    }
}

/// A [`Schedule`] whose accesses have been checked.
#[derive(Clone, Debug)]
pub struct Program {
    schedule: Schedule,
    input_size: (usize, usize),
}

impl Program {
    /// Checks a schedule for an image `[3, height, width]`.
    ///
    /// # Errors
    /// Names the first step with an access outside of its buffer, or with one that conflicts with another
    /// band's.
    pub fn new(schedule: Schedule, input_size: (usize, usize)) -> Result<Self, ProgramError> {
        verify::verify(&schedule, input_size)?;
        Ok(Self { schedule, input_size })
    }

    /// Returns the schedule.
    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Returns a new arena for this program.
    #[must_use]
    pub fn arena(&self) -> Arena {
        Arena::new(self.schedule.arena)
    }
}
