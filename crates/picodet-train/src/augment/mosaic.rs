//! Mosaic of four images with an affine warp and MixUp, as in the NPU recipe (SPEC §7.2).

use picodet_image::{Image, Interpolation};

use super::flip::flip;
use super::sample::{OtherSamples, Sample};
use crate::Truth;
use crate::geometry::Box4;
use crate::random::Stream;

/// Side of the result in pixels.
const SIDE: usize = 640;
/// Grey of the area without an image.
const FILL: [u8; 3] = [114; 3];
/// Maximum rotation and shear in degrees.
const DEGREES: f64 = 10.0;
const SHEAR: f64 = 2.0;
/// Range of the scale.
const SCALE: (f64, f64) = (0.1, 2.0);
/// Maximum translation as a fraction of the side.
const TRANSLATE: f64 = 0.1;
/// Range of the scale of the mixed-in image.
const MIX_SCALE: (f64, f64) = (0.5, 1.5);
/// Minimum side of a box in pixels; smaller boxes are dropped.
const LEAST_SIDE: f64 = 2.0;

/// Arranges the sample and three others around a random centre, warps the result, and mixes another image in with weight
/// one half. The sample replaces images that `others` does not return.
pub fn mosaic(sample: Sample, stream: &mut Stream, others: OtherSamples<'_>) -> Sample {
    let centre =
        [stream.uniform(0.5, 1.5), stream.uniform(0.5, 1.5)].map(|share| (share * SIDE as f64) as usize);
    let mut canvas = Image::filled(2 * SIDE, 2 * SIDE, FILL);
    let mut truth = Truth::default();
    for quarter in 0..4 {
        let part = match quarter {
            0 => sample.clone(),
            _ => others(stream).unwrap_or_else(|| sample.clone()),
        };
        place(&mut canvas, &mut truth, &part, quarter, centre);
    }
    let warped = warp(&canvas, &truth, stream);
    match others(stream) {
        Some(other) if !other.truth.boxes.is_empty() => mix(warped, &other, stream),
        _ => warped,
    }
}

/// Draws an image into a quarter of the canvas next to the centre, and adds its boxes.
fn place(canvas: &mut Image, truth: &mut Truth, part: &Sample, quarter: usize, [cx, cy]: [usize; 2]) {
    let scale = (SIDE as f64 / part.image.height() as f64).min(SIDE as f64 / part.image.width() as f64);
    let size = |side: usize| ((side as f64 * scale) as usize).max(1);
    let (width, height) = (size(part.image.width()), size(part.image.height()));
    let image = part.image.resized((height, width), Interpolation::Linear);
    let left = if quarter.is_multiple_of(2) { cx as i64 - width as i64 } else { cx as i64 };
    let top = if quarter < 2 { cy as i64 - height as i64 } else { cy as i64 };
    for y in 0..height {
        for x in 0..width {
            let (to_x, to_y) = (left + x as i64, top + y as i64);
            if to_x >= 0 && to_y >= 0 {
                canvas.set_pixel(to_x as usize, to_y as usize, image.pixel(x, y));
            }
        }
    }
    let (by_x, by_y) = (width as f64 / part.image.width() as f64, height as f64 / part.image.height() as f64);
    let limit = 2.0 * SIDE as f64;
    for (bbox, &class) in part.truth.boxes.iter().zip(&part.truth.classes) {
        let moved = [
            bbox[0] * by_x + left as f64,
            bbox[1] * by_y + top as f64,
            bbox[2] * by_x + left as f64,
            bbox[3] * by_y + top as f64,
        ];
        push(truth, moved, class, limit);
    }
}

/// Clips a box to 0..limit, and adds it if it is large enough.
fn push(truth: &mut Truth, bbox: Box4, class: usize, limit: f64) {
    let cut = bbox.map(|side| side.clamp(0.0, limit));
    if cut[2] - cut[0] >= LEAST_SIDE && cut[3] - cut[1] >= LEAST_SIDE {
        truth.boxes.push(cut);
        truth.classes.push(class);
    }
}

/// Rotates, scales, shears and translates the canvas about its centre into an image of half its sides.
fn warp(canvas: &Image, truth: &Truth, stream: &mut Stream) -> Sample {
    let angle = stream.uniform(-DEGREES, DEGREES).to_radians();
    let scale = stream.uniform(SCALE.0, SCALE.1);
    let shear = [0, 1].map(|_| stream.uniform(-SHEAR, SHEAR).to_radians().tan());
    let shift = [0, 1].map(|_| (0.5 + stream.uniform(-TRANSLATE, TRANSLATE)) * SIDE as f64);
    let (sin, cos) = (scale * angle.sin(), scale * angle.cos());
    // Rows of the product of the shear and rotation matrices.
    let [a, b] = [cos + shear[0] * -sin, sin + shear[0] * cos];
    let [c, d] = [shear[1] * cos - sin, shear[1] * sin + cos];
    let half = SIDE as f64;
    let forward = |x: f64, y: f64| {
        let (x, y) = (x - half, y - half);
        [a * x + b * y + shift[0], c * x + d * y + shift[1]]
    };
    let determinant = a * d - b * c;
    let mut image = Image::filled(SIDE, SIDE, FILL);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let (dx, dy) = (x as f64 - shift[0], y as f64 - shift[1]);
            let from_x = (d * dx - b * dy) / determinant + half;
            let from_y = (a * dy - c * dx) / determinant + half;
            let inside = |value: f64| value >= 0.0 && value < 2.0 * half;
            if inside(from_x) && inside(from_y) {
                image.set_pixel(x, y, between(canvas, from_x, from_y));
            }
        }
    }
    let mut moved = Truth::default();
    for (bbox, &class) in truth.boxes.iter().zip(&truth.classes) {
        let corners = [
            forward(bbox[0], bbox[1]),
            forward(bbox[2], bbox[1]),
            forward(bbox[0], bbox[3]),
            forward(bbox[2], bbox[3]),
        ];
        let least = |axis: usize| corners.iter().map(|corner| corner[axis]).fold(f64::INFINITY, f64::min);
        let most = |axis: usize| corners.iter().map(|corner| corner[axis]).fold(f64::NEG_INFINITY, f64::max);
        push(&mut moved, [least(0), least(1), most(0), most(1)], class, half);
    }
    Sample { image, truth: moved }
}

