//! Searches the formats for one that recognises a path.

use std::path::Path;

use crate::format::HANDLERS;
use crate::format::handler::{Evidence, Recognition};

/// Returns the first format with evidence of the given strengths, the strongest first.
pub(super) fn find_format(path: &Path, strengths: &[Evidence]) -> Recognition {
    let mut refused = Recognition::None;
    for &evidence in strengths {
        for handler in HANDLERS {
            match handler.recognise(path, evidence) {
                Recognition::None => {}
                Recognition::Refused(problem) => {
                    if matches!(refused, Recognition::None) {
                        refused = Recognition::Refused(problem);
                    }
                }
                found @ Recognition::Found(_) => return found,
            }
        }
    }
    refused
}
