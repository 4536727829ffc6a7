//! The helper threads of inferences, and the decision whether they pay.

/// Whether the system is a browser: the library can neither start threads nor count cores, and has no clock.
pub(crate) const IN_BROWSER: bool = cfg!(all(target_family = "wasm", target_os = "unknown"));

mod policy;
mod pool;

pub(crate) use policy::HelperPolicy;
pub use pool::help_inferences;
pub(crate) use pool::run as run_on_helpers;
