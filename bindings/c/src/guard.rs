//! The frame of every entry point: panics become errors, and errors become the message of the calling thread.

use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::status::{Failure, PICODET_OK, Status};

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
    /// Whether this thread is inside an entry point, and the description of its panic.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs the body of an entry point that returns a status.
pub(crate) fn call(body: impl FnOnce() -> Result<(), Failure>) -> Status {
    match guarded(body) {
        Ok(()) => PICODET_OK,
        Err(failure) => failure.status(),
    }
}

/// Runs the body of an entry point that returns a value, `fallback` on failure.
pub(crate) fn value<T>(fallback: T, body: impl FnOnce() -> Result<T, Failure>) -> T {
    guarded(body).unwrap_or(fallback)
}

/// Returns the message of the last call of this thread, empty if it succeeded; valid until the next call.
pub(crate) fn last_error() -> *const c_char {
    // The storage is gone while a thread ends.
    LAST_ERROR.try_with(|message| message.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// Returns text as a C string; a zero byte ends it early.
pub(crate) fn c_text(text: &str) -> CString {
    let end = text.bytes().position(|byte| byte == 0).unwrap_or(text.len());
    CString::new(&text.as_bytes()[..end]).unwrap_or_default()
}

fn guarded<T>(body: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    describe_panics();
    let _ = INSIDE.try_with(|inside| inside.set(true));
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        // A payload may panic when it is dropped.
        std::mem::forget(payload);
        Err(Failure::Panic(PANIC.try_with(RefCell::take).unwrap_or_default()))
    });
    let _ = INSIDE.try_with(|inside| inside.set(false));
    let message = result.as_ref().err().map(|failure| c_text(&failure.to_string())).unwrap_or_default();
    let _ = LAST_ERROR.try_with(|last| last.replace(message));
    result
}

/// Installs, once, a panic hook that keeps the message of a panic inside an entry point instead of printing it. Other
/// threads and other users of the process's Rust runtime keep the hook that was installed before.
fn describe_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if INSIDE.try_with(Cell::get).unwrap_or(false) {
                let text = info.payload_as_str().unwrap_or("a panic");
                let place = info.location().map(|place| format!(" ({}:{})", place.file(), place.line()));
                let description = format!("{text}{}", place.unwrap_or_default());
                let _ = PANIC.try_with(|panic| panic.replace(description));
            } else {
                previous(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{PICODET_ERROR_ARGUMENT, PICODET_ERROR_INTERNAL};

    fn message() -> String {
        LAST_ERROR.with(|message| message.borrow().to_string_lossy().into_owned())
    }

    #[test]
    fn panics_and_errors_become_messages_and_success_clears_them() {
        let status = call(|| panic!("index {} is out of range", 7));
        assert_eq!(status, PICODET_ERROR_INTERNAL);
        assert!(
            message().starts_with("internal error: index 7 is out of range (bindings/c/src/guard.rs:"),
            "{}",
            message()
        );
        assert_eq!(call(|| Err(Failure::Null("path"))), PICODET_ERROR_ARGUMENT);
        assert_eq!(message(), "`path` is NULL");
        std::thread::spawn(|| assert_eq!(message(), "")).join().expect("another thread has its own message");
        assert_eq!(value(3, || Err(Failure::Null("model"))), 3);
        assert_eq!(message(), "`model` is NULL");
        assert_eq!(call(|| Ok(())), PICODET_OK);
        assert_eq!(message(), "");
    }

    #[test]
    fn payloads_that_panic_do_not_unwind() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        assert_eq!(call(|| std::panic::panic_any(Bomb)), PICODET_ERROR_INTERNAL);
        assert!(message().starts_with("internal error: a panic"), "{}", message());
    }

    #[test]
    fn zero_bytes_end_a_text() {
        assert_eq!(c_text("a\0b").as_bytes(), b"a");
    }
}
