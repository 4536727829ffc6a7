//! Process groups, as started by `mpirun`.

use crate::ExitCode;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Error, Result, anyhow};
use picodet::crates::train::group::{ProcessGroup, SingleProcess, started_processes};

use crate::output::{one_line, status};

/// Delay before ranks other than 0 report an error, so that rank 0 reports an error that all ranks share.
const REPORT_DELAY: Duration = Duration::from_secs(1);
/// Exit code after a panic.
const PANIC: u8 = 101;

/// Returns the process group: all processes that were started together, or this process only.
///
/// # Errors
/// When there are other processes and the program was built without MPI, or when MPI does not start.
pub(crate) fn join() -> Result<Arc<dyn ProcessGroup>> {
    let started = started_processes(|name| std::env::var(name).ok()).unwrap_or(1);
    if started <= 1 {
        return Ok(Arc::new(SingleProcess));
    }
    #[cfg(feature = "mpi")]
    return Ok(Arc::new(picodet::crates::train::group::MpiGroup::join(started)?));
    #[cfg(not(feature = "mpi"))]
    anyhow::bail!(
        "{started} processes were started together, but this program was built without MPI, so that each would train \
         separately and overwrite the files of the others; build it with `--features mpi`, or start one process"
    )
}

/// Runs `work` and returns its exit code once all ranks are done. In a group of several processes an error or panic is
/// reported and ends all processes with the exit code that `code` gives for the error.
///
/// # Errors
/// The errors of `work`, if there is only one process.
pub(crate) fn together(
    group: &dyn ProcessGroup,
    code: impl Fn(&Error) -> u8,
    work: impl FnOnce() -> Result<ExitCode>,
) -> Result<ExitCode> {
    if group.size() == 1 {
        return work();
    }
    let (problem, code) = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(code)) => {
            // Rank 0 may still be writing, and a process that exits with the code of a signal ends the others.
            group.barrier();
            return Ok(code);
        }
        Ok(Err(error)) => {
            let code = code(&error);
            (error, code)
        }
        Err(_) => (anyhow!("internal error (see above)"), PANIC),
    };
    if !group.is_first() {
        std::thread::sleep(REPORT_DELAY);
    }
    status(&format!("picodet: process {}: {}", group.rank(), one_line(&problem)));
    group.abort(code);
    Ok(ExitCode::from(code))
}
