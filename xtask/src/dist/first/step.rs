//! A step of a user, and the programs of the pages.

use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::blocks::blocks;

/// What is found in the photo.
pub(super) const OBJECT: &str = "cup";

/// What a user does, and how long it takes here.
pub(super) struct Step {
    pub(super) action: String,
    pub(super) seconds: f64,
}

/// Runs `work` and records its time.
pub(super) fn step(action: &str, work: impl FnOnce() -> Result<()>) -> Result<Step> {
    let start = Instant::now();
    work().with_context(|| action.to_owned())?;
    Ok(Step { action: action.to_owned(), seconds: start.elapsed().as_secs_f64() })
}

/// Returns the first code block of a page that a condition on language and text accepts.
pub(super) fn block(page: &str, is_wanted: impl Fn(&str, &str) -> bool) -> Result<String> {
    let text = std::fs::read_to_string(page).with_context(|| page.to_owned())?;
    let block = blocks(&text).into_iter().find(|block| is_wanted(&block.language, &block.text));
    match block {
        Some(block) => Ok(block.text),
        None => bail!("{page} has no such program"),
    }
}
