//! Calls of the C interface with arbitrary arguments.
#![no_main]

#[path = "../../bindings/c/tests/calls/mod.rs"]
mod calls;

use libfuzzer_sys::fuzz_target;

/// The most bytes that are used: each detector that they open takes a fraction of a second.
const MAX_BYTES: usize = 256;

fuzz_target!(init: calls::run(&[]), |bytes: &[u8]| {
    calls::run(&bytes[..bytes.len().min(MAX_BYTES)]);
});
