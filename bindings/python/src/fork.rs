//! Keeps `os.fork` from copying the process in the middle of a detection, whose locks would stay closed in the child.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use pyo3::pyfunction;

/// Number of detections in progress.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// Whether a thread is about to fork. Atomics only: a lock could be held by another thread at the time of the fork.
static FORKING: AtomicBool = AtomicBool::new(false);
/// Time between two checks of the other side; detections and forks take milliseconds.
const PAUSE: Duration = Duration::from_micros(50);

/// A detection in progress, which a fork waits for.
pub(crate) struct Running(());

impl Running {
    /// Waits until no thread forks. The caller must not hold the interpreter lock, which the forking thread has.
    pub(crate) fn begin() -> Self {
        loop {
            RUNNING.fetch_add(1, Ordering::SeqCst);
            if !FORKING.load(Ordering::SeqCst) {
                return Self(());
            }
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            sleep(PAUSE);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits for the detections in progress and holds back further ones.
#[pyfunction]
pub fn before_fork() {
    // Another thread may be forking already where the interpreter has no lock.
    while FORKING.swap(true, Ordering::SeqCst) {
        sleep(PAUSE);
    }
    while RUNNING.load(Ordering::SeqCst) > 0 {
        sleep(PAUSE);
    }
}

/// Lets detections continue in the process that has forked.
#[pyfunction]
pub fn after_fork_in_parent() {
    FORKING.store(false, Ordering::SeqCst);
}

/// Lets detections begin in the new process, in which only this thread exists.
#[pyfunction]
pub fn after_fork_in_child() {
    RUNNING.store(0, Ordering::SeqCst);
    FORKING.store(false, Ordering::SeqCst);
}
