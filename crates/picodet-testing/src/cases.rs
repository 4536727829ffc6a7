//! Table tests that report every failing case instead of the first one.

use std::fmt::{Debug, Display};

/// Collects the failures of a test with many cases.
///
/// ```
/// let mut cases = picodet_testing::Cases::new();
/// for number in [2, 4, 6] {
///     cases.check(format!("{number} is even"), number % 2 == 0);
///     cases.equal(format!("half of {number}"), number / 2 * 2, number);
/// }
/// cases.finish();
/// ```
#[derive(Debug, Default)]
#[must_use = "failures are reported by `finish`"]
pub struct Cases {
    tested: usize,
    failures: Vec<String>,
}

impl Cases {
    /// Starts a test without cases.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tests a condition; `name` describes the case.
    pub fn check(&mut self, name: impl Display, holds: bool) {
        self.tested += 1;
        if !holds {
            self.failures.push(name.to_string());
        }
    }

    /// Tests that two values are equal; a failure shows both.
    pub fn equal<A: Debug + PartialEq<B>, B: Debug>(&mut self, name: impl Display, found: A, expected: B) {
        self.tested += 1;
        if found != expected {
            self.failures.push(format!("{name}: found {found:?}, expected {expected:?}"));
        }
    }

    /// Adds a failure.
    pub fn fail(&mut self, problem: impl Display) {
        self.check(problem, false);
    }

    /// Tests a fallible case; a failure shows the error.
    pub fn succeed<T, E: Display>(&mut self, name: impl Display, result: Result<T, E>) -> Option<T> {
        self.tested += 1;
        result.map_err(|error| self.failures.push(format!("{name}: {error}"))).ok()
    }

    /// Ends the test.
    ///
    /// # Panics
    /// If a case has failed, with a line for each failure, or if there was no case.
    pub fn finish(self) {
        const SHOWN: usize = 50;
        let count = self.failures.len();
        let shown = self.failures[..count.min(SHOWN)].join("\n");
        assert!(count == 0, "{count} of {} cases fail:\n{shown}", self.tested);
        assert!(self.tested > 0, "no case was tested");
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn every_failure_is_reported() {
        let panic = catch_unwind(|| {
            let mut cases = Cases::new();
            cases.check("fine", true);
            cases.check("first", false);
            cases.equal("second", 2, 3);
            cases.succeed("third", "x".parse::<u8>());
            cases.finish();
        });
        let panic = panic.expect_err("three failures");
        let text = panic.downcast_ref::<String>().expect("a message");
        let expected =
            "3 of 4 cases fail:\nfirst\nsecond: found 2, expected 3\nthird: invalid digit found in string";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_test_without_cases_fails() {
        assert!(catch_unwind(|| Cases::new().finish()).is_err());
    }
}
