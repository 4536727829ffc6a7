//! How the workers of an inference share its steps.
//!
//! Every step has one band of rows a worker. A worker takes its own band first, which reads mostly what it wrote
//! itself, and then any band that nobody has begun: when its owner has no core at the moment, the others go on without
//! it. Inside an inference workers wait by spinning, because a step takes microseconds and waking a thread thirty.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Turns of the waiting loop before a worker offers its core to others, in case there are more workers than cores.
const SPINS: usize = 512;

/// The bands of `steps` steps, in order.
#[derive(Debug)]
pub(crate) struct Share {
    workers: usize,
    begun: Vec<AtomicBool>,
    done: AtomicUsize,
    abandoned: AtomicBool,
}

impl Share {
    pub(crate) fn new(workers: usize, steps: usize) -> Self {
        Self {
            workers,
            begun: (0..workers * steps).map(|_| AtomicBool::new(false)).collect(),
            done: AtomicUsize::new(0),
            abandoned: AtomicBool::new(false),
        }
    }

    /// Does `work(step, band)` for bands of all steps together with the other workers. A step begins when the one
    /// before it is done, with all that its workers wrote visible. Returns early when another worker has panicked.
    pub(crate) fn work(&self, worker: usize, mut work: impl FnMut(usize, usize)) {
        let _guard = Guard(self);
        for (step, begun) in self.begun.chunks(self.workers).enumerate() {
            for turn in 0..self.workers {
                let band = (worker + turn) % self.workers;
                if !begun[band].load(Ordering::Relaxed) && !begun[band].swap(true, Ordering::Relaxed) {
                    work(step, band);
                    self.done.fetch_add(1, Ordering::AcqRel);
                }
            }
            let mut turns = 0usize;
            while self.done.load(Ordering::Acquire) < (step + 1) * self.workers {
                if self.abandoned.load(Ordering::Relaxed) {
                    return;
                }
                turns += 1;
                if turns.is_multiple_of(SPINS) {
                    std::thread::yield_now();
                } else {
                    std::hint::spin_loop();
                }
            }
        }
    }
}

/// Tells the others when its worker panics, so that they do not wait for ever.
struct Guard<'a>(&'a Share);

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
    #[cfg_attr(target_family = "wasm", ignore = "WebAssembly has no threads here")]
    fn every_band_once_and_no_step_before_the_last_is_done() {
        const STEPS: usize = 300;
        for workers in 1..=4 {
            let share = Share::new(workers, STEPS);
            let count = AtomicUsize::new(0);
            let early = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for worker in 0..workers {
                    let (share, count, early) = (&share, &count, &early);
                    scope.spawn(move || {
                        share.work(worker, |step, _| {
                            let before = count.fetch_add(1, Ordering::SeqCst);
                            let fits = (step * workers..(step + 1) * workers).contains(&before);
                            early.fetch_add(usize::from(!fits), Ordering::SeqCst);
                        });
                    });
                }
            });
            assert_eq!(early.into_inner(), 0, "{workers} workers");
            assert_eq!(count.into_inner(), workers * STEPS, "{workers} workers");
        }
    }

    #[test]
    fn one_worker_does_the_bands_of_those_that_never_come() {
        let share = Share::new(3, 2);
        let mut bands = Vec::new();
        share.work(1, |step, band| bands.push((step, band)));
        assert_eq!(bands, [(0, 1), (0, 2), (0, 0), (1, 1), (1, 2), (1, 0)]);
    }

    #[test]
    #[cfg_attr(target_family = "wasm", ignore = "WebAssembly has no threads here")]
    fn a_panic_does_not_hang_the_others() {
        let share = Share::new(2, 2);
        let steps = std::thread::scope(|scope| {
            let panicking = scope.spawn(|| {
                share.work(0, |_, _| std::panic::resume_unwind(Box::new("expected")));
            });
            assert!(panicking.join().is_err(), "the first worker took a band and panicked");
            let mut steps = Vec::new();
            share.work(1, |step, _| steps.push(step));
            steps
        });
        assert_eq!(steps, [0], "the second worker does its band and gives up waiting");
    }
}
