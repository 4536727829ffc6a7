//! Processes that were started together, as by `mpirun`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Error, Result, anyhow};
use picodet::training::group::{Alone, Group, started_processes};

use crate::output::{complain, one_line};

/// What goes wrong with all processes is told by the first: the others wait so long before they tell it too.
const FIRST_SPEAKS: Duration = Duration::from_secs(1);
/// The exit code of a panic.
const PANIC: u8 = 101;

/// The group of this process: with MPI, those that were started with it.
///
/// # Errors
/// When there are others and this program was built without MPI, or MPI does not start.
pub(crate) fn join() -> Result<Arc<dyn Group>> {
    let started = started_processes(|name| std::env::var(name).ok()).unwrap_or(1);
    if started <= 1 {
        return Ok(Arc::new(Alone));
    }
    #[cfg(feature = "mpi")]
    return Ok(Arc::new(picodet::training::group::Mpi::join(started)?));
    #[cfg(not(feature = "mpi"))]
    anyhow::bail!(
        "{started} processes were started together, but this program was built without MPI: each would train alone and \
         write over the others' files; build it with `--features mpi`, or start one process"
    )
}

/// Runs `work`. Where this process is not alone: when all have done their work, its exit code; when this one fails, or
/// panics, it says so and ends all, with the exit code that `code` has for the error.
///
/// # Errors
/// Those of `work`, for a process alone.
pub(crate) fn together(
    group: &dyn Group,
    code: impl Fn(&Error) -> u8,
    work: impl FnOnce() -> Result<ExitCode>,
) -> Result<ExitCode> {
    if group.size() == 1 {
        return work();
    }
    let (problem, code) = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(code)) => {
            // The first one still writes, and whoever ends with a signal's code ends the others.
            group.barrier();
            return Ok(code);
        }
        Ok(Err(error)) => {
            let code = code(&error);
            (error, code)
        }
        Err(_) => (anyhow!("a fault of the program, told above"), PANIC),
    };
    if !group.is_first() {
        std::thread::sleep(FIRST_SPEAKS);
    }
    complain(&format!("picodet: process {}: {}", group.rank(), one_line(&problem)));
    group.abort(code);
    Ok(ExitCode::from(code))
}
