//! Boxes and anchor points.

/// `[x1, y1, x2, y2]`.
pub type Box4 = [f64; 4];

/// The anchor points of all levels, finest level first, row-major in a level (SPEC §4).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Anchors {
    /// Centre of each anchor point, x and y in pixels of the network input.
    pub centres: Vec<[f64; 2]>,
    /// Stride of the level of each anchor point in pixels.
    pub strides: Vec<f64>,
    /// Anchor points per level.
    pub per_level: Vec<usize>,
}

impl Anchors {
    /// Returns the anchor points of levels given as (height, width, stride).
    pub fn new(levels: &[(usize, usize, usize)]) -> Self {
        let mut anchors = Self::default();
        for &(height, width, stride) in levels {
            for y in 0..height {
                for x in 0..width {
                    let centre = |index: usize| (index as f64 + 0.5) * stride as f64;
                    anchors.centres.push([centre(x), centre(y)]);
                    anchors.strides.push(stride as f64);
                }
            }
            anchors.per_level.push(height * width);
        }
        anchors
    }

    /// Returns the number of anchor points.
    pub fn len(&self) -> usize {
        self.centres.len()
    }

    /// Returns whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.centres.is_empty()
    }

    /// Returns the square of `scale` strides around an anchor point: the anchor box of ATSS.
    pub(crate) fn square(&self, anchor: usize, scale: f64) -> Box4 {
        let [x, y] = self.centres[anchor];
        let half = scale * self.strides[anchor] / 2.0;
        [x - half, y - half, x + half, y + half]
    }
}

/// Returns the area of a box, 0 if it is inverted.
pub(crate) fn area(b: &Box4) -> f64 {
    (b[2] - b[0]).max(0.0) * (b[3] - b[1]).max(0.0)
}

/// Returns the area of the intersection of two boxes.
pub(crate) fn intersection(a: &Box4, b: &Box4) -> f64 {
    area(&[a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])])
}

/// Returns the intersection over union; `stabilise` keeps the union from being 0.
pub(crate) fn iou(a: &Box4, b: &Box4, stabilise: impl Fn(f64) -> f64) -> f64 {
    let overlap = intersection(a, b);
    overlap / stabilise(area(a) + area(b) - overlap)
}

/// Returns the minimum signed distance of a point from the sides of a box, positive inside.
pub(crate) fn inset([x, y]: [f64; 2], b: &Box4) -> f64 {
    (x - b[0]).min(y - b[1]).min(b[2] - x).min(b[3] - y)
}

pub(crate) fn centre(b: &Box4) -> [f64; 2] {
    [(b[0] + b[2]) / 2.0, (b[1] + b[3]) / 2.0]
}
