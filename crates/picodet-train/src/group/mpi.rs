//! A process group over MPI.
//!
//! One thread, started here, initialises MPI, runs every call and finalises it (`MPI_THREAD_FUNNELED`). Other threads send
//! it operations and wait, because operations come from any thread of the computation.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::thread::JoinHandle;

use mpi::collective::SystemOperation;
use mpi::datatype::PartitionMut;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};
use mpi::{Count, Threading};

use super::ProcessGroup;

/// This process as a member of MPI's world communicator.
#[derive(Debug)]
pub struct MpiGroup {
    rank: usize,
    size: usize,
    channel: Mutex<Channel>,
    thread: Option<JoinHandle<()>>,
}

/// The connection to the thread that calls MPI.
#[derive(Debug)]
struct Channel {
    /// `None` after the last operation.
    operations: Option<Sender<Operation>>,
    results: Receiver<Values>,
}

#[derive(Debug)]
enum Operation {
    Sum(Values),
    Gather(Vec<u8>),
    Abort(u8),
}

#[derive(Debug)]
enum Values {
    F64(Vec<f64>),
    F32(Vec<f32>),
    Bytes(Vec<Vec<u8>>),
}

/// An error in joining a group.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MpiError {
    /// MPI does not start.
    #[error("MPI cannot be started: {0}")]
    Start(&'static str),
    /// The thread for MPI cannot be started.
    #[error("the thread for MPI cannot be started: {0}")]
    Thread(String),
    /// The launcher belongs to another MPI than the one that this program was built with.
    #[error(
        "{started} processes were started, but MPI has {found}: this program was built with another MPI than that of the \
         mpirun that started it"
    )]
    OtherMpi {
        /// Number of processes according to the launcher.
        started: usize,
        /// Number of processes according to MPI.
        found: usize,
    },
}

impl MpiGroup {
    /// Joins the `started` processes that were started together. May be called once in a process.
    ///
    /// # Errors
    /// See [`MpiError`].
    pub fn join(started: usize) -> Result<Self, MpiError> {
        let (operations, receiver) = channel();
        let (sender, results) = channel();
        let (report, world) = channel();
        let serve_world = move || match mpi::initialize_with_threading(Threading::Funneled) {
            Some((universe, threading)) if threading >= Threading::Funneled => {
                let world = universe.world();
                let _ = report.send(Ok((world.rank(), world.size())));
                serve(&world, &receiver, &sender);
                // Dropping the universe finalises MPI.
            }
            Some(_) => drop(report.send(Err(MpiError::Start("it does not support threads")))),
            None => drop(report.send(Err(MpiError::Start("it is already running")))),
        };
        let thread = std::thread::Builder::new()
            .name("mpi".to_owned())
            .spawn(serve_world)
            .map_err(|error| MpiError::Thread(error.to_string()))?;
        let (rank, size) = world.recv().map_err(|_| MpiError::Start("its thread has ended"))??;
        let channel = Mutex::new(Channel { operations: Some(operations), results });
        let member = Self { rank: rank as usize, size: size as usize, channel, thread: Some(thread) };
        if member.size != started {
            return Err(MpiError::OtherMpi { started, found: member.size });
        }
        Ok(member)
    }

    fn exchange(&self, operation: Operation) -> Option<Values> {
        let channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        channel.operations.as_ref()?.send(operation).ok()?;
        channel.results.recv().ok()
    }
}

/// Executes operations until the sender is dropped.
fn serve(world: &SimpleCommunicator, operations: &Receiver<Operation>, results: &Sender<Values>) {
    for operation in operations {
        let result = match operation {
            Operation::Sum(Values::F64(values)) => {
                let mut sums = vec![0.0; values.len()];
                world.all_reduce_into(&values[..], &mut sums[..], SystemOperation::sum());
                Values::F64(sums)
            }
            Operation::Sum(Values::F32(values)) => {
                let mut sums = vec![0.0; values.len()];
                world.all_reduce_into(&values[..], &mut sums[..], SystemOperation::sum());
                Values::F32(sums)
            }
            Operation::Sum(bytes @ Values::Bytes(_)) => bytes,
            Operation::Gather(bytes) => Values::Bytes(gather(world, &bytes)),
            Operation::Abort(code) => world.abort(i32::from(code)),
        };
        if results.send(result).is_err() {
            return;
        }
    }
}

/// Returns the bytes of every process by rank.
fn gather(world: &SimpleCommunicator, bytes: &[u8]) -> Vec<Vec<u8>> {
    let own = Count::try_from(bytes.len()).unwrap_or(Count::MAX);
    let mut counts: Vec<Count> = vec![0; world.size() as usize];
    world.all_gather_into(&own, &mut counts[..]);
    let mut starts = Vec::with_capacity(counts.len());
    let mut total: Count = 0;
    for count in &counts {
        starts.push(total);
        total += count;
    }
    // Open MPI's mark for "in place" is the address 1, which an empty `Vec<u8>` has too. Buffers here have another address.
    let nothing = [0u8];
    let own = if bytes.is_empty() { &nothing[..0] } else { bytes };
    let mut all = vec![0u8; total as usize + 1];
    let mut parts = PartitionMut::new(&mut all[..total as usize], &counts[..], &starts[..]);
    world.all_gather_varcount_into(own, &mut parts);
    let part = |(start, count): (&Count, &Count)| all[*start as usize..][..*count as usize].to_vec();
    starts.iter().zip(&counts).map(part).collect()
}

impl ProcessGroup for MpiGroup {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn all_reduce(&self, values: &mut [f64]) {
        match self.exchange(Operation::Sum(Values::F64(values.to_vec()))) {
            Some(Values::F64(sums)) => values.copy_from_slice(&sums),
            // The thread has ended, and with it the group: later results would be wrong.
            _ => std::process::abort(),
        }
    }

    fn all_reduce_f32(&self, values: &mut [f32]) {
        match self.exchange(Operation::Sum(Values::F32(values.to_vec()))) {
            Some(Values::F32(sums)) => values.copy_from_slice(&sums),
            _ => std::process::abort(),
        }
    }

    fn all_gather(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        match self.exchange(Operation::Gather(bytes.to_vec())) {
            Some(Values::Bytes(parts)) => parts,
            _ => std::process::abort(),
        }
    }

    fn abort(&self, code: u8) {
        let channel = match self.channel.try_lock() {
            Ok(channel) => Some(channel),
            Err(TryLockError::Poisoned(channel)) => Some(channel.into_inner()),
            // An operation is waiting for other processes.
            Err(TryLockError::WouldBlock) => None,
        };
        let is_sent = channel
            .as_ref()
            .and_then(|channel| channel.operations.as_ref())
            .is_some_and(|operations| operations.send(Operation::Abort(code)).is_ok());
        if let Some(channel) = channel.filter(|_| is_sent) {
            let _ = channel.results.recv();
        }
        // A process that exits without finalising MPI ends the others as well.
        std::process::exit(i32::from(code));
    }
}

impl Drop for MpiGroup {
    /// Finalises MPI, which waits for all processes; during a panic, the other processes are ended instead.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.abort(101);
        }
        let channel = self.channel.get_mut().unwrap_or_else(PoisonError::into_inner);
        channel.operations = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