/// Interpolates the colour bilinearly.
fn between(image: &Image, x: f64, y: f64) -> [u8; 3] {
    let (left, top) = (x.floor(), y.floor());
    let (share_x, share_y) = (x - left, y - top);
    let at = |dx: usize, dy: usize| image.pixel(left as usize + dx, top as usize + dy).map(f64::from);
    let (p, q, r, s) = (at(0, 0), at(1, 0), at(0, 1), at(1, 1));
    std::array::from_fn(|channel| {
        let upper = p[channel] + share_x * (q[channel] - p[channel]);
        let lower = r[channel] + share_x * (s[channel] - r[channel]);
        (upper + share_y * (lower - upper)).round() as u8
    })
}

/// Averages two images; the second is scaled, mirrored with probability one half, and cropped at a random position.
fn mix(sample: Sample, other: &Sample, stream: &mut Stream) -> Sample {
    let other = if stream.chance(0.5) { flip(other.clone()) } else { other.clone() };
    let fit = (SIDE as f64 / other.image.height() as f64).min(SIDE as f64 / other.image.width() as f64);
    let scale = fit * stream.uniform(MIX_SCALE.0, MIX_SCALE.1);
    let size = |side: usize| ((side as f64 * scale) as usize).max(1);
    let (width, height) = (size(other.image.width()), size(other.image.height()));
    let picture = other.image.resized((height, width), Interpolation::Linear);
    let left = stream.index(width.saturating_sub(SIDE) + 1);
    let top = stream.index(height.saturating_sub(SIDE) + 1);
    let Sample { mut image, mut truth } = sample;
    for y in 0..SIDE {
        for x in 0..SIDE {
            let theirs = match (x + left < width, y + top < height) {
                (true, true) => picture.pixel(x + left, y + top),
                _ => FILL,
            };
            let ours = image.pixel(x, y);
            let half =
                |channel: usize| (u16::from(ours[channel]) + u16::from(theirs[channel])).div_ceil(2) as u8;
            image.set_pixel(x, y, [half(0), half(1), half(2)]);
        }
    }
    let (by_x, by_y) =
        (width as f64 / other.image.width() as f64, height as f64 / other.image.height() as f64);
    for (bbox, &class) in other.truth.boxes.iter().zip(&other.truth.classes) {
        let moved = [
            bbox[0] * by_x - left as f64,
            bbox[1] * by_y - top as f64,
            bbox[2] * by_x - left as f64,
            bbox[3] * by_y - top as f64,
        ];
        push(&mut truth, moved, class, SIDE as f64);
    }
    Sample { image, truth }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    /// Returns a black image with one white box.
    fn with_box(bbox: [usize; 4]) -> Sample {
        let mut image = Image::filled(320, 240, [0; 3]);
        for y in bbox[1]..bbox[3] {
            for x in bbox[0]..bbox[2] {
                image.set_pixel(x, y, [255; 3]);
            }
        }
        Sample { image, truth: Truth { boxes: vec![bbox.map(|side| side as f64)], classes: vec![0] } }
    }

    #[test]
    fn white_things_stay_in_their_boxes() {
        for number in 0..12 {
            let mut stream = Stream::new(5, Purpose::Image, 0, number);
            let mixed = mosaic(with_box([80, 60, 200, 160]), &mut stream, &mut |_| None);
            assert_eq!((mixed.image.width(), mixed.image.height()), (SIDE, SIDE));
            let in_a_box = |x: usize, y: usize| {
                mixed.truth.boxes.iter().any(|[x1, y1, x2, y2]| {
                    let (x, y) = (x as f64 + 0.5, y as f64 + 0.5);
                    x > x1 - 2.0 && x < x2 + 2.0 && y > y1 - 2.0 && y < y2 + 2.0
                })
            };
            let stray = (0..SIDE * SIDE)
                .filter(|at| mixed.image.pixel(at % SIDE, at / SIDE)[0] > 200)
                .filter(|at| !in_a_box(at % SIDE, at / SIDE));
            // Boxes of less than two pixels are dropped.
            assert!(stray.count() < 2 * SIDE, "picture {number}");
        }
    }
}
