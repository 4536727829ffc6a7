//! A group of threads of one process.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::Group;

/// One thread of a group. An exchange in which a member has failed panics.
#[derive(Debug)]
pub struct Threads {
    rank: usize,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    size: usize,
    round: Mutex<Round>,
    changed: Condvar,
}

/// The exchange that is going on.
#[derive(Debug, Default)]
struct Round {
    number: u64,
    /// What each member brought.
    parts: Vec<Option<Vec<f64>>>,
    /// The sums of the last exchange. The next one cannot end before every member has taken them.
    sums: Vec<f64>,
    is_broken: bool,
}

impl Threads {
    /// A group of so many members, by rank.
    pub fn new(size: usize) -> Vec<Self> {
        let round = Round { parts: vec![None; size], ..Round::default() };
        let shared = Arc::new(Shared { size, round: Mutex::new(round), changed: Condvar::new() });
        (0..size).map(|rank| Self { rank, shared: Arc::clone(&shared) }).collect()
    }

    /// Runs `work` on so many threads, one a member; what they return, by rank.
    ///
    /// # Panics
    /// When one of them does; the others end with it.
    pub fn run<R: Send>(size: usize, work: impl Fn(Arc<Self>) -> R + Sync) -> Vec<R> {
        let results: Vec<_> = std::thread::scope(|scope| {
            let work = &work;
            let start = |member: Self| {
                scope.spawn(move || {
                    let member = Arc::new(member);
                    let _guard = Guard(Arc::clone(&member));
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
}

/// Breaks the group when its thread panics, so that the others do not wait for ever.
struct Guard(Arc<Threads>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abort(1);
        }
    }
}

impl Group for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.shared.size
    }

    fn sum(&self, values: &mut [f64]) {
        let mut round = self.lock();
        let number = round.number;
        round.parts[self.rank] = Some(values.to_vec());
        if round.parts.iter().all(Option::is_some) {
            let parts: Vec<Vec<f64>> = round.parts.iter_mut().filter_map(Option::take).collect();
            let is_equal_work = parts.iter().all(|part| part.len() == values.len());
            round.is_broken |= !is_equal_work;
            // In the order of ranks, whoever comes last.
            round.sums = (0..values.len())
                .map(|index| parts.iter().map(|part| part.get(index).copied().unwrap_or_default()).sum())
                .collect();
            round.number += 1;
            self.shared.changed.notify_all();
        }
        while round.number == number && !round.is_broken {
            round = self.shared.changed.wait(round).unwrap_or_else(PoisonError::into_inner);
        }
        let is_broken = round.is_broken;
        if !is_broken {
            values.copy_from_slice(&round.sums);
        }
        drop(round);
        assert!(!is_broken, "a member of the group has failed, or exchanges something else");
    }

    fn sum_f32(&self, values: &mut [f32]) {
        let mut wide: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
        self.sum(&mut wide);
        values.iter_mut().zip(wide).for_each(|(value, sum)| *value = sum as f32);
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
    fn every_member_gets_the_sums_of_every_exchange() {
        let results = Threads::run(3, |group| {
            let rank = group.rank() as f64;
            let mut found = Vec::new();
            for round in 0..200 {
                let mut values = [rank, 10.0 * rank + f64::from(round)];
                group.sum(&mut values);
                found.push(values);
            }
            let mut narrow = [1.5f32];
            group.sum_f32(&mut narrow);
            let mut first = [rank + 7.0];
            group.broadcast(&mut first);
            group.barrier();
            (found, narrow, first, group.gather(rank * rank))
        });
        for (found, narrow, first, all) in results {
            for (round, values) in found.into_iter().enumerate() {
                assert_eq!(values, [3.0, 30.0 + 3.0 * round as f64]);
            }
            assert_eq!((narrow, first), ([4.5], [7.0]));
            assert_eq!(all, [0.0, 1.0, 4.0]);
        }
    }

    #[test]
    fn a_member_that_fails_ends_the_others() {
        let ended = std::panic::catch_unwind(|| {
            Threads::run(3, |group| {
                assert!(group.rank() != 1, "this one fails");
                group.barrier();
            })
        });
        assert!(ended.is_err());
    }

    #[test]
    fn members_that_do_different_work_end() {
        let ended = std::panic::catch_unwind(|| {
            Threads::run(2, |group| group.sum(&mut vec![0.0; 1 + group.rank()]));
        });
        assert!(ended.is_err());
    }
}
