//! Detected objects and their boxes, with the image that the coordinates belong to in the type.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeStruct, Serializer};

/// A box `[x1, y1, x2, y2]` in pixels of the network input.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InputBox(pub [f32; 4]);

/// A box `[x1, y1, x2, y2]` in pixels of the original image, upright.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ImageBox(pub [f32; 4]);

impl InputBox {
    /// Returns the box in the original image.
    #[must_use]
    pub fn to_image(self, scale: ScaleFactor) -> ImageBox {
        let [x1, y1, x2, y2] = self.0;
        ImageBox([x1 / scale.x, y1 / scale.y, x2 / scale.x, y2 / scale.y])
    }
}

impl ImageBox {
    /// Returns left, top, right and bottom, in pixels.
    #[must_use]
    pub fn xyxy(self) -> [f32; 4] {
        self.0
    }

    /// Returns left, top, width and height, in pixels, as COCO's files have them.
    #[must_use]
    pub fn xywh(self) -> [f32; 4] {
        let [x1, y1, ..] = self.0;
        [x1, y1, self.width(), self.height()]
    }

    /// Returns the width in pixels; negative for an inverted box.
    #[must_use]
    pub fn width(self) -> f32 {
        self.0[2] - self.0[0]
    }

    /// Returns the height in pixels; negative for an inverted box.
    #[must_use]
    pub fn height(self) -> f32 {
        self.0[3] - self.0[1]
    }

    /// Returns the box clipped to an image of `width` × `height` pixels.
    #[must_use]
    pub fn clipped(self, width: usize, height: usize) -> Self {
        let [x1, y1, x2, y2] = self.0;
        let (width, height) = (width as f32, height as f32);
        Self([x1.clamp(0.0, width), y1.clamp(0.0, height), x2.clamp(0.0, width), y2.clamp(0.0, height)])
    }

    /// Returns the area in square pixels; 0 for an inverted box.
    #[must_use]
    pub fn area(self) -> f32 {
        let [x1, y1, x2, y2] = self.0;
        if x2 < x1 || y2 < y1 { 0.0 } else { (x2 - x1) * (y2 - y1) }
    }

    /// Returns the intersection over union as the reference's suppression computes it (SPEC §6.3): 0 for boxes that do
    /// not touch, NaN for two equal boxes without area.
    #[must_use]
    pub fn iou(self, other: Self) -> f32 {
        let ([ax1, ay1, ax2, ay2], [bx1, by1, bx2, by2]) = (self.0, other.0);
        if bx1 > ax2 || bx2 < ax1 || by1 > ay2 || by2 < ay1 {
            return 0.0;
        }
        let width = ax2.min(bx2) - ax1.max(bx1);
        let height = ay2.min(by2) - ay1.max(by1);
        let intersection = width * height;
        intersection / (self.area() + other.area() - intersection)
    }
}

/// Input pixels per image pixel along each axis (SPEC §6.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleFactor {
    /// Input height over image height.
    pub y: f32,
    /// Input width over image width.
    pub x: f32,
}

/// A box with class and score, as the suppression keeps it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredBox {
    /// Index of the class in the model's list.
    pub class: usize,
    /// Probability, 0 to 1.
    pub score: f32,
    /// Position in pixels of the original image; may reach slightly outside.
    pub bbox: ImageBox,
}

/// A detected object.
///
/// Serialises to `{"class": 3, "name": "figure", "score": 0.93, "box": [x1, y1, x2, y2]}`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Detection {
    /// Name of the class.
    pub label: Arc<str>,
    /// Index of the class in the model's list.
    pub class: usize,
    /// Probability, 0 to 1.
    pub score: f32,
    /// Position in pixels of the original image; may reach slightly outside.
    pub bbox: ImageBox,
}

impl Detection {
    /// Returns the detection of a class named `label`.
    #[must_use]
    pub fn new(label: impl Into<Arc<str>>, found: ScoredBox) -> Self {
        let ScoredBox { class, score, bbox } = found;
        Self { label: label.into(), class, score, bbox }
    }
}

impl From<&Detection> for ScoredBox {
    fn from(detection: &Detection) -> Self {
        let &Detection { class, score, bbox, .. } = detection;
        Self { class, score, bbox }
    }
}

impl Serialize for Detection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Detection", 4)?;
        object.serialize_field("class", &self.class)?;
        object.serialize_field("name", &*self.label)?;
        object.serialize_field("score", &self.score)?;
        object.serialize_field("box", &self.bbox.xyxy())?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_has_corners_and_extents() {
        let bbox = ImageBox([2.0, 3.0, 10.0, 5.0]);
        assert_eq!((bbox.xyxy(), bbox.xywh()), ([2.0, 3.0, 10.0, 5.0], [2.0, 3.0, 8.0, 2.0]));
        assert_eq!((bbox.width(), bbox.height(), bbox.area()), (8.0, 2.0, 16.0));
        assert_eq!(bbox.clipped(6, 4), ImageBox([2.0, 3.0, 6.0, 4.0]));
    }
}
