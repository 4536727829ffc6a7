//! Agreement of a process group on the end of a run.

use crate::group::ProcessGroup;

/// A request of a process to end the run after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopRequest {
    /// The run continues.
    None,
    /// The process has received a signal with this number.
    Signal(usize),
    /// The time limit is reached.
    TimeLimit,
}

/// Combines the requests of all processes to the same result in each: a signal of any process ends the run; only the
/// clock of rank 0 counts.
pub(crate) fn agree_on_stop(own: StopRequest, group: &dyn ProcessGroup) -> StopRequest {
    let code = match own {
        StopRequest::Signal(signal) => signal as f64,
        StopRequest::TimeLimit if group.is_first() => -1.0,
        StopRequest::TimeLimit | StopRequest::None => 0.0,
    };
    let codes = group.all_gather_f64(code);
    match codes.iter().copied().find(|&code| code > 0.0) {
        Some(signal) => StopRequest::Signal(signal as usize),
        None if codes[0] < 0.0 => StopRequest::TimeLimit,
        None => StopRequest::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{SingleProcess, ThreadGroup};

    #[test]
    fn any_signal_counts_and_the_clock_of_rank_0() {
        use StopRequest::{None, Signal, TimeLimit};
        let together = |requests: [StopRequest; 3]| {
            let found = ThreadGroup::run(3, |group| agree_on_stop(requests[group.rank()], &*group));
            assert!(found.iter().all(|request| *request == found[0]), "{found:?}");
            found[0]
        };
        assert_eq!(together([None, None, Signal(15)]), Signal(15));
        assert_eq!(together([TimeLimit, Signal(2), None]), Signal(2));
        assert_eq!(together([TimeLimit, None, None]), TimeLimit);
        assert_eq!(together([None, TimeLimit, TimeLimit]), None);
        for request in [None, TimeLimit, Signal(2)] {
            assert_eq!(agree_on_stop(request, &SingleProcess), request);
        }
    }
}
