//! A program of kernel steps on one arena: the executor of inference, with a safe interface.
//!
//! A [`Schedule`] lists buffers, their positions in an arena, and steps. [`Program::new`] checks once that
//! every access of every step stays inside its buffer, and that concurrent bands of rows of a step do not
//! access what another band writes (`verify`). A checked program runs without further checks
//! ([`Program::run_in_bands`], [`Program::run_side_by_side`]); all raw memory of an inference is confined to
//! this module.

mod access;
mod arena;
mod band;
mod buffer_id;
mod dense;
mod execute;
pub mod int8;
mod operation;
mod queue;
mod run;
mod schedule;
#[cfg(test)]
mod tests;
mod verify;

pub use arena::Arena;
pub use operation::{
    Buffer, BufferId, CACHE_LINE, DenseKind, DenseSource, Elementwise, Operation, Residual, Step, WORD,
    Weights,
};
pub use run::{Image, Job, Program, Spawn};
pub use schedule::Schedule;
pub use verify::ProgramError;
