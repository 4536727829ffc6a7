//! Agreement of a process group on the end of a run.

use crate::group::ProcessGroup;
use crate::options::Ending;

/// Combines the reasons of all processes to end the run after a step to the same result in each: a signal of any process
/// ends the run; only the clock of rank 0 counts.
pub(crate) fn agree_on_stop(own: Option<Ending>, group: &dyn ProcessGroup) -> Option<Ending> {
    let code = match own {
        Some(Ending::Signal(signal)) => signal as f64,
        Some(Ending::TimeLimit) if group.is_first() => -1.0,
        _ => 0.0,
    };
    let codes = group.all_gather_f64(code);
    match codes.iter().copied().find(|&code| code > 0.0) {
        Some(signal) => Some(Ending::Signal(signal as usize)),
        None if codes[0] < 0.0 => Some(Ending::TimeLimit),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{SingleProcess, ThreadGroup};

    #[test]
    fn any_signal_counts_and_the_clock_of_rank_0() {
        let (signal, limit) = (|number| Some(Ending::Signal(number)), Some(Ending::TimeLimit));
        let together = |requests: [Option<Ending>; 3]| {
            let found = ThreadGroup::run(3, |group| agree_on_stop(requests[group.rank()], &*group));
            assert!(found.iter().all(|request| *request == found[0]), "{found:?}");
            found[0]
        };
        assert_eq!(together([None, None, signal(15)]), signal(15));
        assert_eq!(together([limit, signal(2), None]), signal(2));
        assert_eq!(together([limit, None, None]), limit);
        assert_eq!(together([None, limit, limit]), None);
        for request in [None, limit, signal(2)] {
            assert_eq!(agree_on_stop(request, &SingleProcess), request);
        }
    }
}
