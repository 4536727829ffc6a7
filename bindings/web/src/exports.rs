//! The functions that JavaScript calls.

#![allow(unsafe_code)]

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::request::{Failure, report};
use crate::session::Session;

/// The detector of this instance of the module.
static SESSION: Mutex<Session> = Mutex::new(Session::new());
/// The message of a panic, which JavaScript reads after the instance has stopped.
static PANIC: Mutex<Vec<u8>> = Mutex::new(Vec::new());

fn session() -> MutexGuard<'static, Session> {
    SESSION.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a call; 0 on success, 1 on failure with the error in the output.
fn call(work: impl FnOnce(&mut Session) -> Result<(), Failure>) -> u32 {
    let mut session = session();
    match work(&mut session) {
        Ok(()) => 0,
        Err(failure) => {
            session.output = failure.to_json();
            1
        }
    }
}

/// Installs the panic hook. Must be the first call.
// SAFETY: no other symbol of this module has this name.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_start() {
    std::panic::set_hook(Box::new(|panic| {
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = report("internal", panic.to_string());
    }));
}

/// Returns the input buffer with a length of `bytes`; null if there is no memory for it.
// SAFETY: no other symbol of this module has this name.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_input(bytes: usize) -> *mut u8 {
    let input = &mut session().input;
    if input.len() < bytes {
        input.clear();
        if input.try_reserve_exact(bytes).is_err() {
            return std::ptr::null_mut();
        }
    }
    // The caller overwrites what earlier calls have left.
    input.resize(bytes, 0);
    input.as_mut_ptr()
}

/// Returns the output buffer of the last call.
// SAFETY: no other symbol of this module has this name.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_output() -> *const u8 {
    session().output.as_ptr()
}

/// Returns the length of the output buffer of the last call in bytes.
// SAFETY: no other symbol of this module has this name.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_output_length() -> usize {
    session().output.len()
}

/// Returns the JSON object of the panic that stopped this instance.
// SAFETY: no other symbol of this module has this name.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_panic() -> *const u8 {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner).as_ptr()
}

/// Returns the length of [`picodet_panic`] in bytes; 0 without a panic.
// SAFETY: no other symbol of this module has this name.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_panic_length() -> usize {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner).len()
}

/// Creates the detector from the input: `options` bytes of JSON, then the model file.
// SAFETY: no other symbol of this module has this name.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_create(options: usize) -> u32 {
    call(|session| session.create(options))
}

/// Detects in the image file in the input.
// SAFETY: no other symbol of this module has this name.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_detect_file() -> u32 {
    call(Session::detect_file)
}

/// Detects in the pixels in the input, `[height, width, 4]`.
// SAFETY: no other symbol of this module has this name.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_detect_pixels(width: u32, height: u32) -> u32 {
    call(|session| session.detect_pixels(width, height))
}

/// Returns memory for the stack and the local variables of a helper thread, for ever; null if there is none.
#[cfg(target_feature = "atomics")]
// SAFETY: no other symbol of this module has this name.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_thread_memory(bytes: usize) -> *mut u8 {
    let mut memory = Vec::new();
    if memory.try_reserve_exact(bytes).is_err() {
        return std::ptr::null_mut();
    }
    memory.resize(bytes, 0);
    memory.leak().as_mut_ptr()
}

/// Makes the calling thread a helper of the detector; never returns.
#[cfg(target_feature = "atomics")]
// SAFETY: no other symbol of this module has this name.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_help() -> ! {
    picodet::crates::engine::help_inferences()
}
