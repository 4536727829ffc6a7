//! The native library behind the Java class `dev.picodet.Detector`: entry points that the class `dev.picodet.Native` declares.
//!
//! Each entry point runs in `failure::guarded`: errors and panics become Java exceptions. A detector is addressed by a
//! pointer that the class `Detector` holds under a lock, from `create` to `free`.

#![allow(unsafe_code)]

mod buffer;
pub mod exports;
mod failure;
mod image;
mod options;
