//! A barrier that spins: inside an inference workers wait for each other for well under a microsecond, and waking a
//! sleeping thread takes thirty.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Turns of the waiting loop before a worker offers its core to others, in case there are more workers than cores.
const SPINS: usize = 4096;

/// Lets `workers` threads wait for each other, any number of times.
#[derive(Debug)]
pub(crate) struct Barrier {
    workers: usize,
    arrived: AtomicUsize,
    generation: AtomicUsize,
    abandoned: AtomicBool,
}

impl Barrier {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers,
            arrived: AtomicUsize::new(0),
            generation: AtomicUsize::new(0),
            abandoned: AtomicBool::new(false),
        }
    }

    /// Returns when all workers have called it; `false` when one of them has given up.
    pub(crate) fn wait(&self) -> bool {
        if self.workers == 1 {
            return true;
        }
        let generation = self.generation.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.workers {
            self.arrived.store(0, Ordering::Relaxed);
            self.generation.store(generation.wrapping_add(1), Ordering::Release);
            return true;
        }
        let mut turns = 0;
        while self.generation.load(Ordering::Acquire) == generation {
            if self.abandoned.load(Ordering::Relaxed) {
                return false;
            }
            turns += 1;
            if turns % SPINS == 0 {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
        true
    }
}

/// Tells the others when its worker panics, so that they do not wait for ever.
pub(crate) struct Guard<'a>(pub(crate) &'a Barrier);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abandoned.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_passes_before_the_last_arrives() {
        const ROUNDS: usize = 200;
        let barrier = Barrier::new(3);
        let count = AtomicUsize::new(0);
        let early: usize = std::thread::scope(|scope| {
            let work = || {
                let mut early = 0;
                for round in 1..=ROUNDS {
                    count.fetch_add(1, Ordering::SeqCst);
                    barrier.wait();
                    early += usize::from(count.load(Ordering::SeqCst) < 3 * round);
                    barrier.wait();
                }
                early
            };
            let workers: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap_or(usize::MAX)).sum()
        });
        assert_eq!(early, 0);
        assert_eq!(count.load(Ordering::SeqCst), 3 * ROUNDS);
    }

    #[test]
    fn a_panic_does_not_hang_the_others() {
        let barrier = Barrier::new(2);
        let passed = std::thread::scope(|scope| {
            let panicking = scope.spawn(|| {
                let _guard = Guard(&barrier);
                std::panic::resume_unwind(Box::new("expected"));
            });
            let passed = barrier.wait();
            let _ = panicking.join();
            passed
        });
        assert!(!passed);
    }
}
