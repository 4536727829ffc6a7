//! The thread pool of a training step.

use rayon::prelude::*;

/// Worker threads, or only the calling thread where one is enough or the system provides no more.
///
/// Work is cut into the same tasks whatever the number of threads, so results do not depend on that number.
#[derive(Debug)]
pub struct ThreadPool {
    pool: Option<rayon::ThreadPool>,
}

impl ThreadPool {
    /// Starts `threads` workers. Falls back to the calling thread if they cannot be started, as on WebAssembly.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let pool = (threads > 1).then(|| rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok());
        Self { pool: pool.flatten() }
    }

    /// Runs `work` on a worker, so that [`ThreadPool::for_each`] inside it reaches the others directly.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Calls `task` once with each item, in any order, on any worker.
    pub fn for_each<T: Send>(&self, items: Vec<T>, task: impl Fn(T) + Sync + Send) {
        match &self.pool {
            Some(pool) if items.len() > 1 => pool.install(|| items.into_par_iter().for_each(task)),
            _ => items.into_iter().for_each(task),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_visited_once_on_any_number_of_threads() {
        for threads in [0, 1, 3] {
            let pool = ThreadPool::new(threads);
            let mut counts = vec![0u32; 101];
            pool.install(|| pool.for_each(counts.iter_mut().collect(), |count| *count += 1));
            assert!(counts.iter().all(|&count| count == 1), "{threads} threads: {counts:?}");
        }
    }
}
