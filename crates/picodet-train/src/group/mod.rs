//! Process groups: each process trains on a shard of every batch, and sums are exchanged.
//!
//! [`SingleProcess`] has no communication. [`ThreadGroup`] is a group of threads of one process, for tests. With the
//! feature `mpi`, `MpiGroup` is a group of processes on one or several machines.

mod consistency;
#[cfg(feature = "mpi")]
mod mpi;
mod process_group;
mod threads;

pub(crate) use consistency::check_consistency;
#[cfg(feature = "mpi")]
pub use mpi::{MpiError, MpiGroup};
pub(crate) use process_group::all_reduce_gradients;
pub use process_group::{ProcessGroup, SingleProcess, started_processes};
pub use threads::ThreadGroup;
