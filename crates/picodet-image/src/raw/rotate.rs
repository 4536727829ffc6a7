//! Rotation of RGB pixels by quarter turns.

/// Sides of the blocks that are rotated one after another, so that reads and writes stay in the cache.
const BLOCK: usize = 32;

/// The clockwise rotation that turns an image upright.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    /// None.
    #[default]
    None,
    /// By 90 degrees.
    Quarter,
    /// By 180 degrees.
    Half,
    /// By 270 degrees.
    ThreeQuarters,
}

impl Rotation {
    /// Returns the rotation by 0, 90, 180 or 270 degrees; `None` for other angles.
    #[must_use]
    pub fn from_degrees(degrees: i32) -> Option<Self> {
        match degrees {
            0 => Some(Self::None),
            90 => Some(Self::Quarter),
            180 => Some(Self::Half),
            270 => Some(Self::ThreeQuarters),
            _ => None,
        }
    }

    /// Returns width and height after the rotation.
    pub(super) fn size(self, width: usize, height: usize) -> (usize, usize) {
        match self {
            Self::None | Self::Half => (width, height),
            Self::Quarter | Self::ThreeQuarters => (height, width),
        }
    }

    /// Returns the position after the rotation of a pixel of an image of `width` × `height`.
    fn target(self, (x, y): (usize, usize), (width, height): (usize, usize)) -> (usize, usize) {
        match self {
            Self::None => (x, y),
            Self::Quarter => (height - 1 - y, x),
            Self::Half => (width - 1 - x, height - 1 - y),
            Self::ThreeQuarters => (y, width - 1 - x),
        }
    }
}

/// Returns `[height, width, 3]` bytes rotated; `None` without memory for them.
pub(super) fn rotated(rgb: &[u8], size: (usize, usize), rotation: Rotation) -> Option<Vec<u8>> {
    let (width, height) = size;
    let mut data = Vec::new();
    data.try_reserve_exact(rgb.len()).ok()?;
    data.resize(rgb.len(), 0);
    let (from, _) = rgb.as_chunks::<3>();
    let (to, _) = data.as_chunks_mut::<3>();
    let (target_width, _) = rotation.size(width, height);
    for top in (0..height).step_by(BLOCK) {
        for left in (0..width).step_by(BLOCK) {
            for y in top..height.min(top + BLOCK) {
                for x in left..width.min(left + BLOCK) {
                    let (target_x, target_y) = rotation.target((x, y), size);
                    to[target_y * target_width + target_x] = from[y * width + x];
                }
            }
        }
    }
    Some(data)
}
