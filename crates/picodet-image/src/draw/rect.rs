//! Rectangles of whole pixels.

/// A rectangle of pixels; `right` and `bottom` are exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) right: i32,
    pub(super) bottom: i32,
}

impl Rect {
    pub(super) fn new(left: i32, top: i32, width: i32, height: i32) -> Self {
        Self { left, top, right: left + width, bottom: top + height }
    }

    /// The pixels of a box `[x1, y1, x2, y2]`, clamped to `bounds`; `None` where a coordinate is NaN or the
    /// corners are in the wrong order.
    pub(super) fn of_box([x1, y1, x2, y2]: [f32; 4], bounds: Self) -> Option<Self> {
        // NaN fails each comparison.
        if !(x1 <= x2 && y1 <= y2) {
            return None;
        }
        let column = |x: f32| (x.round() as i32).clamp(bounds.left, bounds.right - 1);
        let row = |y: f32| (y.round() as i32).clamp(bounds.top, bounds.bottom - 1);
        Some(Self { left: column(x1), top: row(y1), right: column(x2) + 1, bottom: row(y2) + 1 })
    }

    pub(super) fn width(self) -> i32 {
        self.right - self.left
    }

    pub(super) fn height(self) -> i32 {
        self.bottom - self.top
    }

    pub(super) fn area(self) -> i64 {
        i64::from(self.width().max(0)) * i64::from(self.height().max(0))
    }

    /// The part inside `bounds`; empty (`right <= left` or `bottom <= top`) where they do not overlap.
    pub(super) fn clipped(self, bounds: Self) -> Self {
        Self {
            left: self.left.max(bounds.left),
            top: self.top.max(bounds.top),
            right: self.right.min(bounds.right),
            bottom: self.bottom.min(bounds.bottom),
        }
    }

    /// The common area in pixels.
    pub(super) fn overlap(self, other: Self) -> i64 {
        self.clipped(other).area()
    }

    pub(super) fn contains(self, inner: Self) -> bool {
        self.left <= inner.left
            && self.top <= inner.top
            && self.right >= inner.right
            && self.bottom >= inner.bottom
    }
}
