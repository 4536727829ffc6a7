//! Ordered parallel maps over short-lived threads.

#![forbid(unsafe_code)]

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, available_parallelism, scope};

/// Computes `job(item)` for every item and returns the results in the order of the items.
///
/// `threads` counts the calling thread, which works as well; 0 stands for one thread per available core. At most one
/// thread per item is started, and none for a single thread or item. Idle threads take the next item, so that items may
/// differ in cost. The result does not depend on the number of threads.
///
/// ```
/// let squares = picodet_parallel::map(0..4, 2, |index| index * index);
/// assert_eq!(squares, [0, 1, 4, 9]);
/// ```
///
/// # Panics
/// If `job` panics: all threads finish the item that they are working on, and the first panic continues in the caller.
pub fn map<I, R>(items: I, threads: usize, job: impl Fn(I::Item) -> R + Sync) -> Vec<R>
where
    I: IntoIterator<IntoIter: ExactSizeIterator + Send, Item: Send>,
    R: Send,
{
    let items = items.into_iter();
    let count = items.len();
    let threads = if threads == 0 { cores() } else { threads }.min(count);
    if threads <= 1 {
        return items.map(job).collect();
    }
    let queue = Mutex::new(items.enumerate());
    let take_next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    // Discards what is left, so that the other threads end early.
    let discard_rest = || while take_next().is_some() {};
    let work = || {
        let _guard = OnPanic(&discard_rest);
        let mut results = Vec::new();
        while let Some((index, item)) = take_next() {
            results.push((index, job(item)));
        }
        results
    };
    let mut results = Vec::with_capacity(count);
    scope(|scope| {
        // With fewer threads, as on WebAssembly, this one does more of the work.
        let workers: Vec<_> =
            (1..threads).map_while(|_| Builder::new().spawn_scoped(scope, work).ok()).collect();
        results.extend(work());
        for worker in workers {
            results.extend(worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
    });
    results.sort_unstable_by_key(|&(index, _)| index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Returns the number of threads that the system can run at the same time, 1 if it is unknown.
pub fn cores() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// Calls a function when it is dropped by a panic.
struct OnPanic<'a, F: Fn()>(&'a F);

impl<F: Fn()> Drop for OnPanic<'_, F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread::{ThreadId, current};

    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        for threads in [0, 1, 2, 3, 8, 40] {
            for count in [0, 1, 2, 7, 31] {
                let expected: Vec<usize> = (0..count).map(|index| 3 * index).collect();
                assert_eq!(map(0..count, threads, |index| 3 * index), expected, "{threads} threads");
            }
        }
    }

    #[test]
    fn items_are_moved_and_may_borrow_mutably() {
        let mut values = [1, 2, 3, 4, 5];
        let lengths = map(values.chunks_mut(2), 3, |part| {
            part.iter_mut().for_each(|value| *value *= 10);
            part.len()
        });
        assert_eq!((values, lengths), ([10, 20, 30, 40, 50], vec![2, 2, 1]));
    }

    #[test]
    fn the_threads_work_at_the_same_time() {
        let meeting = Barrier::new(3);
        let threads: BTreeSet<String> = map(0..3, 3, |_| {
            meeting.wait();
            let id: ThreadId = current().id();
            format!("{id:?}")
        })
        .into_iter()
        .collect();
        assert_eq!(threads.len(), 3);
    }

    #[test]
    fn a_panic_reaches_the_caller_with_its_message() {
        for threads in [1, 2, 4] {
            let started = AtomicUsize::new(0);
            let job = |index: usize| {
                started.fetch_add(1, Ordering::Relaxed);
                assert!(index != 5, "item {index} is broken");
            };
            let panic = catch_unwind(AssertUnwindSafe(|| map(0..100_000, threads, job)));
            let panic = panic.expect_err("the panic of an item");
            let message = panic.downcast_ref::<String>().map(String::as_str);
            assert_eq!(message, Some("item 5 is broken"), "{threads} threads");
            assert!(started.load(Ordering::Relaxed) < 100_000, "the rest is not computed");
        }
    }
}
