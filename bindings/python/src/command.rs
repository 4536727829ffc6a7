//! The commands of `picodet`: as the program does, and inside Python, with events, signals and exceptions.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use picodet_cli::{CommandError, ExitCode, Host, HostEvent, run_within};
use pyo3::prelude::*;

use crate::errors::{PicodetError, command_exception};

/// Time between two checks of the signals.
const POLL: Duration = Duration::from_millis(50);
/// The number that stops a command: that of SIGINT.
const INTERRUPT: usize = 2;

/// Runs the program with its arguments, without its name, and returns its exit code.
#[pyfunction]
pub fn main(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| picodet_cli::run(with_name(arguments))).value()
}

fn with_name(arguments: Vec<OsString>) -> impl Iterator<Item = OsString> {
    std::iter::once(OsString::from("picodet")).chain(arguments)
}

/// A message from the thread of a command to the thread that waits for it.
enum Message {
    Event(HostEvent),
    End(Result<ExitCode, CommandError>),
}

/// Runs a command on a new thread and returns its exit code. `listen` is called on this thread with the kind of an event
/// and its values. When `listen` or a signal raises an exception, the command is stopped; if it can write a
/// checkpoint it does, otherwise it is left behind after `patience` seconds.
#[pyfunction]
pub fn run(
    py: Python<'_>,
    arguments: Vec<OsString>,
    listen: &Bound<'_, PyAny>,
    patience: Option<f64>,
) -> PyResult<u8> {
    let stop = Arc::new(AtomicUsize::new(0));
    let (sender, mut receiver) = channel();
    let events = sender.clone();
    let host = Host {
        // After an exception no events are passed on.
        listen: Arc::new(move |event| drop(events.send(Message::Event(event)))),
        stop: Arc::clone(&stop),
    };
    let command = move || drop(sender.send(Message::End(run_within(host, with_name(arguments)))));
    let _thread = Builder::new().name("picodet command".to_owned()).spawn(command)?;
    let mut exception: Option<(PyErr, Instant)> = None;
    loop {
        let mut problem = None;
        match next(py, &mut receiver) {
            Ok(Message::Event(event)) if exception.is_none() => problem = tell(listen, event).err(),
            Ok(Message::Event(_)) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::End(result)) => {
                return match exception {
                    Some((exception, _)) => Err(exception),
                    None => result.map(ExitCode::value).map_err(command_exception),
                };
            }
            Err(RecvTimeoutError::Disconnected) => {
                let internal =
                    || PicodetError::new_err("internal error of the command (see above); please report it");
                return Err(exception.map_or_else(internal, |(exception, _)| exception));
            }
        }
        // A second signal ends the waiting.
        let signal = py.check_signals().err();
        let signalled = signal.is_some();
        if let Some(problem) = problem.or(signal) {
            stop.store(INTERRUPT, Ordering::Relaxed);
            match exception {
                Some((first, _)) if signalled => return Err(first),
                Some(_) => {}
                None => exception = Some((problem, Instant::now())),
            }
        }
        if let (Some((_, since)), Some(patience)) = (&exception, patience)
            && since.elapsed().as_secs_f64() > patience
            && let Some((exception, _)) = exception
        {
            return Err(exception);
        }
    }
}

/// Waits for the next message without the interpreter lock.
fn next(py: Python<'_>, receiver: &mut Receiver<Message>) -> Result<Message, RecvTimeoutError> {
    py.detach(move || receiver.recv_timeout(POLL))
}

/// Calls `listen(kind, values)`.
fn tell(listen: &Bound<'_, PyAny>, event: HostEvent) -> PyResult<()> {
    match event {
        HostEvent::Status(line) => listen.call1(("status", line))?,
        HostEvent::Result(text) => listen.call1(("result", text))?,
        HostEvent::Progress { activity, done, total } => {
            listen.call1(("progress", (activity, done, total)))?
        }
        HostEvent::Training(record) => {
            let json = serde_json::to_string(&record).unwrap_or_default();
            listen.call1(("training", json))?
        }
        _ => return Ok(()),
    };
    Ok(())
}
