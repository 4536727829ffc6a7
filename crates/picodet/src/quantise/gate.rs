//! The limits that a quantised model has to keep.

use super::{Latencies, Verdict};

/// How many times as fast as the float model's fastest precision a quantised model has to be, unless another ratio is given.
pub const MIN_GAIN: f64 = 1.1;

/// Limits of a quantised model against the float model.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Gate {
    /// Smallest fidelity.
    pub min_fidelity: f64,
    /// Largest loss of AP in percent points, where there are labels.
    pub max_drop: f64,
    /// Smallest ratio of the time of the float model's fastest precision to that of the quantised model; `None` for any.
    pub min_gain: Option<f64>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { min_fidelity: 90.0, max_drop: 0.5, min_gain: Some(MIN_GAIN) }
    }
}

/// A limit that a quantised model does not keep.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Miss {
    /// The fidelity.
    #[error("fidelity {fidelity:.2} is below {limit}")]
    Fidelity {
        /// Measured.
        fidelity: f64,
        /// The limit.
        limit: f64,
    },
    /// The loss of AP.
    #[error("AP falls by {drop:.2}, more than {limit}")]
    Drop {
        /// Measured, in percent points.
        drop: f64,
        /// The limit.
        limit: f64,
    },
    /// The speed.
    #[error("int8 takes {int8:.2} ms, {best} {float:.2} ms: less than {limit} times as fast")]
    Speed {
        /// Milliseconds of the quantised model.
        int8: f64,
        /// The fastest precision of the float model.
        best: &'static str,
        /// Its milliseconds.
        float: f64,
        /// The limit.
        limit: f64,
    },
}

impl Gate {
    /// Sets the smallest fidelity.
    #[must_use]
    pub fn with_min_fidelity(self, min_fidelity: f64) -> Self {
        Self { min_fidelity, ..self }
    }

    /// Sets the largest loss of AP.
    #[must_use]
    pub fn with_max_drop(self, max_drop: f64) -> Self {
        Self { max_drop, ..self }
    }

    /// Sets how much faster the quantised model has to be; `None` for any speed.
    #[must_use]
    pub fn with_min_gain(self, min_gain: impl Into<Option<f64>>) -> Self {
        Self { min_gain: min_gain.into(), ..self }
    }

    /// Returns the limits that are not kept. A figure that is not a number does not keep its limit.
    #[must_use]
    pub fn misses(&self, verdict: &Verdict, latencies: &Latencies) -> Vec<Miss> {
        let keeps_fidelity = verdict.fidelity >= self.min_fidelity;
        let fidelity = Miss::Fidelity { fidelity: verdict.fidelity, limit: self.min_fidelity };
        let mut misses: Vec<Miss> = Some(fidelity).filter(|_| !keeps_fidelity).into_iter().collect();
        if let (Some(float), Some(ap)) = (verdict.ap_float, verdict.ap)
            && float - ap > self.max_drop
        {
            misses.push(Miss::Drop { drop: float - ap, limit: self.max_drop });
        }
        if let Some(limit) = self.min_gain.filter(|&limit| latencies.gain() < limit) {
            let (precision, time) = latencies.fastest_float();
            misses.push(Miss::Speed {
                int8: 1e3 * latencies.int8.as_secs_f64(),
                best: precision.name(),
                float: 1e3 * time.as_secs_f64(),
                limit,
            });
        }
        misses
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use picodet_engine::Precision;

    use super::*;

    fn misses(fidelity: f64, drop: Option<f64>, int8: u64) -> String {
        let verdict = Verdict { fidelity, ap_float: Some(30.0), ap: drop.map(|drop| 30.0 - drop) };
        let time = Duration::from_micros;
        let float = vec![(Precision::F32, time(6000)), (Precision::Bf16, time(3300))];
        let latencies = Latencies { float, int8: time(int8) };
        let misses = Gate::default().misses(&verdict, &latencies);
        misses.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn each_limit_is_named_when_it_is_not_kept() {
        assert_eq!(misses(90.0, Some(0.5), 2900), "");
        assert_eq!(misses(99.0, None, 1000), "");
        assert_eq!(misses(89.994, Some(-1.0), 2900), "fidelity 89.99 is below 90");
        assert_eq!(misses(f64::NAN, None, 2900), "fidelity NaN is below 90");
        assert_eq!(misses(95.0, Some(0.75), 2900), "AP falls by 0.75, more than 0.5");
        let slow = "int8 takes 3.10 ms, bf16 3.30 ms: less than 1.1 times as fast";
        assert_eq!(misses(95.0, None, 3100), slow);
        assert_eq!(misses(0.0, Some(2.0), 9000).split("; ").count(), 3);
    }
}
