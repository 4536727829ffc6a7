//! Decides whether an inference uses helper threads.

use std::sync::{Mutex, PoisonError};

/// Learns from the times of past inferences whether helper threads pay: on a busy machine, or on cores without
/// a common cache, they may not be.
#[derive(Debug, Default)]
pub(crate) struct HelperPolicy {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Number of runs so far.
    runs: usize,
    /// Smoothed seconds of a run with helpers and of one without; 0 before the first.
    times: [f64; 2],
    /// Number of runs without helpers before they are tried again.
    solo_runs: usize,
    /// Length of the last such pause; 0 after helpers have been a gain.
    backoff: usize,
}

/// Range of `backoff` once helpers have been slower: short at first, since another program may have caused one slow run,
/// then twice as long each time.
const BACKOFF: (usize, usize) = (2, 16);

impl HelperPolicy {
    /// Decides whether the next run uses helpers.
    pub(crate) fn use_helpers(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.runs += 1;
        if state.solo_runs > 0 {
            state.solo_runs -= 1;
            return false;
        }
        // The third run measures the time without helpers.
        state.runs != 3
    }

    /// Records the time of a run.
    pub(crate) fn record(&self, with_helpers: bool, seconds: f64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let time = &mut state.times[usize::from(!with_helpers)];
        *time = if *time == 0.0 { seconds } else { 0.75 * *time + 0.25 * seconds };
        let [with, without] = state.times;
        if !with_helpers || without == 0.0 {
            return;
        }
        if with > without {
            state.backoff = (2 * state.backoff).clamp(BACKOFF.0, BACKOFF.1);
            state.solo_runs = state.backoff;
            // The next run with helpers is judged by its own time only.
            state.times[0] = 0.0;
        } else {
            state.backoff = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_helpers_are_slower() {
        let policy = HelperPolicy::default();
        let mut decided = Vec::new();
        for run in 0..30 {
            let helped = policy.use_helpers();
            decided.push(helped);
            // Helpers double the time at first, and halve it from the twentieth run on.
            let time = if !helped {
                1.0
            } else if run < 20 {
                2.0
            } else {
                0.5
            };
            policy.record(helped, time);
        }
        assert!(decided[0] && decided[1] && !decided[2], "{decided:?}");
        let tried: Vec<usize> = (3..20).filter(|&run| decided[run]).collect();
        assert_eq!(tried, [3, 6, 11], "{decided:?}");
        assert!(decided[20..].iter().all(|helped| *helped), "{decided:?}");
    }
}
