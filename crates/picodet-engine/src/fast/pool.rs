//! The threads that help inferences: one set a process, asleep between inferences.
//!
//! An inference asks for as many helpers as it has threads beside its own. It gets those that a core is free for, counting
//! what other inferences of the process use, so that two detectors do not crowd each other out; one that gets none does
//! its work alone. Helpers stay for the life of the process.

use std::collections::VecDeque;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

/// What a helper does; the number is that of the worker.
pub(crate) type Job = Arc<dyn Fn(usize) + Send + Sync>;

#[derive(Default)]
struct State {
    waiting: VecDeque<(Job, usize)>,
    /// Helpers that exist.
    helpers: usize,
    /// Cores that inferences count on: one each for the caller and for every helper granted.
    busy: usize,
}

struct Pool {
    state: Mutex<State>,
    wake: Condvar,
    cores: usize,
}

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| Pool {
        state: Mutex::default(),
        wake: Condvar::new(),
        cores: thread::available_parallelism().map_or(1, NonZero::get),
    })
}

impl Pool {
    /// The state; nothing panics while it is held, so it is sound even if the lock says otherwise.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn help(&self) -> ! {
        let mut state = self.state();
        loop {
            let Some((job, worker)) = state.waiting.pop_front() else {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            // The job itself tells the others that it has panicked.
            let _ = catch_unwind(AssertUnwindSafe(|| job(worker)));
            drop(job);
            state = self.state();
        }
    }
}

/// Does `job(0)` here and, at the same time, `job(1)` to `job(workers - 1)` at most on helpers. Returns when `job(0)`
/// does; helpers that have begun may still be inside `job`, those that have not will not begin.
pub(crate) fn run(job: &Job, workers: usize) {
    let _lease = Lease::new(job, workers);
    job(0);
}

/// The cores that one inference counts on.
struct Lease<'a> {
    job: &'a Job,
    cores: usize,
}

impl<'a> Lease<'a> {
    fn new(job: &'a Job, workers: usize) -> Self {
        let pool = pool();
        let mut state = pool.state();
        state.busy += 1;
        let mut granted = (workers - 1).min(pool.cores.saturating_sub(state.busy));
        while state.helpers < granted {
            // A thread that cannot be had is no loss but of time.
            if thread::Builder::new().name("picodet".into()).spawn(|| pool.help()).is_err() {
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

impl Drop for Lease<'_> {
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

    /// Waits a while for `done`.
    fn comes_true(done: impl Fn() -> bool) -> bool {
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
    fn helpers_come_again_and_survive_a_panic() {
        if pool().cores < 2 {
            return; // Nothing to test: no helper ever comes.
        }
        for round in 0..20 {
            let came = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&came);
            let job: Job = Arc::new(move |worker| {
                if worker > 0 {
                    counted.fetch_add(1, Ordering::SeqCst);
                    if round % 5 == 0 {
                        std::panic::resume_unwind(Box::new("expected"));
                    }
                } else {
                    // Other tests may hold the cores for a while, so none may come.
                    comes_true(|| counted.load(Ordering::SeqCst) > 0 || pool().state().waiting.is_empty());
                }
            });
            run(&job, 2);
            assert!(came.load(Ordering::SeqCst) <= 1, "round {round}");
        }
        assert!(pool().state().helpers < pool().cores);
    }

    #[test]
    #[cfg_attr(target_family = "wasm", ignore = "WebAssembly has no threads here")]
    fn no_more_helpers_than_free_cores() {
        let pool = pool();
        let job: Job = Arc::new(|_| ());
        let leases: Vec<_> = (0..5).map(|_| Lease::new(&job, 64)).collect();
        let helpers: usize = leases.iter().map(|lease| lease.cores - 1).sum();
        assert!(helpers < pool.cores, "{helpers} helpers on {} cores", pool.cores);
        assert!(leases[1..].iter().all(|lease| lease.cores == 1), "the first one has taken what was free");
        drop(leases);
        assert!(comes_true(|| !pool.state().waiting.iter().any(|(other, _)| Arc::ptr_eq(other, &job))));
    }
}
