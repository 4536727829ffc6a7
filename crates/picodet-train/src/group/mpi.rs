//! A group of processes that talk through MPI.
//!
//! One thread, started here, initialises MPI, makes every call and ends it (`MPI_THREAD_FUNNELED`). Others ask it and wait:
//! exchanges come from whatever thread the computation is on.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::thread::JoinHandle;

use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};

use super::Group;

/// This process as a member of MPI's world.
#[derive(Debug)]
pub struct Mpi {
    rank: usize,
    size: usize,
    line: Mutex<Line>,
    thread: Option<JoinHandle<()>>,
}

/// The way to the thread that talks to MPI.
#[derive(Debug)]
struct Line {
    /// `None` when nothing more will be asked.
    ask: Option<Sender<Ask>>,
    answer: Receiver<Numbers>,
}

#[derive(Debug)]
enum Ask {
    Sum(Numbers),
    Abort(u8),
}

#[derive(Debug)]
enum Numbers {
    Wide(Vec<f64>),
    Narrow(Vec<f32>),
}

/// Why a process is no member of a group.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MpiError {
    /// MPI does not start.
    #[error("MPI cannot be started: {0}")]
    Start(String),
    /// The starter belongs to another MPI than the one this program was built with.
    #[error(
        "{started} processes were started, but MPI knows of {found}: this program was built with another MPI than that of \
         the mpirun that started it"
    )]
    OtherMpi {
        /// How many the starter says.
        started: usize,
        /// How many MPI says.
        found: usize,
    },
}

impl Mpi {
    /// Joins the `started` processes that were started together. To be called once in a process.
    ///
    /// # Errors
    /// See [`MpiError`].
    pub fn join(started: usize) -> Result<Self, MpiError> {
        let (ask, asked) = channel();
        let (answer, answers) = channel();
        let (tell, told) = channel();
        let talk = move || match mpi::initialize_with_threading(Threading::Funneled) {
            Some((universe, threading)) if threading >= Threading::Funneled => {
                let world = universe.world();
                let _ = tell.send(Ok((world.rank(), world.size())));
                serve(&world, &asked, &answer);
                // Dropping the universe ends MPI.
            }
            Some(_) => drop(tell.send(Err("it does not go with threads"))),
            None => drop(tell.send(Err("it is running already"))),
        };
        let refuse = |problem: String| MpiError::Start(problem);
        let thread = std::thread::Builder::new()
            .name("mpi".to_owned())
            .spawn(talk)
            .map_err(|error| refuse(error.to_string()))?;
        let ended = |_| refuse("its thread has ended".to_owned());
        let (rank, size) = told.recv().map_err(ended)?.map_err(|problem| refuse(problem.to_owned()))?;
        let line = Mutex::new(Line { ask: Some(ask), answer: answers });
        let member = Self { rank: rank as usize, size: size as usize, line, thread: Some(thread) };
        if member.size != started {
            return Err(MpiError::OtherMpi { started, found: member.size });
        }
        Ok(member)
    }

    fn exchange(&self, numbers: Numbers) -> Option<Numbers> {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.ask.as_ref()?.send(Ask::Sum(numbers)).ok()?;
        line.answer.recv().ok()
    }
}

/// Answers until nobody can ask any more.
fn serve(world: &SimpleCommunicator, asked: &Receiver<Ask>, answer: &Sender<Numbers>) {
    for ask in asked {
        let sums = match ask {
            Ask::Sum(Numbers::Wide(values)) => {
                let mut sums = vec![0.0; values.len()];
                world.all_reduce_into(&values[..], &mut sums[..], SystemOperation::sum());
                Numbers::Wide(sums)
            }
            Ask::Sum(Numbers::Narrow(values)) => {
                let mut sums = vec![0.0; values.len()];
                world.all_reduce_into(&values[..], &mut sums[..], SystemOperation::sum());
                Numbers::Narrow(sums)
            }
            Ask::Abort(code) => world.abort(i32::from(code)),
        };
        if answer.send(sums).is_err() {
            return;
        }
    }
}

impl Group for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn sum(&self, values: &mut [f64]) {
        match self.exchange(Numbers::Wide(values.to_vec())) {
            Some(Numbers::Wide(sums)) => values.copy_from_slice(&sums),
            // Its thread is gone, and with it the group: nothing that is computed from here on would be right.
            _ => std::process::abort(),
        }
    }

    fn sum_f32(&self, values: &mut [f32]) {
        match self.exchange(Numbers::Narrow(values.to_vec())) {
            Some(Numbers::Narrow(sums)) => values.copy_from_slice(&sums),
            _ => std::process::abort(),
        }
    }

    fn abort(&self, code: u8) {
        let line = match self.line.try_lock() {
            Ok(line) => Some(line),
            Err(TryLockError::Poisoned(line)) => Some(line.into_inner()),
            // An exchange is waiting for others.
            Err(TryLockError::WouldBlock) => None,
        };
        let is_asked = line
            .as_ref()
            .and_then(|line| line.ask.as_ref())
            .is_some_and(|ask| ask.send(Ask::Abort(code)).is_ok());
        if let Some(line) = line.filter(|_| is_asked) {
            let _ = line.answer.recv();
        }
        // A process that ends without ending MPI ends the others, too.
        std::process::exit(i32::from(code));
    }
}

impl Drop for Mpi {
    /// Ends MPI, which waits for all members; where this one is panicking, they are ended instead.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.abort(101);
        }
        let line = self.line.get_mut().unwrap_or_else(PoisonError::into_inner);
        line.ask = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
