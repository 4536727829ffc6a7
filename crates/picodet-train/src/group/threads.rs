//! A process group of threads of one process.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::ProcessGroup;

/// One thread of a group. An operation panics if another thread has failed.
#[derive(Debug)]
pub struct ThreadGroup {
    rank: usize,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    size: usize,
    round: Mutex<Round>,
    changed: Condvar,
}

/// The current exchange.
#[derive(Debug, Default)]
struct Round {
    number: u64,
    /// The bytes of each rank that has arrived.
    parts: Vec<Option<Vec<u8>>>,
    /// The bytes of all ranks of the last exchange. The next exchange cannot end before every thread has read them.
    result: Arc<Vec<Vec<u8>>>,
    is_broken: bool,
}

impl ThreadGroup {
    /// Returns the members of a group by rank.
    pub fn new(size: usize) -> Vec<Self> {
        let round = Round { parts: vec![None; size], ..Round::default() };
        let shared = Arc::new(Shared { size, round: Mutex::new(round), changed: Condvar::new() });
        (0..size).map(|rank| Self { rank, shared: Arc::clone(&shared) }).collect()
    }

    /// Runs `work` on one thread per rank and returns the results by rank.
    ///
    /// # Panics
    /// If one of the threads panics; the others then end as well.
    pub fn run<R: Send>(size: usize, work: impl Fn(Arc<Self>) -> R + Sync) -> Vec<R> {
        let results: Vec<_> = std::thread::scope(|scope| {
            let work = &work;
            let start = |member: Self| {
                scope.spawn(move || {
                    let member = Arc::new(member);
                    let _guard = AbortOnPanic(Arc::clone(&member));
                    work(member)
                })
            };
            let handles: Vec<_> = Self::new(size).into_iter().map(start).collect();
            handles.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
        });
        let unwrap =
            |result: std::thread::Result<R>| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        results.into_iter().map(unwrap).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Round> {
        self.shared.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the bytes of all ranks.
    fn exchange(&self, bytes: Vec<u8>) -> Arc<Vec<Vec<u8>>> {
        let mut round = self.lock();
        let number = round.number;
        round.parts[self.rank] = Some(bytes);
        if round.parts.iter().all(Option::is_some) {
            round.result = Arc::new(round.parts.iter_mut().filter_map(Option::take).collect());
            round.number += 1;
            self.shared.changed.notify_all();
        }
        while round.number == number && !round.is_broken {
            round = self.shared.changed.wait(round).unwrap_or_else(PoisonError::into_inner);
        }
        let result = (!round.is_broken).then(|| Arc::clone(&round.result));
        drop(round);
        result.expect("another thread of the group has failed")
    }
}

/// Ends the group when its thread panics, so that the others do not wait for ever.
struct AbortOnPanic(Arc<ThreadGroup>);

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abort(1);
        }
    }
}

impl ProcessGroup for ThreadGroup {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.shared.size
    }

    fn all_reduce(&self, values: &mut [f64]) {
        let parts = self.exchange(values.iter().flat_map(|value| value.to_le_bytes()).collect());
        let is_same_operation = parts.iter().all(|part| part.len() == size_of_val(values));
        assert!(is_same_operation, "the threads of the group give different numbers of values");
        let parts: Vec<_> = parts.iter().map(|part| part.as_chunks::<8>().0).collect();
        for (index, value) in values.iter_mut().enumerate() {
            *value = parts.iter().map(|part| f64::from_le_bytes(part[index])).sum();
        }
    }

    fn all_reduce_f32(&self, values: &mut [f32]) {
        let mut wide: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
        self.all_reduce(&mut wide);
        values.iter_mut().zip(wide).for_each(|(value, sum)| *value = sum as f32);
    }

    fn all_gather(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.exchange(bytes.to_vec()).to_vec()
    }

    fn abort(&self, _: u8) {
        self.lock().is_broken = true;
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rank_gets_the_results_of_every_exchange() {
        let results = ThreadGroup::run(3, |group| {
            let rank = group.rank() as f64;
            let mut found = Vec::new();
            for round in 0..200 {
                let mut values = [rank, 10.0 * rank + f64::from(round)];
                group.all_reduce(&mut values);
                found.push(values);
            }
            let mut single = [1.5f32];
            group.all_reduce_f32(&mut single);
            let mut first = [rank + 7.0];
            group.broadcast(&mut first);
            group.barrier();
            let bytes = vec![group.rank() as u8; 2 * group.rank()];
            (found, single, first, group.all_gather_f64(rank * rank), group.all_gather(&bytes))
        });
        for (found, single, first, squares, bytes) in results {
            for (round, values) in found.into_iter().enumerate() {
                assert_eq!(values, [3.0, 30.0 + 3.0 * round as f64]);
            }
            assert_eq!((single, first), ([4.5], [7.0]));
            assert_eq!(squares, [0.0, 1.0, 4.0]);
            assert_eq!(bytes, [vec![], vec![1, 1], vec![2, 2, 2, 2]]);
        }
    }

    #[test]
    fn a_failed_rank_ends_the_others() {
        let ended = std::panic::catch_unwind(|| {
            ThreadGroup::run(3, |group| {
                assert!(group.rank() != 1, "this one fails");
                group.barrier();
            })
        });
        assert!(ended.is_err());
    }

    #[test]
    fn ranks_with_different_operations_end() {
        let ended = std::panic::catch_unwind(|| {
            ThreadGroup::run(2, |group| group.all_reduce(&mut vec![0.0; 1 + group.rank()]));
        });
        assert!(ended.is_err());
    }
}
