//! The options of a check.

use picodet_image::Limits;

/// Options of a check.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckOptions {
    /// Width and height in pixels of the detector input.
    pub input: (u32, u32),
    /// Finest stride of the detector in pixels of the input.
    pub stride: u32,
    /// Whether to decode images completely; otherwise only their headers are read.
    pub decode: bool,
    /// Whether to hash the image files to find duplicates and leakage.
    pub hash: bool,
    /// Tolerance in pixels of boxes beyond their image (annotation tools round).
    pub outside_tolerance: f64,
    /// Ratio of objects of the most frequent class to another one, above which classes are imbalanced.
    pub imbalance_ratio: f64,
    /// Whether crowd regions are read as ordinary objects.
    pub crowds_as_objects: bool,
    /// Limits on the images that are decoded; an image that exceeds them is an error.
    pub limits: Limits,
    /// Images with more pixels are huge.
    pub huge_pixels: u64,
    /// Images with a shorter side in pixels are tiny.
    pub tiny_side: u32,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            input: (416, 416),
            stride: 8,
            decode: true,
            hash: true,
            outside_tolerance: 1.0,
            imbalance_ratio: 100.0,
            crowds_as_objects: false,
            limits: Limits::default(),
            huge_pixels: 50_000_000,
            tiny_side: 32,
        }
    }
}
