//! The threads that share the work of a step.

use rayon::ThreadPool;
use rayon::prelude::*;

/// Some threads of their own, or none where one is enough or no more can be had.
pub(crate) struct Team {
    pool: Option<ThreadPool>,
}

impl Team {
    pub(crate) fn new(threads: usize) -> Self {
        let pool = (threads > 1).then(|| rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok());
        Self { pool: pool.flatten() }
    }

    /// Runs `work` where [`Team::each`] finds the threads without a detour.
    pub(crate) fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Runs every task once, in any order.
    pub(crate) fn each(&self, tasks: usize, task: impl Fn(usize) + Sync + Send) {
        match &self.pool {
            Some(_) if tasks > 1 => (0..tasks).into_par_iter().for_each(task),
            _ => (0..tasks).for_each(task),
        }
    }
}
