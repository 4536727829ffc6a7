//! Compares the objects of two labels of one image.

use crate::dataset::{Class, Dataset, ImageRecord};
use crate::format::other_labels::LabelBox;

/// Largest difference of equal coordinates in pixels: tools round them.
const TOLERANCE: f64 = 0.5;
/// Number of objects above which they are compared in their order.
const MANY: usize = 2000;

/// The number of objects that only one of two labels has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Difference {
    /// Objects of the label that is read.
    pub(super) only_read: usize,
    /// Objects of the other label.
    pub(super) only_other: usize,
}

/// Returns the objects of an image with the class in the form of `key`.
pub(super) fn boxes_of(
    dataset: &Dataset,
    image: &ImageRecord,
    key: impl Fn(&Class) -> String,
) -> Vec<LabelBox> {
    let class = |class: usize| dataset.classes.get(class).map(&key).unwrap_or_default();
    let objects = image.objects.iter();
    objects.map(|object| LabelBox { class: class(object.class), boxes: vec![object.bbox] }).collect()
}

/// Returns the objects that only one of two labels has; `None` if they are equal, in any order.
pub(super) fn difference(read: &[LabelBox], other: &[LabelBox]) -> Option<Difference> {
    difference_within(read, other, TOLERANCE)
}

/// As [`difference`], with another tolerance in pixels.
pub(super) fn difference_within(read: &[LabelBox], other: &[LabelBox], tolerance: f64) -> Option<Difference> {
    let mut used = vec![false; read.len()];
    let mut only_other = 0;
    for (position, label) in other.iter().enumerate() {
        // Lists of thousands of objects are compared in their order, which takes linear time.
        let among = if other.len() > MANY { position..read.len().min(position + 1) } else { 0..read.len() };
        match among.into_iter().find(|&index| !used[index] && same(&read[index], label, tolerance)) {
            Some(index) => used[index] = true,
            None => only_other += 1,
        }
    }
    let only_read = used.iter().filter(|used| !**used).count();
    (only_read + only_other > 0).then_some(Difference { only_read, only_other })
}

fn same(read: &LabelBox, other: &LabelBox, tolerance: f64) -> bool {
    let near = |a: &[f64; 4], b: &[f64; 4]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance);
    read.class == other.class && read.boxes.iter().any(|a| other.boxes.iter().any(|b| near(a, b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(boxes: &[(&str, f64)]) -> Vec<LabelBox> {
        let label = |(class, x): &(&str, f64)| LabelBox {
            class: (*class).to_string(),
            boxes: vec![[*x, 0.0, x + 10.0, 5.0]],
        };
        boxes.iter().map(label).collect()
    }

    #[test]
    fn objects_are_compared_in_any_order_with_a_tolerance() {
        let read = list(&[("a", 1.0), ("b", 2.0)]);
        assert_eq!(difference(&read, &list(&[("b", 2.3), ("a", 0.6)])), None);
        let only = |only_read, only_other| Some(Difference { only_read, only_other });
        assert_eq!(difference(&read, &list(&[("a", 1.0)])), only(1, 0));
        assert_eq!(difference(&read, &list(&[("a", 2.0), ("b", 2.0)])), only(1, 1));
        assert_eq!(difference(&read, &list(&[("b", 2.0), ("b", 2.0), ("a", 1.0)])), only(0, 1));
        let many: Vec<LabelBox> = (0..5000).flat_map(|x| list(&[("a", f64::from(x))])).collect();
        assert_eq!(difference(&many, &many), None);
    }
}
