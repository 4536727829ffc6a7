//! Buffers and steps of a program.

use std::fmt;

use picodet_simd::{Int8Isa, Isa};

use super::operation::{Buffer, Step};

/// Buffers and steps of a network for an input size.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The instruction set that weights are packed for.
    pub isa: Isa,
    /// The way of multiplying bytes that 8-bit weights are packed for.
    pub int8: Int8Isa,
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
