//! The collective operations of a process group.

use std::fmt::Debug;
use std::ops::Range;

use picodet_graph::Weights;

/// Processes that train one network together.
///
/// All processes call the collective operations (`all_reduce`, `all_reduce_f32`, `all_gather`, `broadcast`, `barrier`)
/// in the same order, one at a time; each operation waits for all processes.
pub trait ProcessGroup: Debug + Send + Sync {
    /// Returns the rank of this process, from 0.
    fn rank(&self) -> usize;

    /// Returns the number of processes.
    fn size(&self) -> usize;

    /// Replaces each value by its sum over all processes, bitwise the same in every process. All processes give the
    /// same number of values.
    fn all_reduce(&self, values: &mut [f64]);

    /// As [`ProcessGroup::all_reduce`], for large `f32` buffers.
    fn all_reduce_f32(&self, values: &mut [f32]);

    /// Returns the bytes of every process by rank; lengths may differ.
    fn all_gather(&self, bytes: &[u8]) -> Vec<Vec<u8>>;

    /// Ends the other processes because this one has failed; a group of operating-system processes ends this one
    /// too, with the exit code `code`.
    fn abort(&self, code: u8);

    /// Returns whether this is rank 0, which writes files and reports progress.
    fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Replaces the values by those of rank 0. All processes give the same number of values.
    fn broadcast(&self, values: &mut [f64]) {
        if !self.is_first() {
            values.fill(0.0);
        }
        self.all_reduce(values);
    }

    /// Returns one value of every process by rank.
    fn all_gather_f64(&self, value: f64) -> Vec<f64> {
        let mut values = vec![0.0; self.size()];
        values[self.rank()] = value;
        self.all_reduce(&mut values);
        values
    }

    /// Waits for all processes.
    fn barrier(&self) {
        self.all_reduce(&mut [0.0]);
    }

    /// Returns the shard of this process of `count` items in a row; the sizes of shards differ by at most one.
    fn shard(&self, count: usize) -> Range<usize> {
        count * self.rank() / self.size()..count * (self.rank() + 1) / self.size()
    }
}

/// A group of one process.
#[derive(Clone, Copy, Debug, Default)]
pub struct SingleProcess;

impl ProcessGroup for SingleProcess {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn all_reduce(&self, _: &mut [f64]) {}

    fn all_reduce_f32(&self, _: &mut [f32]) {}

    fn all_gather(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        vec![bytes.to_vec()]
    }

    fn abort(&self, _: u8) {}
}

/// Adds the gradients of all processes in one exchange.
pub(crate) fn all_reduce_gradients(group: &dyn ProcessGroup, gradients: &mut Weights) {
    if group.size() == 1 {
        return;
    }
    let mut flat: Vec<f32> = gradients.values().flat_map(|tensor| &tensor.data).copied().collect();
    group.all_reduce_f32(&mut flat);
    let mut rest = flat.as_slice();
    for tensor in gradients.values_mut() {
        let (own, others) = rest.split_at(tensor.data.len());
        tensor.data.copy_from_slice(own);
        rest = others;
    }
}

/// Environment variables with the number of started processes: Open MPI, MPICH and Intel MPI, MVAPICH, Slurm.
const SIZES: [&str; 4] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"];

/// Returns the number of processes that `mpirun` or another launcher of parallel programs started together with this
/// one; `None` if there is no launcher. `variable` reads the environment.
pub fn started_processes(variable: impl Fn(&str) -> Option<String>) -> Option<usize> {
    SIZES.iter().find_map(|name| variable(name)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::ThreadGroup;

    #[test]
    fn shards_are_adjacent_and_differ_by_one_at_most() {
        for (size, count) in [(1, 7), (2, 7), (3, 16), (5, 5), (4, 2)] {
            let shards: Vec<Range<usize>> = ThreadGroup::run(size, |group| group.shard(count));
            let all: Vec<usize> = shards.iter().cloned().flatten().collect();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
            let lens = || shards.iter().map(Range::len);
            assert!(lens().max() <= lens().min().map(|least| least + 1), "{shards:?}");
        }
    }

    #[test]
    fn the_launcher_gives_the_number_of_processes() {
        let of = |name: &'static str, value: &'static str| {
            started_processes(|asked| (asked == name).then(|| value.to_owned()))
        };
        assert_eq!(of("OMPI_COMM_WORLD_SIZE", "2"), Some(2));
        assert_eq!(of("PMI_SIZE", "4"), Some(4));
        assert_eq!(of("PMI_SIZE", "many"), None);
        assert_eq!(of("SLURM_NTASKS", "4"), None);
    }
}
