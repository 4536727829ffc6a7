//! The helper threads of inferences, and the decision whether they pay.

mod policy;
mod pool;

pub(crate) use policy::HelperPolicy;
pub use pool::help_inferences;
pub(crate) use pool::run as run_on_helpers;
