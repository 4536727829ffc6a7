//! Calls of the C interface with arbitrary arguments.
#![no_main]

#[path = "../../bindings/c/tests/calls/mod.rs"]
mod calls;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| calls::run(bytes));
