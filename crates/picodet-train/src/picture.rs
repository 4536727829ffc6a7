//! Draws a training batch: objects as boxes, and a dot for every anchor point assigned to one.

use std::path::Path;

use picodet_format::write_atomically;
use picodet_image::{Image, Label, class_colour, draw, encode_png};

use crate::error::RunError;
use crate::loader::Batch;
use crate::objective::LossOutput;
use crate::{Anchors, Assignment, Truth};

/// Images of a batch that are drawn.
const MAX_IMAGES: usize = 8;
/// Images per row.
const ROW: usize = 4;
/// Pixels between images.
const GAP: usize = 4;

/// Draws a batch into `NAME.png` of a folder.
pub(crate) fn save_batch(
    folder: &Path,
    name: &str,
    batch: &Batch,
    loss: &LossOutput,
    mean: &[f32; 3],
    std: &[f32; 3],
) -> Result<(), RunError> {
    let path = folder.join(format!("{name}.png"));
    let picture = batch_picture(batch, &loss.anchors, &loss.assignments, mean, std);
    write_atomically(&path, &encode_png(&picture)).map_err(|source| RunError::File { path, source })
}

/// Draws the first images of a batch side by side, with their objects and the anchor points assigned to them;
/// dots are larger on levels with a larger stride.
pub fn batch_picture(
    batch: &Batch,
    anchors: &Anchors,
    assignments: &[Assignment],
    mean: &[f32; 3],
    std: &[f32; 3],
) -> Image {
    let [images, _, height, width] = batch.shape;
    let count = images.min(MAX_IMAGES);
    let columns = count.clamp(1, ROW);
    let rows = count.div_ceil(columns).max(1);
    let mut sheet = Image::filled(columns * (width + GAP) - GAP, rows * (height + GAP) - GAP, [255; 3]);
    for index in 0..count {
        let pixels = &batch.pixels[index * 3 * height * width..][..3 * height * width];
        let mut picture = draw(&visible(pixels, (height, width), mean, std), &labels(&batch.truths[index]));
        if let Some(assignment) = assignments.get(index) {
            dots(&mut picture, anchors, assignment, &batch.truths[index]);
        }
        let (left, top) = ((index % columns) * (width + GAP), (index / columns) * (height + GAP));
        for y in 0..height {
            for x in 0..width {
                sheet.set_pixel(left + x, top + y, picture.pixel(x, y));
            }
        }
    }
    sheet
}

/// Converts normalised planes `[3, height, width]` back to an image.
fn visible(pixels: &[f32], (height, width): (usize, usize), mean: &[f32; 3], std: &[f32; 3]) -> Image {
    let plane = height * width;
    let byte = |channel: usize, at: usize| {
        ((pixels[channel * plane + at] * std[channel] + mean[channel]) * 255.0).round() as u8
    };
    let data = (0..plane).flat_map(|at| [byte(0, at), byte(1, at), byte(2, at)]).collect();
    Image::new(width, height, data).unwrap_or_else(|| Image::filled(width, height, [0; 3]))
}

fn labels(truth: &Truth) -> Vec<Label> {
    let label = |(bbox, &class): (&[f64; 4], &usize)| {
        Label::new(bbox.map(|side| side as f32), class.to_string(), class_colour(class))
    };
    truth.boxes.iter().zip(&truth.classes).map(label).collect()
}

fn dots(picture: &mut Image, anchors: &Anchors, assignment: &Assignment, truth: &Truth) {
    for (anchor, object) in assignment.object.iter().enumerate() {
        let Some(class) = object.and_then(|object| truth.classes.get(object)) else { continue };
        let [x, y] = anchors.centres[anchor].map(|side| side as usize);
        let radius = (anchors.strides[anchor] / 8.0).log2() as usize + 2;
        for dy in 0..=2 * radius {
            for dx in 0..=2 * radius {
                let edge = dx == 0 || dy == 0 || dx == 2 * radius || dy == 2 * radius;
                let colour = if edge { [255; 3] } else { class_colour(*class) };
                picture.set_pixel((x + dx).saturating_sub(radius), (y + dy).saturating_sub(radius), colour);
            }
        }
    }
}
