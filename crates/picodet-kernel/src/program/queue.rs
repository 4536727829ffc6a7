//! The queue of the steps of an inference, from which its workers take bands of rows.
//!
//! Every step has one band of rows per worker. A worker takes its own band first, which reads mostly what it wrote
//! itself, and then any band that has not been taken: a worker without a core does not hold up the others. Inside an
//! inference workers wait by spinning, because a step takes microseconds and waking a thread takes thirty.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Iterations of the waiting loop before a worker yields its core, in case there are more workers than cores.
const SPINS: usize = 512;

/// The bands of `steps` steps, in order.
#[derive(Debug)]
pub(super) struct StepQueue {
    workers: usize,
    /// For each band of each step, whether a worker has taken it.
    begun: Vec<AtomicBool>,
    /// Number of bands that are done.
    done: AtomicUsize,
    /// Number of workers inside [`StepQueue::work`].
    inside: AtomicUsize,
    /// Whether no further band may begin.
    abandoned: AtomicBool,
}

impl StepQueue {
    pub(super) fn new(workers: usize, steps: usize) -> Self {
        Self {
            workers,
            begun: (0..workers * steps).map(|_| AtomicBool::new(false)).collect(),
            done: AtomicUsize::new(0),
            inside: AtomicUsize::new(0),
            abandoned: AtomicBool::new(false),
        }
    }

    /// Calls `work(step, band)` for bands of all steps, together with the other workers. A step begins when the previous
    /// one is done, and sees everything that its workers wrote. Returns early when another worker has panicked.
    pub(super) fn work(&self, worker: usize, mut work: impl FnMut(usize, usize)) {
        let _participant = Participant::new(self);
        if self.abandoned.load(Ordering::SeqCst) {
            return;
        }
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

impl StepQueue {
    /// Returns when no worker is or will be inside `work`: immediately after the last band, or, if a worker has panicked,
    /// when all have left. The result is whether all bands are done.
    pub(super) fn finish(&self) -> bool {
        if self.done.load(Ordering::Acquire) == self.begun.len() {
            return true;
        }
        self.abandoned.store(true, Ordering::SeqCst);
        while self.inside.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
        false
    }
}

/// Counts a worker, and marks the queue as abandoned when it panics, so that the others do not wait forever.
struct Participant<'a>(&'a StepQueue);

impl<'a> Participant<'a> {
    fn new(queue: &'a StepQueue) -> Self {
        queue.inside.fetch_add(1, Ordering::SeqCst);
        Self(queue)
    }
}

impl Drop for Participant<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abandoned.store(true, Ordering::SeqCst);
        }
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(target_family = "wasm", ignore = "WebAssembly has no threads here")]
    fn every_band_once_and_no_step_before_the_previous_is_done() {
        const STEPS: usize = 300;
        for workers in 1..=4 {
            let queue = StepQueue::new(workers, STEPS);
            let count = AtomicUsize::new(0);
            let early = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for worker in 0..workers {
                    let (queue, count, early) = (&queue, &count, &early);
                    scope.spawn(move || {
                        queue.work(worker, |step, _| {
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
        let queue = StepQueue::new(3, 2);
        let mut bands = Vec::new();
        queue.work(1, |step, band| bands.push((step, band)));
        assert!(queue.finish());
        assert_eq!(bands, [(0, 1), (0, 2), (0, 0), (1, 1), (1, 2), (1, 0)]);
    }

    #[test]
    #[cfg_attr(target_family = "wasm", ignore = "WebAssembly has no threads here")]
    fn a_panic_does_not_hang_the_others() {
        let queue = StepQueue::new(2, 2);
        let begun = AtomicUsize::new(0);
        let bands = std::thread::scope(|scope| {
            let (queue, begun) = (&queue, &begun);
            // Both are inside their bands of the first step before one of them panics.
            let meet = || {
                begun.fetch_add(1, Ordering::SeqCst);
                while begun.load(Ordering::SeqCst) < 2 {
                    std::thread::yield_now();
                }
            };
            let panicking = scope.spawn(move || {
                queue.work(0, |_, _| {
                    meet();
                    std::panic::resume_unwind(Box::new("expected"));
                });
            });
            let mut bands = Vec::new();
            queue.work(1, |step, band| {
                meet();
                bands.push((step, band));
            });
            assert!(panicking.join().is_err(), "the first worker took a band and panicked");
            bands
        });
        assert_eq!(bands, [(0, 1)], "the second worker does its band and gives up waiting");
        assert!(!queue.finish(), "not all is done");
        queue.work(1, |_, _| unreachable!("no band begins any more"));
    }
}
