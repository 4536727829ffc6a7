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
    /// Workers inside [`Share::work`].
    inside: AtomicUsize,
    abandoned: AtomicBool,
}

impl Share {
    pub(crate) fn new(workers: usize, steps: usize) -> Self {
        Self {
            workers,
            begun: (0..workers * steps).map(|_| AtomicBool::new(false)).collect(),
            done: AtomicUsize::new(0),
            inside: AtomicUsize::new(0),
            abandoned: AtomicBool::new(false),
        }
    }

    /// Does `work(step, band)` for bands of all steps together with the other workers. A step begins when the one
    /// before it is done, with all that its workers wrote visible. Returns early when another worker has panicked.
    pub(crate) fn work(&self, worker: usize, mut work: impl FnMut(usize, usize)) {
        let _guard = Guard::new(self);
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

impl Share {
    /// Returns when no worker will do anything any more: at once after the last band, and when all have left if one has
    /// panicked. Says whether all bands are done.
    pub(crate) fn finish(&self) -> bool {
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

/// Counts a worker, and tells the others when it panics, so that they do not wait for ever.
struct Guard<'a>(&'a Share);

impl<'a> Guard<'a> {
    fn new(share: &'a Share) -> Self {
        share.inside.fetch_add(1, Ordering::SeqCst);
        Self(share)
    }
}

impl Drop for Guard<'_> {
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
        assert!(share.finish());
        assert_eq!(bands, [(0, 1), (0, 2), (0, 0), (1, 1), (1, 2), (1, 0)]);
    }

    #[test]
    #[cfg_attr(target_family = "wasm", ignore = "WebAssembly has no threads here")]
    fn a_panic_does_not_hang_the_others() {
        let share = Share::new(2, 2);
        let begun = AtomicUsize::new(0);
        let bands = std::thread::scope(|scope| {
            let (share, begun) = (&share, &begun);
            // Both are inside their bands of the first step before one of them panics.
            let meet = || {
                begun.fetch_add(1, Ordering::SeqCst);
                while begun.load(Ordering::SeqCst) < 2 {
                    std::thread::yield_now();
                }
            };
            let panicking = scope.spawn(move || {
                share.work(0, |_, _| {
                    meet();
                    std::panic::resume_unwind(Box::new("expected"));
                });
            });
            let mut bands = Vec::new();
            share.work(1, |step, band| {
                meet();
                bands.push((step, band));
            });
            assert!(panicking.join().is_err(), "the first worker took a band and panicked");
            bands
        });
        assert_eq!(bands, [(0, 1)], "the second worker does its band and gives up waiting");
        assert!(!share.finish(), "not all is done");
        share.work(1, |_, _| unreachable!("nobody begins any more"));
    }
}
