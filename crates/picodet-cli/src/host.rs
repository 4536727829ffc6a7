//! Commands inside another program, which receives their output, progress and errors instead of the terminal.

use std::cell::RefCell;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use picodet::crates::train::Event;
use picodet::crates::train::journal::Record;

thread_local! {
    /// The host of the command that runs on this thread.
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// The program that a command runs in.
#[derive(Clone)]
pub struct Host {
    /// Receives what the command reports; some calls come from other threads than that of the command.
    pub listen: Arc<dyn Fn(HostEvent) + Send + Sync>,
    /// The number of a signal, set to stop the command; 0 while it runs. Training stops after the current step with a
    /// checkpoint, an evaluation after the current images; other commands run to their end.
    pub stop: Arc<AtomicUsize>,
}

impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Host").field("stop", &self.stop).finish_non_exhaustive()
    }
}

/// A report of a command to its host.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HostEvent {
    /// A line of status, without line feed.
    Status(String),
    /// A part of the result, which the program writes to standard output.
    Result(String),
    /// The state of a long operation.
    Progress {
        /// The operation, such as `detecting`.
        activity: String,
        /// The number of finished items.
        done: u64,
        /// The number of all items, if it is known.
        total: Option<u64>,
    },
    /// A step or an epoch of training.
    Training(Record),
}

/// Calls `command` with `host` as the host of this thread.
pub(crate) fn within<T>(host: Host, command: impl FnOnce() -> T) -> T {
    /// Restores the previous host, also after a panic.
    struct Restore(Option<Host>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let previous = self.0.take();
            HOST.with_borrow_mut(|host| *host = previous);
        }
    }
    let _restore = Restore(HOST.replace(Some(host)));
    command()
}

/// Returns the host of this thread; `None` where the command is a program.
pub(crate) fn current() -> Option<Host> {
    HOST.with_borrow(Clone::clone)
}

/// Sends an event to the host; whether there is one.
pub(crate) fn send(event: impl FnOnce() -> HostEvent) -> bool {
    let host = current();
    host.inspect(|host| (host.listen)(event())).is_some()
}

/// Sends a step or an epoch of training to the host; whether there is one.
pub(crate) fn send_training(event: &Event<'_>) -> bool {
    let record = match event {
        Event::Step(record) => Record::Step((*record).clone()),
        Event::Epoch(record) => Record::Epoch((*record).clone()),
        _ => return false,
    };
    send(|| HostEvent::Training(record))
}

/// Returns a function for any thread that reports the number of finished items to the host of this thread, and whether
/// to continue.
pub(crate) fn progress(activity: &str, total: usize) -> impl Fn(usize) -> ControlFlow<()> + Sync {
    let (host, activity) = (current(), activity.to_owned());
    move |done| {
        let Some(host) = &host else { return ControlFlow::Continue(()) };
        let (done, total) = (done as u64, Some(total as u64));
        (host.listen)(HostEvent::Progress { activity: activity.clone(), done, total });
        match host.stop.load(Ordering::Relaxed) {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }
}
