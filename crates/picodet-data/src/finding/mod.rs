//! Faults of a dataset, with their location and remedy.

mod kind;
mod location;

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::Serialize;

use crate::loss::Loss;

pub use kind::{FindingKind, Severity};
pub use location::Location;

/// A fault of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The kind of fault.
    #[serde(rename = "id")]
    pub kind: FindingKind,
    /// Severity of the kind.
    pub severity: Severity,
    /// Position in the label files.
    #[serde(flatten)]
    pub location: Location,
    /// Details of the fault.
    pub message: String,
    /// The remedy.
    pub fix: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}[{}] {}", self.location, self.severity.name(), self.kind.id(), self.message)
    }
}

/// Maximum number of findings per kind that are kept in full; others are only counted.
const KEPT_PER_KIND: usize = 1000;

/// Maximum length of a message in characters.
const LONGEST_MESSAGE: usize = 1000;

/// A bounded list of findings: the first thousand of each kind are kept, all are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    list: Vec<Finding>,
    counts: BTreeMap<FindingKind, usize>,
}

impl Findings {
    /// Adds a finding.
    pub fn push(&mut self, kind: FindingKind, location: Location, mut message: String) {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        if *count <= KEPT_PER_KIND {
            // Messages quote the data, and a file name may be megabytes long.
            if let Some((cut, _)) = message.char_indices().nth(LONGEST_MESSAGE) {
                message.truncate(cut);
                message.push('…');
            }
            let (severity, fix) = (kind.severity(), kind.fix());
            self.list.push(Finding { kind, severity, location, message, fix });
        }
    }

    /// Adds one finding that stands for `count` faults of its kind.
    pub(crate) fn push_many(&mut self, kind: FindingKind, location: Location, message: String, count: usize) {
        self.push(kind, location, message);
        *self.counts.entry(kind).or_default() += count.saturating_sub(1);
    }

    /// Adds the findings of `other`.
    pub fn extend(&mut self, other: Findings) {
        let mut kept: BTreeMap<FindingKind, usize> = BTreeMap::new();
        for finding in &self.list {
            *kept.entry(finding.kind).or_default() += 1;
        }
        for finding in other.list {
            let count = kept.entry(finding.kind).or_default();
            *count += 1;
            if *count <= KEPT_PER_KIND {
                self.list.push(finding);
            }
        }
        for (kind, count) in other.counts {
            *self.counts.entry(kind).or_default() += count;
        }
    }

    /// The findings kept in full.
    #[must_use]
    pub fn list(&self) -> &[Finding] {
        &self.list
    }

    /// Number of findings of each kind, kept or not.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<FindingKind, usize> {
        &self.counts
    }

    /// Number of findings of a severity.
    #[must_use]
    pub fn count_of(&self, severity: Severity) -> usize {
        self.counts.iter().filter(|(kind, _)| kind.severity() == severity).map(|(_, n)| n).sum()
    }

    /// Number of errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.count_of(Severity::Error)
    }

    /// The first error.
    #[must_use]
    pub fn first_error(&self) -> Option<&Finding> {
        self.list.iter().find(|finding| finding.severity == Severity::Error)
    }

    /// The contents of the data that a reader had to leave out, by kind.
    #[must_use]
    pub fn losses(&self) -> Vec<Loss> {
        let lost = |(kind, &count): (&FindingKind, &usize)| {
            kind.lost().filter(|_| count > 0).map(|what| Loss { what: what.to_string(), count })
        };
        self.counts.iter().filter_map(lost).collect()
    }

    /// As [`Self::losses`], without the contents that a copy in the same format keeps.
    #[must_use]
    pub fn losses_of_copy(&self) -> Vec<Loss> {
        let mut losses = self.losses();
        losses.retain(|loss| FindingKind::ShapeUnsupported.lost() != Some(loss.what.as_str()));
        losses
    }

    /// Removes all findings of a kind.
    pub(crate) fn remove(&mut self, kind: FindingKind) {
        self.list.retain(|finding| finding.kind != kind);
        self.counts.remove(&kind);
    }

    /// Removes duplicates among the findings kept in full.
    pub fn deduplicate(&mut self) {
        let mut seen = HashSet::new();
        let counts = &mut self.counts;
        self.list.retain(|finding| {
            let new = seen.insert((finding.kind, finding.location.clone(), finding.message.clone()));
            if !new && let Some(count) = counts.get_mut(&finding.kind) {
                *count -= 1;
            }
            new
        });
    }

    /// Sorts by severity (errors first), kind, location and message, so that reports are reproducible.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| {
            b.severity
                .cmp(&a.severity)
                .then_with(|| a.kind.cmp(&b.kind))
                .then_with(|| a.location.cmp(&b.location))
                .then_with(|| a.message.cmp(&b.message))
        });
    }
}
