//! What reading, writing and repairing leave out.

use std::fmt;

use serde::Serialize;

/// Contents that are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Description of the contents, in the plural.
    pub what: String,
    /// Number of objects, images or fields.
    pub count: usize,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} times)", self.what, self.count)
    }
}
