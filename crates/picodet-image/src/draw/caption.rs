//! Lays out and draws one line of text.

use std::sync::Arc;

use ttf_parser::GlyphId;

use super::font::{Fonts, is_ignored, visible};
use super::font_file::{FontFile, advance, rasterise};
use super::label::Label;
use super::rect::Rect;
use crate::Image;

/// Smallest text size in pixels that a caption is shrunk to where the image is too narrow for it.
const SMALLEST_EM: f32 = 8.0;
/// Height of the baseline above the lower edge, in em.
const DESCENT: f32 = 0.27;
/// Height of a caption, in em.
const HEIGHT: f32 = 1.24;
/// Space left and right of the text, in em.
const MARGIN: f32 = 0.22;

/// One line of text with the glyphs chosen.
pub(super) struct Caption {
    glyphs: Vec<Glyph>,
    em: f32,
    /// Width of the text without margins, in pixels.
    width: f32,
}

struct Glyph {
    font: Arc<FontFile>,
    id: GlyphId,
    /// Advance width in em.
    advance: f32,
}

impl Caption {
    /// Lays out a label's text, or its fallback where no font has one of the characters.
    ///
    /// Text that is wider than the image is shrunk, and where that is not enough it ends in `…`.
    /// `None` without text, or where not even that fits.
    pub(super) fn new(fonts: &Fonts, label: &Label, em: f32, bounds: Rect) -> Option<Self> {
        let text = match &label.fallback {
            Some(fallback) if fonts.missing(&label.text).is_some() => fallback,
            _ => &label.text,
        };
        let mut glyphs: Vec<Glyph> = text
            .chars()
            .map(visible)
            .filter(|&c| !is_ignored(c))
            .filter_map(|character| Glyph::of(fonts, character))
            .collect();
        if glyphs.is_empty() {
            return None;
        }
        let total = |glyphs: &[Glyph]| glyphs.iter().map(|glyph| glyph.advance).sum::<f32>();
        let (width, height) = (bounds.width() as f32, bounds.height() as f32);
        // Margins and the sum are rounded up to whole pixels.
        let em = em.min((width - 3.0) / (total(&glyphs) + 2.0 * MARGIN)).max(SMALLEST_EM).min(em);
        let room = width - 2.0 * (MARGIN * em).ceil();
        if total(&glyphs) * em > room {
            let ellipsis = Glyph::of(fonts, '…')?;
            while !glyphs.is_empty() && (total(&glyphs) + ellipsis.advance) * em > room {
                glyphs.pop();
            }
            if glyphs.is_empty() {
                return None;
            }
            glyphs.push(ellipsis);
        }
        let caption = Self { width: total(&glyphs) * em, glyphs, em };
        (caption.size().1 as f32 <= height).then_some(caption)
    }

    /// Width and height in pixels, with margins.
    pub(super) fn size(&self) -> (i32, i32) {
        let margin = (MARGIN * self.em).ceil();
        ((self.width + 2.0 * margin).ceil() as i32, (HEIGHT * self.em).round() as i32)
    }

    /// Draws the text into the rectangle `at`, which has the caption's size.
    pub(super) fn draw(&self, image: &mut Image, at: Rect, ink: [u8; 3]) {
        let baseline = (at.bottom as f32 - DESCENT * self.em).round();
        let mut x = at.left as f32 + (MARGIN * self.em).ceil();
        // Each run of glyphs of one font parses it once.
        for run in self.glyphs.chunk_by(|a, b| Arc::ptr_eq(&a.font, &b.font)) {
            let Some(face) = run[0].font.face() else { continue };
            for glyph in run {
                rasterise(&face, glyph.id, self.em, (x, baseline), |column, row, coverage| {
                    if column >= at.left && column < at.right && row >= at.top && row < at.bottom {
                        blend(image, (column as usize, row as usize), ink, coverage);
                    }
                });
                x += glyph.advance * self.em;
            }
        }
    }
}

impl Glyph {
    fn of(fonts: &Fonts, character: char) -> Option<Self> {
        let font = fonts.font_of(character).unwrap_or_else(Fonts::last_resort);
        let face = font.face()?;
        let id = face.glyph_index(character).unwrap_or_default();
        let advance = advance(&face, id, 1.0);
        Some(Self { font, id, advance })
    }
}

/// Mixes `ink` into a pixel by its coverage, 0 to 1.
fn blend(image: &mut Image, (x, y): (usize, usize), ink: [u8; 3], coverage: f32) {
    let below = image.pixel(x, y);
    let mixed = std::array::from_fn(|channel| {
        let (from, to) = (f32::from(below[channel]), f32::from(ink[channel]));
        (from + (to - from) * coverage).round() as u8
    });
    image.set_pixel(x, y, mixed);
}
