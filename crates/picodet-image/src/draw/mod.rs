//! Draws boxes and captions into images.

mod caption;
mod colour;
mod font;
mod font_file;
mod label;
mod place;
mod rect;
mod system_fonts;

pub use colour::{class_colour, contrasting};
pub use font::Fonts;
pub use font_file::FontError;
pub use label::Label;

use caption::Caption;
use place::place;
use rect::Rect;

use crate::Image;

/// Returns a copy of the image with the labels drawn in, with the embedded font and those of the system.
///
/// As [`draw_with`] with [`Fonts::default`].
#[must_use]
pub fn draw(image: &Image, labels: &[Label]) -> Image {
    draw_with(image, labels, &Fonts::default())
}

/// Returns a copy of the image with the labels drawn in, the last on top.
///
/// Line width and text size grow with the image. Captions stay within the image and avoid each other where
/// there is room; the last label's caption is placed first. Boxes whose coordinates are NaN or in the wrong
/// order are skipped.
#[must_use]
pub fn draw_with(image: &Image, labels: &[Label], fonts: &Fonts) -> Image {
    let mut drawing = image.clone();
    let bounds = Rect::new(0, 0, image.width() as i32, image.height() as i32);
    let side = image.width().min(image.height()) as f32;
    let thickness = (side / 250.0).round().clamp(1.0, 12.0) as i32;
    let em = (side / 50.0).clamp((side / 6.0).clamp(8.0, 12.0), 96.0);
    let visible: Vec<(&Label, Rect)> =
        labels.iter().filter_map(|label| Some((label, Rect::of_box(label.bbox, bounds)?))).collect();
    for (label, outline) in &visible {
        draw_outline(&mut drawing, *outline, thickness, label.colour);
    }
    let boxes: Vec<Rect> = visible.iter().map(|(_, outline)| *outline).collect();
    let mut taken = Vec::with_capacity(visible.len());
    let mut captions = Vec::with_capacity(visible.len());
    for (index, (label, _)) in visible.iter().enumerate().rev() {
        let Some(caption) = Caption::new(fonts, label, em, bounds) else { continue };
        let at = place(caption.size(), &boxes, index, bounds, &taken);
        taken.push(at);
        captions.push((caption, at, label.colour));
    }
    for (caption, at, colour) in captions.iter().rev() {
        fill(&mut drawing, *at, *colour);
        caption.draw(&mut drawing, *at, contrasting(*colour));
    }
    drawing
}

fn draw_outline(image: &mut Image, outline: Rect, thickness: i32, colour: [u8; 3]) {
    let Rect { left, top, right, bottom } = outline;
    // A small object stays visible inside its outline.
    let thickness = thickness.min(outline.width().min(outline.height()) / 8).max(1);
    fill(image, Rect { bottom: top + thickness, ..outline }, colour);
    fill(image, Rect { top: bottom - thickness, ..outline }, colour);
    fill(image, Rect { right: left + thickness, ..outline }, colour);
    fill(image, Rect { left: right - thickness, ..outline }, colour);
}

/// Fills the part of `area` that is inside the image.
fn fill(image: &mut Image, area: Rect, colour: [u8; 3]) {
    let area = area.clipped(Rect::new(0, 0, image.width() as i32, image.height() as i32));
    for y in area.top..area.bottom {
        for x in area.left..area.right {
            image.set_pixel(x as usize, y as usize, colour);
        }
    }
}

#[cfg(test)]
mod tests;
