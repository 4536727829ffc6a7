//! What a detector says, and in pixels of which picture.

/// A box `[x1, y1, x2, y2]` in pixels of the network input.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InputBox(pub [f32; 4]);

/// A box `[x1, y1, x2, y2]` in pixels of the original image, upright.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ImageBox(pub [f32; 4]);

impl InputBox {
    /// The box in the original image.
    pub fn to_image(self, scale: ScaleFactor) -> ImageBox {
        let [x1, y1, x2, y2] = self.0;
        ImageBox([x1 / scale.x, y1 / scale.y, x2 / scale.x, y2 / scale.y])
    }
}

impl ImageBox {
    /// The box cut to an image of `width` × `height` pixels.
    pub fn clipped(self, width: usize, height: usize) -> Self {
        let [x1, y1, x2, y2] = self.0;
        let (width, height) = (width as f32, height as f32);
        Self([x1.clamp(0.0, width), y1.clamp(0.0, height), x2.clamp(0.0, width), y2.clamp(0.0, height)])
    }

    /// Area in square pixels; 0 for an inverted box.
    pub fn area(self) -> f32 {
        let [x1, y1, x2, y2] = self.0;
        if x2 < x1 || y2 < y1 { 0.0 } else { (x2 - x1) * (y2 - y1) }
    }

    /// Intersection over union as the reference's suppression computes it (SPEC §6.3): 0 for boxes that do not
    /// touch, NaN for two equal boxes without area.
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

/// One object found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Index of the class in the model's list.
    pub class: usize,
    /// Probability, 0 to 1.
    pub score: f32,
    /// Where it is, in pixels of the original image; may reach a little outside.
    pub bbox: ImageBox,
}
