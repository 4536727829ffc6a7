//! What a group knows together: the numbers of a whole batch, and that all members are at one.

use crate::group::Group;
use crate::objective::Judged;
use crate::run::RunError;
use crate::state::State;
use crate::{Assignment, Truth};

/// Numbers of a whole batch, all members' shares together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Totals {
    /// The class loss.
    pub(crate) cls: f64,
    /// The loss of the boxes' overlap.
    pub(crate) bbox: f64,
    /// The loss of the boxes' distributions.
    pub(crate) dfl: f64,
    /// Cells that learn an object.
    pub(crate) positives: f64,
    /// Objects.
    pub(crate) objects: f64,
    /// Images.
    pub(crate) images: f64,
}

impl Totals {
    /// Adds up what each member knows of its share.
    pub(crate) fn new(judged: &Judged, truths: &[Truth], group: &dyn Group) -> Self {
        let loss = &judged.loss;
        let positives: usize = judged.assignments.iter().map(Assignment::positives).sum();
        let objects: usize = truths.iter().map(|truth| truth.boxes.len()).sum();
        let mut sums = [loss.cls, loss.bbox, loss.dfl, positives as f64, objects as f64, truths.len() as f64];
        group.sum(&mut sums);
        let [cls, bbox, dfl, positives, objects, images] = sums;
        Self { cls, bbox, dfl, positives, objects, images }
    }

    /// The loss.
    pub(crate) fn loss(&self) -> f64 {
        self.cls + self.bbox + self.dfl
    }
}

/// Refuses a group that cannot work on this run: too few images for all, or members that start from something else.
pub(crate) fn check_group(state: &State, group: &dyn Group) -> Result<(), RunError> {
    if group.size() == 1 {
        return Ok(());
    }
    let batch = state.progress.batch;
    if batch < group.size() {
        return Err(RunError::TooManyProcesses { batch, processes: group.size() });
    }
    const CHECKSUM: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let mut compared = state.clone();
    // Members may have different clocks and numbers of processors.
    (compared.progress.seconds, compared.progress.threads) = (0.0, 0);
    let digests = group.gather(f64::from(CHECKSUM.checksum(&compared.to_bytes())));
    match digests.iter().position(|digest| *digest != digests[0]) {
        Some(rank) => Err(RunError::OtherStart { rank }),
        None => Ok(()),
    }
}

/// Why a member wants the run to end after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// It does not.
    GoOn,
    /// It has got a signal.
    Signal(usize),
    /// The time is over.
    TimeLimit,
}

/// What all do, when this member wishes `own`: a signal of any member counts, the clock of the first alone.
pub(crate) fn agree(own: Wish, group: &dyn Group) -> Wish {
    let number = match own {
        Wish::Signal(signal) => signal as f64,
        Wish::TimeLimit if group.is_first() => -1.0,
        Wish::TimeLimit | Wish::GoOn => 0.0,
    };
    let all = group.gather(number);
    let signal = all.iter().copied().find(|&number| number > 0.0);
    match signal {
        Some(signal) => Wish::Signal(signal as usize),
        None if all[0] < 0.0 => Wish::TimeLimit,
        None => Wish::GoOn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{Alone, Threads};

    #[test]
    fn any_signal_counts_and_the_first_members_clock() {
        let together = |wishes: [Wish; 3]| {
            let found = Threads::run(3, |group| agree(wishes[group.rank()], &*group));
            assert!(found.iter().all(|wish| *wish == found[0]), "{found:?}");
            found[0]
        };
        assert_eq!(together([Wish::GoOn, Wish::GoOn, Wish::Signal(15)]), Wish::Signal(15));
        assert_eq!(together([Wish::TimeLimit, Wish::Signal(2), Wish::GoOn]), Wish::Signal(2));
        assert_eq!(together([Wish::TimeLimit, Wish::GoOn, Wish::GoOn]), Wish::TimeLimit);
        assert_eq!(together([Wish::GoOn, Wish::TimeLimit, Wish::TimeLimit]), Wish::GoOn);
        for wish in [Wish::GoOn, Wish::TimeLimit, Wish::Signal(2)] {
            assert_eq!(agree(wish, &Alone), wish);
        }
    }
}
