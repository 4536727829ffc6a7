//! The threads of an inference: a pool of helpers, the queue of the steps, and the decision whether helpers pay.

mod policy;
mod pool;
mod queue;

use std::sync::Arc;

pub(crate) use policy::HelperPolicy;
use queue::StepQueue;

/// Calls `work(context, step, band)` for every band of every step, on at most `threads` threads: the calling one and
/// helpers. There are `workers` bands per step; a step begins after all bands of the previous one are done.
///
/// Returns, or unwinds, only when no thread is inside `work` any more, so that `work` may use memory that the caller
/// frees afterwards.
pub(crate) fn run_steps<C: Send + Sync + 'static>(
    context: &Arc<C>,
    (steps, workers): (usize, usize),
    threads: usize,
    work: impl Fn(&C, usize, usize) + Send + Sync + 'static,
) {
    let queue = Arc::new(StepQueue::new(workers, steps));
    if threads == 1 {
        queue.work(0, |step, band| work(context, step, band));
        return;
    }
    let guard = JoinOnDrop(Arc::clone(&queue));
    let context = Arc::clone(context);
    let job: pool::Job = Arc::new(move |worker| queue.work(worker, |step, band| work(&context, step, band)));
    pool::run(&job, threads);
    if !guard.0.finish() {
        std::panic::resume_unwind(Box::new("a worker of the inference has panicked"));
    }
}

/// Waits for all workers before the buffers of an inference are dropped, even when unwinding.
struct JoinOnDrop(Arc<StepQueue>);

impl Drop for JoinOnDrop {
    fn drop(&mut self) {
        self.0.finish();
    }
}
