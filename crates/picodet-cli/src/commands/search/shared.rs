//! Limits and spaces of the search commands.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use picodet::crates::search::Space;

use crate::commands::train::watch_signals;

/// Reasons to end a search early.
pub(super) struct Limits {
    /// The number of a signal, 0 without one.
    pub(super) stop: Arc<AtomicUsize>,
    pub(super) start: Instant,
    pub(super) time: Option<Duration>,
}

impl Limits {
    pub(super) fn start(minutes: Option<f64>, processes: usize) -> Result<Self> {
        let time = minutes.map(|minutes| Duration::from_secs_f64(60.0 * minutes.clamp(0.0, 1e6)));
        Ok(Self { stop: watch_signals(processes)?, start: Instant::now(), time })
    }
}

/// Reads a space file, or returns the space of the paper around a network.
pub(super) fn read_space(name: &str) -> Result<Space> {
    let path = Path::new(name);
    if !path.exists() && path.extension().is_none_or(|extension| extension != "toml") {
        return Ok(Space::published(name)?);
    }
    let text = std::fs::read_to_string(path).with_context(|| name.to_owned())?;
    Space::parse(&text).with_context(|| name.to_owned())
}
