//! The WebAssembly module of the npm package `picodet`: one detector per instance, called from `js/engine.js`.
//!
//! The exported functions take numbers only. The caller writes into the buffer of [`exports::picodet_input`] and reads from
//! that of [`exports::picodet_output`]; an error is a status of 1 and a JSON object `{code, message}` in the output. The
//! module has no imports.
//!
//! Built with atomics, it imports a shared memory as `env.memory`, and threads of the page become helpers of the detector by
//! `picodet_help`.

pub mod exports;
mod request;
mod session;

pub use request::{CreateOptions, Failure};
pub use session::Session;
