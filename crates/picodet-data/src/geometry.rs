//! Boxes of points and lengths between coordinates.

/// Returns the bounding box `[x1, y1, x2, y2]` of points; `None` without points or with a NaN or infinite
/// one.
pub(crate) fn bounds(xs: impl Iterator<Item = f64>, ys: impl Iterator<Item = f64>) -> Option<[f64; 4]> {
    let mut bbox = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    for (x, y) in xs.zip(ys) {
        if !x.is_finite() || !y.is_finite() {
            return None;
        }
        bbox = [bbox[0].min(x), bbox[1].min(y), bbox[2].max(x), bbox[3].max(y)];
    }
    bbox[0].is_finite().then_some(bbox)
}

/// Returns the decimal with the fewest fractional digits for which `start + extent == end`.
pub(crate) fn shortest_extent(start: f64, end: f64) -> f64 {
    let extent = end - start;
    if !extent.is_finite() || start + extent.round() == end {
        return if extent.is_finite() { extent.round() } else { extent };
    }
    // Multiples of 1e-12 are exact enough for pixel coordinates; beyond that the difference is returned.
    let mut scale = 1.0;
    for _ in 1..=12 {
        scale *= 10.0;
        // The quotient of two exact integers is the correctly rounded decimal.
        let candidate = (extent * scale).round() / scale;
        if start + candidate == end {
            return candidate;
        }
    }
    extent
}

/// Returns the bounding box of a box with this centre, width, height and angle in radians.
pub(crate) fn rotated([x, y, width, height, angle]: [f64; 5]) -> [f64; 4] {
    let (sine, cosine) = angle.sin_cos();
    let half_width = (width * cosine).abs() / 2.0 + (height * sine).abs() / 2.0;
    let half_height = (width * sine).abs() / 2.0 + (height * cosine).abs() / 2.0;
    [x - half_width, y - half_height, x + half_width, y + half_height]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_recovered_exactly() {
        let cases = [
            (97.68, 12.34),
            (0.1, 0.2),
            (71.57, 144.02),
            (260.0, 231.0),
            (0.0, 0.015),
            (599.99, 0.01),
            (-3.3, 7.7),
            (1e-3, 639.999),
        ];
        let wrong: Vec<_> = cases.into_iter().filter(|&(x, w)| shortest_extent(x, x + w) != w).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn bounds_need_finite_points() {
        let of = |xs: &[f64], ys: &[f64]| bounds(xs.iter().copied(), ys.iter().copied());
        assert_eq!(of(&[3.0, 1.0, 2.0], &[5.0, 6.0, 4.0]), Some([1.0, 4.0, 3.0, 6.0]));
        assert_eq!((of(&[], &[]), of(&[1.0, f64::NAN], &[1.0, 2.0])), (None, None));
    }
}
