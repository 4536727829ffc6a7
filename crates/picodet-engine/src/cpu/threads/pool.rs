//! The helper threads of inferences: one pool per process, asleep between inferences.
//!
//! An inference requests one helper for each of its threads besides its own. It gets helpers only for free cores; cores that
//! other inferences of the process use are not free, so that two detectors do not compete for them. Without helpers it runs
//! on its own thread. Helpers live as long as the process; a process that was forked from it starts its own pool. In a
//! browser the library cannot start threads: there they are those that call [`help_inferences`].

use std::collections::VecDeque;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use picodet_kernel::program::Job;

use super::IN_BROWSER;

#[derive(Default)]
struct State {
    /// Jobs that no helper has begun, with the index of the worker.
    waiting: VecDeque<(Job, usize)>,
    /// Number of helpers that exist.
    helpers: usize,
    /// Number of cores that inferences have reserved: one each for the caller and for every helper granted.
    busy: usize,
}

struct Pool {
    state: Mutex<State>,
    wake: Condvar,
    cores: usize,
    /// The process whose threads the helpers are.
    process: u32,
    /// The pool of a process that was forked from this one.
    forked: OnceLock<Box<Pool>>,
}

/// Returns the pool of this process. Threads do not survive a fork, and another thread may have held the lock of the state
/// during the fork, so that a forked process must not use the pool that it has inherited.
fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    let process = process();
    let mut pool = POOL.get_or_init(|| Pool::new(process));
    while pool.process != process {
        pool = pool.forked.get_or_init(|| Box::new(Pool::new(process)));
    }
    pool
}

/// Returns the id of this process; 0 on systems without fork.
fn process() -> u32 {
    if cfg!(unix) { std::process::id() } else { 0 }
}

impl Pool {
    fn new(process: u32) -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            cores: thread::available_parallelism().map_or(1, NonZero::get),
            process,
            forked: OnceLock::new(),
        }
    }

    /// Locks the state. No code panics while holding the lock, so the state is consistent even if it is poisoned.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of cores that inferences share.
    fn cores(&self, state: &State) -> usize {
        if IN_BROWSER { 1 + state.helpers } else { self.cores }
    }

    fn help<'a>(&'a self, mut state: MutexGuard<'a, State>) -> ! {
        loop {
            let Some((job, worker)) = state.waiting.pop_front() else {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            // The job itself reports a panic to the other workers.
            let _ = catch_unwind(AssertUnwindSafe(|| job(worker)));
            drop(job);
            state = self.state();
        }
    }
}

/// Makes the calling thread a helper of the inferences of this process, for ever: for systems on which the library cannot
/// start threads, which are WebAssembly modules with shared memory.
pub fn help_inferences() -> ! {
    let pool = pool();
    let mut state = pool.state();
    state.helpers += 1;
    pool.help(state)
}

/// Calls `job(0)` on this thread and, at the same time, at most `job(1)` to `job(workers - 1)` on helpers. Returns when
/// `job(0)` does; helpers that have begun may still be inside `job`, those that have not will not begin.
pub(crate) fn run(job: &Job, workers: usize) {
    let _reservation = CoreReservation::new(job, workers);
    job(0);
}

/// The cores that one inference has reserved.
struct CoreReservation<'a> {
    job: &'a Job,
    cores: usize,
}

impl<'a> CoreReservation<'a> {
    fn new(job: &'a Job, workers: usize) -> Self {
        let pool = pool();
        let mut state = pool.state();
        state.busy += 1;
        let mut granted = (workers - 1).min(pool.cores(&state).saturating_sub(state.busy));
        while state.helpers < granted {
            // Without the thread the inference is slower, not wrong.
            if thread::Builder::new().name("picodet".into()).spawn(|| pool.help(pool.state())).is_err() {
                granted = state.helpers;
                break;
            }
            state.helpers += 1;
        }
        state.busy += granted;
        for worker in 1..=granted {
            state.waiting.push_back((Arc::clone(job), worker));
            pool.wake.notify_one();
        }
        Self { job, cores: 1 + granted }
    }
}

impl Drop for CoreReservation<'_> {
    fn drop(&mut self) {
        let mut state = pool().state();
        state.busy -= self.cores;
        state.waiting.retain(|(job, _)| !Arc::ptr_eq(job, self.job));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::*;

    /// Waits up to 20 seconds for `done`.
    fn wait_for(done: impl Fn() -> bool) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if done() {
                return true;
            }
            thread::yield_now();
        }
        false
    }

    #[test]
    #[cfg_attr(target_family = "wasm", ignore = "WebAssembly has no threads here")]
    fn helpers_are_reused_and_survive_a_panic() {
        if pool().cores < 2 {
            return; // There are no helpers to test on one core.
        }
        for round in 0..20 {
            let helped = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&helped);
            let job: Job = Arc::new(move |worker| {
                if worker > 0 {
                    counted.fetch_add(1, Ordering::SeqCst);
                    if round % 5 == 0 {
                        std::panic::resume_unwind(Box::new("expected"));
                    }
                } else {
                    // Other tests may have reserved the cores, so perhaps no helper is granted.
                    wait_for(|| counted.load(Ordering::SeqCst) > 0 || pool().state().waiting.is_empty());
                }
            });
            run(&job, 2);
            assert!(helped.load(Ordering::SeqCst) <= 1, "round {round}");
        }
        assert!(pool().state().helpers < pool().cores);
    }

    #[test]
    #[cfg_attr(target_family = "wasm", ignore = "WebAssembly has no threads here")]
    fn no_more_helpers_than_free_cores() {
        let pool = pool();
        let job: Job = Arc::new(|_| ());
        let reservations: Vec<_> = (0..5).map(|_| CoreReservation::new(&job, 64)).collect();
        let helpers: usize = reservations.iter().map(|reservation| reservation.cores - 1).sum();
        assert!(helpers < pool.cores, "{helpers} helpers on {} cores", pool.cores);
        assert!(
            reservations[1..].iter().all(|reservation| reservation.cores == 1),
            "the first one has reserved all free cores"
        );
        drop(reservations);
        assert!(wait_for(|| !pool.state().waiting.iter().any(|(other, _)| Arc::ptr_eq(other, &job))));
    }
}
