//! What is compared: categories, true boxes, detected boxes.

use serde::{Deserialize, Serialize};

/// A class of objects, by COCO's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// COCO category id; ids need not be contiguous.
    pub id: i64,
    /// The name in the data.
    pub name: String,
}

/// One true object. Boxes and areas are in pixels of the original image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroundTruth {
    /// The annotation's id, unique over the dataset. Number from 1: see [`crate::ZeroId`].
    pub id: i64,
    /// The image it is in.
    pub image_id: i64,
    /// Its class.
    pub category_id: i64,
    /// `[x, y, width, height]`, pixels.
    pub bbox: [f64; 4],
    /// Square pixels. In COCO the area of the segmentation, not of the box; it decides between small,
    /// medium and large.
    pub area: f64,
    /// A region of many objects: neither wanted nor punished, and any number of detections may lie in it.
    pub crowd: bool,
    /// Neither wanted nor punished, a single object (VOC's `difficult`). pycocotools overwrites this flag
    /// with `iscrowd` (here [`GroundTruth::crowd`]); it counts only with [`crate::Parameters::respect_ignore`].
    pub ignore: bool,
}

/// One detected object, in pixels of the original image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Detection {
    /// The image it was found in.
    pub image_id: i64,
    /// Its class.
    pub category_id: i64,
    /// `[x, y, width, height]`, pixels.
    pub bbox: [f64; 4],
    /// Confidence, higher is surer; usually 0..1.
    pub score: f64,
}

/// Intersection over union of two `[x, y, width, height]` boxes, as pycocotools computes it: no one-pixel
/// shift, 0 where they do not overlap, and over the area of `detection` alone when `crowd`.
pub fn intersection_over_union(detection: &[f64; 4], truth: &[f64; 4], crowd: bool) -> f64 {
    let width = (detection[2] + detection[0]).min(truth[2] + truth[0]) - detection[0].max(truth[0]);
    if width <= 0.0 {
        return 0.0;
    }
    let height = (detection[3] + detection[1]).min(truth[3] + truth[1]) - detection[1].max(truth[1]);
    if height <= 0.0 {
        return 0.0;
    }
    let intersection = width * height;
    let detection_area = detection[2] * detection[3];
    let union = if crowd { detection_area } else { detection_area + truth[2] * truth[3] - intersection };
    intersection / union
}
