//! Steps that follow each other in one: some rows at a time go through all of them, each worker's rows apart from the
//! others', so that large maps between them neither leave a core's cache nor are ever there as a whole.
//!
//! What a step reads beyond the rows of its worker, that worker makes too, in memory of its own: some rows are made twice,
//! and nobody waits for anybody.

use super::schedule::{Buffer, BufferId, Operation, Stage, Step};

/// Bytes of the rows between all stages: half of a usual level-2 cache.
fn env(n:&str,d:usize)->usize{std::env::var(n).ok().and_then(|v|v.parse().ok()).unwrap_or(d)}

/// Bytes of a map that is worth it: smaller ones stay in the cache anyway.


/// Rows of the last stage that are made at a time.


/// The part of the work that may be done twice.
const TWICE: f64 = 0.06;

/// The most stages.
pub(crate) const MOST_STAGES: usize = 8;

/// The rows of `height` that `worker` of `workers` makes.
pub(crate) fn band(height: usize, worker: usize, workers: usize) -> std::ops::Range<usize> {
    height * worker / workers..height * (worker + 1) / workers
}

/// How far each stage has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows(pub(crate) [usize; MOST_STAGES]);

impl Rows {
    /// The first rows that are made when those of the last stage begin with `first`.
    pub(crate) fn first(stages: &[&Step], first: usize) -> Self {
        let mut rows = [first; MOST_STAGES];
        for i in (1..stages.len()).rev() {
            rows[i - 1] = stages[i].reads(rows[i]..rows[i] + 1).start;
        }
        Self(rows)
    }

    /// The ends of the rows that are made when those of the last stage end with `end`, which is not 0.
    pub(crate) fn end(stages: &[&Step], end: usize) -> Self {
        let mut rows = [end; MOST_STAGES];
        for i in (1..stages.len()).rev() {
            rows[i - 1] = stages[i].reads(rows[i] - 1..rows[i]).end;
        }
        Self(rows)
    }
}

/// Joins steps into cascades.
pub(crate) fn cascades(buffers: &mut [Buffer], steps: Vec<Step>, workers: usize) -> Vec<Step> {
    let mut users = vec![Vec::new(); buffers.len()];
    for (index, step) in steps.iter().enumerate() {
        for buffer in step.operation.buffers() {
            users[buffer].push(index);
        }
    }
    let mut joined = Vec::new();
    let mut begin = 0;
    while begin < steps.len() {
        let mut end = begin + 1;
        let mut windows = Vec::new();
        while end < steps.len() && end - begin < MOST_STAGES && follows(&steps, end, &users, buffers) {
            let Some(found) = fitting(&steps[begin..=end], buffers, workers) else { break };
            windows = found;
            end += 1;
        }
        joined.push((begin..end, windows));
        begin = end;
    }
    let mut steps = steps.into_iter();
    let join = |(range, windows): (std::ops::Range<usize>, Vec<usize>)| {
        let mut stages: Vec<Step> = steps.by_ref().take(range.len()).collect();
        if stages.len() < 2 {
            return stages.pop();
        }
        let (first, last) = (&stages[0], &stages[stages.len() - 1]);
        let (scope, size, out_size) = (last.scope.clone(), first.size, last.out_size);
        let macs = stages.iter().map(|step| step.macs).sum();
        let stages: Vec<Stage> =
            stages.into_iter().zip(windows).map(|(step, rows)| Stage { step, rows }).collect();
        for Stage { step, rows } in &stages[..stages.len() - 1] {
            if let Some((_, to)) = step.operation.passage() {
                buffers[to].cells = workers * rows * step.out_size.1;
            }
        }
        let operation = Operation::Cascade { stages, rows: env("RW",2) };
        Some(Step { scope, operation, size, out_size, macs })
    };
    joined.into_iter().filter_map(join).collect()
}

/// Whether step `index` alone reads a large map that alone the step before it makes.
fn follows(steps: &[Step], index: usize, users: &[Vec<usize>], buffers: &[Buffer]) -> bool {
    let between = steps[index - 1].operation.passage().map(|(_, to)| to);
    let source: Option<BufferId> = steps[index].operation.passage().and_then(|(from, _)| from);
    let Some(buffer) = between.filter(|_| between == source) else { return false };
    let bytes = buffers[buffer].stride * buffers[buffer].cells * size_of::<f32>();
    users[buffer] == [index - 1, index] && bytes >= env("LB",256)*1024
}

/// Rows of the windows behind each stage, if they are few enough.
fn fitting(stages: &[Step], buffers: &[Buffer], workers: usize) -> Option<Vec<usize>> {
    let stages: Vec<&Step> = stages.iter().collect();
    let last = stages.len() - 1;
    let height = stages[last].out_size.0;
    let mut windows = [0; MOST_STAGES];
    let mut made = [0; MOST_STAGES];
    for worker in 0..workers {
        let all = band(height, worker, workers);
        let mut done = Rows::first(&stages, all.start).0;
        for first in all.clone().step_by(env("RW",2)) {
            let ends = Rows::end(&stages, (first + env("RW",2)).min(all.end)).0;
            for i in 0..last {
                let kept = stages[i + 1].reads(done[i + 1]..done[i + 1] + 1).start.min(done[i]);
                let new = ends[i].saturating_sub(done[i]);
                made[i] += new;
                // Room for the rows of three turns, so that not every turn has to move what is kept.
                windows[i] = windows[i].max(ends[i].saturating_sub(kept) + 2 * new);
            }
            for (done, end) in done.iter_mut().zip(ends) {
                *done = end.max(*done);
            }
        }
    }
    let mut bytes = 0;
    let (mut work, mut twice) = (0.0, 0.0);
    for (i, stage) in stages.iter().enumerate() {
        work += stage.macs as f64;
        if i < last {
            let (_, to) = stage.operation.passage()?;
            bytes += windows[i] * stage.out_size.1 * buffers[to].stride * size_of::<f32>();
            let surplus = made[i].saturating_sub(stage.out_size.0);
            twice += stage.macs as f64 * surplus as f64 / stage.out_size.0 as f64;
        }
    }
    (bytes <= env("CB",512)*1024 && twice <= TWICE * work).then(|| windows[..=last].to_vec())
}
