//! Boxes and labels drawn into a picture.

use font8x8::UnicodeFonts;

use crate::Image;

/// A box with what is written at it.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// `[x1, y1, x2, y2]` in pixels of the picture.
    pub bbox: [f32; 4],
    /// What is written; characters that the built-in font lacks become `?`.
    pub text: String,
    /// The colour of the box.
    pub colour: [u8; 3],
}

/// Side of a letter of the built-in font before scaling.
const LETTER: usize = 8;

/// A colour for a class that neighbours in number do not share: hues a golden angle apart.
pub fn class_colour(class: usize) -> [u8; 3] {
    let hue = (class as f32 * 137.508) % 360.0 / 60.0;
    let (value, chroma) = (0.92, 0.78);
    let second = chroma * (1.0 - (hue % 2.0 - 1.0).abs());
    let (r, g, b) = match hue as usize {
        0 => (chroma, second, 0.0),
        1 => (second, chroma, 0.0),
        2 => (0.0, chroma, second),
        3 => (0.0, second, chroma),
        4 => (second, 0.0, chroma),
        _ => (chroma, 0.0, second),
    };
    [r, g, b].map(|part| ((part + value - chroma) * 255.0) as u8)
}

/// A copy of the picture with the boxes drawn in; lines and letters grow with the picture.
pub fn draw(image: &Image, labels: &[Label]) -> Image {
    let mut drawing = image.clone();
    let side = image.width().min(image.height());
    let thickness = (side / 200).clamp(1, 12);
    let scale = (side / 480).clamp(1, 8);
    for label in labels {
        outline(&mut drawing, label, thickness);
    }
    for label in labels {
        caption(&mut drawing, label, thickness, scale);
    }
    drawing
}

/// A coordinate as a pixel inside the picture.
fn inside(value: f32, extent: usize) -> usize {
    if value.is_finite() { (value.round().max(0.0) as usize).min(extent - 1) } else { 0 }
}

fn outline(image: &mut Image, label: &Label, thickness: usize) {
    let (width, height) = (image.width(), image.height());
    let [x1, y1, x2, y2] = label.bbox;
    let (left, right) = (inside(x1, width), inside(x2, width));
    let (top, bottom) = (inside(y1, height), inside(y2, height));
    if left > right || top > bottom {
        return;
    }
    let across = thickness.min(right - left + 1);
    let down = thickness.min(bottom - top + 1);
    fill(image, (left, top), (right + 1, top + down), label.colour);
    fill(image, (left, bottom + 1 - down), (right + 1, bottom + 1), label.colour);
    fill(image, (left, top), (left + across, bottom + 1), label.colour);
    fill(image, (right + 1 - across, top), (right + 1, bottom + 1), label.colour);
}

fn fill(image: &mut Image, from: (usize, usize), to: (usize, usize), colour: [u8; 3]) {
    for y in from.1..to.1.min(image.height()) {
        for x in from.0..to.0.min(image.width()) {
            image.set_pixel(x, y, colour);
        }
    }
}

/// The text on a bar of the box's colour: above the box where there is room, inside it otherwise.
fn caption(image: &mut Image, label: &Label, thickness: usize, scale: usize) {
    let letters: Vec<char> = label.text.chars().collect();
    if letters.is_empty() {
        return;
    }
    let (margin, size) = (scale, LETTER * scale);
    let (bar_width, bar_height) = (letters.len() * size + 2 * margin, size + 2 * margin);
    let box_left = inside(label.bbox[0], image.width());
    let left = box_left.min(image.width().saturating_sub(bar_width));
    let box_top = inside(label.bbox[1], image.height());
    let top =
        if box_top >= bar_height { box_top - bar_height } else { (box_top + thickness).min(image.height()) };
    fill(image, (left, top), (left + bar_width, top + bar_height), label.colour);
    let [r, g, b] = label.colour.map(u32::from);
    let bright = 299 * r + 587 * g + 114 * b > 140_000;
    let ink = if bright { [16, 16, 16] } else { [255, 255, 255] };
    for (index, letter) in letters.into_iter().enumerate() {
        let fonts = [
            font8x8::BASIC_FONTS.get(letter),
            font8x8::LATIN_FONTS.get(letter),
            font8x8::BASIC_FONTS.get('?'),
        ];
        let glyph = fonts.into_iter().flatten().next().unwrap_or_default();
        for (row, bits) in glyph.into_iter().enumerate() {
            for column in (0..LETTER).filter(|column| bits >> column & 1 == 1) {
                let x = left + margin + index * size + column * scale;
                let y = top + margin + row * scale;
                fill(image, (x, y), (x + scale, y + scale), ink);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_that_leave_the_picture_or_are_no_boxes_do_no_harm() {
        let image = Image::filled(20, 10, [0; 3]);
        for bbox in [[-5.0, -5.0, 100.0, 100.0], [f32::NAN; 4], [15.0, 8.0, 2.0, 1.0], [f32::INFINITY; 4]] {
            let drawn = draw(&image, &[Label { bbox, text: "超 label".to_owned(), colour: [255, 0, 0] }]);
            assert_eq!((drawn.width(), drawn.height()), (20, 10));
        }
    }

    #[test]
    fn an_outline_lies_on_the_box() {
        let image = Image::filled(40, 40, [0; 3]);
        let label = Label { bbox: [5.0, 6.0, 30.0, 31.0], text: String::new(), colour: [9, 8, 7] };
        let drawn = draw(&image, &[label]);
        assert_eq!(drawn.pixel(5, 20), [9, 8, 7]);
        assert_eq!(drawn.pixel(30, 20), [9, 8, 7]);
        assert_eq!(drawn.pixel(17, 6), [9, 8, 7]);
        assert_eq!(drawn.pixel(17, 20), [0; 3]);
    }
}
