//! `cargo xtask check`: the structure of the repository.

mod arrows;
mod circles;
mod exceptions;
mod module_tree;
mod problem;
mod sizes;
mod sources;
mod unsafe_code;

use anyhow::{Result, bail};

use self::exceptions::EXCEPTIONS;
use self::problem::Problem;

/// Checks all rules and prints the violations.
///
/// # Errors
/// If a rule is violated without an exception.
pub(crate) fn run() -> Result<()> {
    let sources = sources::read()?;
    let mut problems = arrows::check()?;
    problems.extend(circles::check(&sources));
    problems.extend(sizes::check(&sources));
    problems.extend(unsafe_code::check(&sources));
    problems.sort();
    let (excused, open): (Vec<Problem>, Vec<Problem>) = problems
        .into_iter()
        .partition(|problem| EXCEPTIONS.iter().any(|exception| exception.excuses(problem)));
    for exception in EXCEPTIONS {
        if !excused.iter().any(|problem| exception.excuses(problem)) {
            println!("note: the exception {}: {} can be removed", exception.place, exception.rule);
        }
    }
    open.iter().for_each(|problem| println!("{}: {}", problem.place, problem.message));
    println!("{} files checked, {} exceptions", sources.len(), excused.len());
    if !open.is_empty() {
        bail!("{} problems", open.len());
    }
    Ok(())
}
