//! The input of an evaluation: categories, annotated objects, detections.

/// A class of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// COCO category id; ids need not be contiguous.
    pub id: i64,
    /// The name in the data.
    pub name: String,
}

/// One annotated object. Boxes and areas are in pixels of the original image.
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
    /// Area in square pixels, which decides between small, medium and large. In COCO it is the area of the
    /// segmentation, not of the box.
    pub area: f64,
    /// A region of many objects: ignored, and any number of detections may match it.
    pub crowd: bool,
    /// A single object that is ignored (VOC's `difficult`). pycocotools overwrites this flag with `iscrowd`
    /// (here [`GroundTruth::crowd`]); it has an effect only with [`crate::Parameters::respect_ignore`].
    pub ignore: bool,
}

/// One detected object, in pixels of the original image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// The image it was found in.
    pub image_id: i64,
    /// Its class.
    pub category_id: i64,
    /// `[x, y, width, height]`, pixels.
    pub bbox: [f64; 4],
    /// Confidence, usually 0 to 1.
    pub score: f64,
}

/// An image of a dataset, for [`crate::reading_note`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSize {
    /// Its id.
    pub id: i64,
    /// Width in pixels; 0 if it is unknown.
    pub width: u32,
    /// Height in pixels; 0 if it is unknown.
    pub height: u32,
}

/// Input that an evaluation left out, or counted in pycocotools' way where that may surprise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notes {
    /// Annotations with id 0 (at most one): see [`crate::ZeroId`].
    pub zero_ids: usize,
    /// Annotations in images that are not evaluated.
    pub truths_without_image: usize,
    /// Annotations of classes that are not evaluated.
    pub truths_without_category: usize,
    /// Detections of classes that are not evaluated.
    pub detections_without_category: usize,
}

/// Returns the intersection over union of two `[x, y, width, height]` boxes, as pycocotools computes it:
/// without a one-pixel shift, and divided by the area of `detection` instead of the union if `crowd`.
#[must_use]
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
