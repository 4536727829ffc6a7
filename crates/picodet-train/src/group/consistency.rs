//! Checks before a run that the processes of a group can train together.

use crate::error::RunError;
use crate::group::ProcessGroup;
use crate::state::State;

/// Checks that every process gets an image of each batch, and that all processes start from the same state.
pub(crate) fn check_consistency(state: &State, group: &dyn ProcessGroup) -> Result<(), RunError> {
    const CHECKSUM: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    if group.size() == 1 {
        return Ok(());
    }
    let batch = state.progress.batch;
    if batch < group.size() {
        return Err(RunError::TooManyProcesses { batch, processes: group.size() });
    }
    let mut compared = state.clone();
    // Clocks and numbers of processors may differ.
    (compared.progress.seconds, compared.progress.threads) = (0.0, 0);
    let digests = group.all_gather(&CHECKSUM.checksum(&compared.to_bytes()).to_le_bytes());
    match digests.iter().position(|digest| *digest != digests[0]) {
        Some(rank) => Err(RunError::Inconsistent { rank }),
        None => Ok(()),
    }
}
