//! Checks that a schedule accesses memory only where it may.
//!
//! A step is divided into bands of rows of its result, which run concurrently; steps run one after the other.
//! The checks are:
//!
//! 1. Every buffer is inside the arena, before the row of zeros.
//! 2. Every access is inside its buffer.
//! 3. Different buffers of a step do not overlap in the arena.
//! 4. If a step has several rows, a written range of columns overlaps, in the same buffer, only accesses of
//!    the same kind: own rows with own rows, which are disjoint between bands because both have the width of
//!    the result; or a band's own part of a scratch buffer.
//!
//! From 3 and 4 follows that no band accesses what another one writes: data races are impossible. Outputs of
//! the graph are written by rows as well, and each step writes one.

use thiserror::Error;

use super::access::{Access, Accesses, Pixels};
use super::schedule::Schedule;

/// A schedule that would access memory where it must not.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("step {step} ({kind}) of the schedule has {fault}; this is a bug of the planner")]
#[non_exhaustive]
pub struct ProgramError {
    /// Index of the step.
    pub step: usize,
    /// Its kind.
    pub kind: String,
    /// The violated condition.
    pub fault: &'static str,
}

/// Checks all steps.
pub(super) fn verify(schedule: &Schedule, input_size: (usize, usize)) -> Result<(), ProgramError> {
    for (index, step) in schedule.steps.iter().enumerate() {
        let mut accesses = Accesses::new(schedule, input_size);
        accesses.step(step, false);
        let found = accesses.fault.or_else(|| bounds(schedule, &accesses.list));
        let found = found.or_else(|| conflict(schedule, &accesses.list, step.out_size.0 > 1));
        if let Some(fault) = found {
            return Err(ProgramError { step: index, kind: step.operation.kind(), fault });
        }
    }
    Ok(())
}

/// The words of a buffer in the arena, or `None` if they do not fit the address space.
fn extent(schedule: &Schedule, id: usize) -> Option<std::ops::Range<usize>> {
    let buffer = schedule.buffers.get(id)?;
    let bytes = buffer.stride.checked_mul(buffer.dtype.size())?;
    let words = (bytes / super::operation::WORD).checked_mul(buffer.cells)?;
    Some(buffer.offset..buffer.offset.checked_add(words)?)
}

/// Conditions 1 and 2.
fn bounds(schedule: &Schedule, accesses: &[Access]) -> Option<&'static str> {
    if schedule.workers == 0 || schedule.zeros > schedule.arena {
        return Some("no worker or no arena");
    }
    accesses.iter().find_map(|access| {
        let extent = extent(schedule, access.buffer);
        let buffer = &schedule.buffers[access.buffer];
        if extent.is_none_or(|words| words.end > schedule.zeros) {
            return Some("a buffer outside of the arena");
        }
        let inside = access.bytes.end <= buffer.bytes_per_pixel() && access.count <= buffer.cells;
        let whole_words = buffer.bytes_per_pixel().is_multiple_of(super::operation::WORD);
        (!inside || !whole_words).then_some("an access outside of its buffer")
    })
}

/// Conditions 3 and 4.
fn conflict(schedule: &Schedule, accesses: &[Access], concurrent: bool) -> Option<&'static str> {
    let overlap = |a: &std::ops::Range<usize>, b: &std::ops::Range<usize>| a.start < b.end && b.start < a.end;
    for (i, a) in accesses.iter().enumerate() {
        for b in &accesses[i..] {
            if a.buffer != b.buffer {
                let extents = extent(schedule, a.buffer).zip(extent(schedule, b.buffer));
                if (a.writes || b.writes) && extents.is_none_or(|(a, b)| overlap(&a, &b)) {
                    return Some("two buffers in the same memory");
                }
            } else if concurrent && (a.writes || b.writes) && overlap(&a.bytes, &b.bytes) {
                let apart = a.pixels == b.pixels && a.pixels != Pixels::All;
                if !apart {
                    return Some("a band that accesses what another one writes");
                }
            }
        }
    }
    None
}
