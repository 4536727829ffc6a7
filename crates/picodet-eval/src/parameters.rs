//! The parameters of an evaluation; the defaults are those of COCO.

use crate::error::EvaluationError;
use crate::numpy::linspace;

/// How an annotation with id 0 is treated.
///
/// pycocotools stores a match as the id of the annotation, and 0 means "no match": a detection of such an
/// object always counts as a false positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZeroId {
    /// The metrics of pycocotools, and a note ([`crate::Notes::zero_ids`]).
    #[default]
    AsPycocotools,
    /// As any other id.
    Ordinary,
}

/// The four ranges of [`Parameters::area_ranges`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AreaRange {
    /// Every size.
    All,
    /// Below 32² square pixels.
    Small,
    /// 32² to 96².
    Medium,
    /// Above 96².
    Large,
}

impl AreaRange {
    /// All four in the order of [`Parameters::area_ranges`].
    pub const ALL: [Self; 4] = [Self::All, Self::Small, Self::Medium, Self::Large];

    /// `all`, `small`, `medium` or `large`.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }
}

/// The parameters of an evaluation (SPEC §6.5: at most 100 detections per image).
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// IoU thresholds of a match, ascending; COCO: 0.50, 0.55, …, 0.95.
    pub iou_thresholds: Vec<f64>,
    /// Recall values at which precision is sampled, ascending; COCO: 0.00, 0.01, …, 1.00.
    pub recall_thresholds: Vec<f64>,
    /// Maximum numbers of detections per image and class, best first, ascending; COCO: 1, 10, 100.
    pub max_detections: [usize; 3],
    /// Smallest and largest area in square pixels, both inclusive: all, small, medium, large.
    pub area_ranges: [[f64; 2]; 4],
    /// False for class-agnostic metrics. Each box counts once, even if a dataset lists a category twice
    /// (pycocotools then counts its boxes twice).
    pub use_categories: bool,
    /// Whether [`crate::GroundTruth::ignore`] has an effect; pycocotools: false.
    pub respect_ignore: bool,
    /// How an annotation with id 0 is treated.
    pub zero_id: ZeroId,
    /// Number of threads; 0 for all cores. The result does not depend on it.
    pub threads: usize,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            iou_thresholds: linspace(0.5, 0.95, 10),
            recall_thresholds: linspace(0.0, 1.0, 101),
            max_detections: [1, 10, 100],
            area_ranges: [[0.0, 1e10], [0.0, 32.0 * 32.0], [32.0 * 32.0, 96.0 * 96.0], [96.0 * 96.0, 1e10]],
            use_categories: true,
            respect_ignore: false,
            zero_id: ZeroId::AsPycocotools,
            threads: 0,
        }
    }
}

impl Parameters {
    /// Whether the thresholds are finite and ascending.
    pub(crate) fn check(&self) -> Result<(), EvaluationError> {
        for (name, thresholds) in
            [("iou_thresholds", &self.iou_thresholds), ("recall_thresholds", &self.recall_thresholds)]
        {
            let in_range = thresholds.iter().all(|value| (0.0..=1.0).contains(value));
            if !in_range || !thresholds.is_sorted() {
                return Err(EvaluationError::Parameter {
                    name,
                    problem: "must be ascending and between 0 and 1".to_owned(),
                });
            }
        }
        if !self.max_detections.is_sorted() {
            return Err(EvaluationError::Parameter {
                name: "max_detections",
                problem: format!("{:?} must be ascending", self.max_detections),
            });
        }
        if self.area_ranges.iter().flatten().any(|area| area.is_nan()) {
            return Err(EvaluationError::Parameter {
                name: "area_ranges",
                problem: "must not be NaN".to_owned(),
            });
        }
        Ok(())
    }
}
