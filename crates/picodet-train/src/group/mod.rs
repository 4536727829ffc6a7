//! Processes that train one network together: each makes its share of every batch, and what all need to know is added up.
//!
//! With [`Alone`] nothing is exchanged. [`Threads`] is a group within one process. Behind the feature `mpi`, [`Mpi`] is a
//! group of processes, of one machine or many.

#[cfg(feature = "mpi")]
mod mpi;
mod threads;

use std::fmt::Debug;
use std::ops::Range;

use picodet_graph::Weights;

#[cfg(feature = "mpi")]
pub use mpi::{Mpi, MpiError};
pub use threads::Threads;

/// Members that work on one run. Every member makes the same exchanges in the same order, one at a time, with as many
/// numbers; each exchange waits for all members.
pub trait Group: Debug + Send + Sync {
    /// This member's number, from 0.
    fn rank(&self) -> usize;

    /// The number of members.
    fn size(&self) -> usize;

    /// Adds the numbers of all members up, place by place. Every member gets the same bits.
    fn sum(&self, values: &mut [f64]);

    /// As [`Group::sum`], for many numbers.
    fn sum_f32(&self, values: &mut [f32]);

    /// Ends the other members, because this one cannot go on; where members are processes, ends this one too, with the
    /// exit code `code`.
    fn abort(&self, code: u8);

    /// Whether this is the member that writes and speaks for all.
    fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Gives every member the numbers of the first.
    fn broadcast(&self, values: &mut [f64]) {
        if !self.is_first() {
            values.fill(0.0);
        }
        self.sum(values);
    }

    /// Every member's number, by rank.
    fn gather(&self, value: f64) -> Vec<f64> {
        let mut values = vec![0.0; self.size()];
        values[self.rank()] = value;
        self.sum(&mut values);
        values
    }

    /// Waits for all members.
    fn barrier(&self) {
        self.sum(&mut [0.0]);
    }

    /// This member's part of so many things in a row: parts differ by one thing at most.
    fn part(&self, of: usize) -> Range<usize> {
        of * self.rank() / self.size()..of * (self.rank() + 1) / self.size()
    }
}

/// A group of one: nothing is exchanged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Group for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn sum(&self, _: &mut [f64]) {}

    fn sum_f32(&self, _: &mut [f32]) {}

    fn abort(&self, _: u8) {}
}

/// Adds gradients up over a group, in one exchange.
pub(crate) fn sum_gradients(group: &dyn Group, gradients: &mut Weights) {
    if group.size() == 1 {
        return;
    }
    let mut flat: Vec<f32> = gradients.values().flat_map(|tensor| &tensor.data).copied().collect();
    group.sum_f32(&mut flat);
    let mut rest = flat.as_slice();
    for tensor in gradients.values_mut() {
        let (own, others) = rest.split_at(tensor.data.len());
        tensor.data.copy_from_slice(own);
        rest = others;
    }
}

/// The variables by which starters of parallel programs tell a process how many there are: Open MPI, MPICH and Intel MPI,
/// MVAPICH, Slurm.
const SIZES: [&str; 4] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"];

/// How many processes `mpirun`, or another starter of parallel programs, started together with this one; `None` where
/// none did. `variable` reads the environment.
pub fn started_processes(variable: impl Fn(&str) -> Option<String>) -> Option<usize> {
    SIZES.iter().find_map(|name| variable(name)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_on_each_other_and_differ_by_one_at_most() {
        for (size, of) in [(1, 7), (2, 7), (3, 16), (5, 5), (4, 2)] {
            let parts: Vec<Range<usize>> = Threads::run(size, |group| group.part(of));
            let all: Vec<usize> = parts.iter().cloned().flatten().collect();
            assert_eq!(all, (0..of).collect::<Vec<_>>());
            let lens = || parts.iter().map(Range::len);
            assert!(lens().max() <= lens().min().map(|least| least + 1), "{parts:?}");
        }
    }

    #[test]
    fn the_starter_says_how_many_there_are() {
        let of = |name: &'static str, value: &'static str| {
            started_processes(|asked| (asked == name).then(|| value.to_owned()))
        };
        assert_eq!(of("OMPI_COMM_WORLD_SIZE", "2"), Some(2));
        assert_eq!(of("PMI_SIZE", "4"), Some(4));
        assert_eq!(of("PMI_SIZE", "many"), None);
        assert_eq!(of("SLURM_NTASKS", "4"), None);
    }
}
