//! Reads glyph outlines from the bytes of a font file.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use ab_glyph_rasterizer::{Point, Rasterizer, point};
use ttf_parser::{Face, GlyphId, OutlineBuilder};

/// Largest font file that is read, in bytes.
const MAX_BYTES: u64 = 128 << 20;

/// The reasons why a font file is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FontError {
    /// The file cannot be read.
    #[error("cannot read the font file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The underlying I/O error.
        source: io::Error,
    },
    /// The file is not a font with outlines.
    #[error("{} is not a TrueType or OpenType font; give a .ttf, .otf or .ttc file", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
    },
}

/// A font file in memory.
#[derive(Debug)]
pub(super) struct FontFile {
    bytes: Cow<'static, [u8]>,
    /// Which face of a collection (.ttc); 0 for other files.
    face: u32,
    /// The parsed face of an embedded font.
    parsed: Option<Face<'static>>,
}

impl FontFile {
    pub(super) fn embedded(bytes: &'static [u8]) -> Self {
        Self { bytes: Cow::Borrowed(bytes), face: 0, parsed: Face::parse(bytes, 0).ok() }
    }

    /// Reads a font file.
    ///
    /// # Errors
    /// When the file cannot be read, is larger than 128 MiB, or is not a font.
    pub(super) fn read(path: &Path, face: u32) -> Result<Self, FontError> {
        let read = |source| FontError::Read { path: path.to_owned(), source };
        let length = std::fs::metadata(path).map_err(read)?.len();
        if length > MAX_BYTES {
            let problem = format!("{length} bytes are more than the limit of {MAX_BYTES} for fonts");
            return Err(read(io::Error::new(io::ErrorKind::FileTooLarge, problem)));
        }
        let font = Self { bytes: std::fs::read(path).map_err(read)?.into(), face, parsed: None };
        if font.face().is_none() {
            return Err(FontError::Invalid { path: path.to_owned() });
        }
        Ok(font)
    }

    /// The face; parses the table directory, unless the font is embedded. Glyphs are read on access.
    pub(super) fn face(&self) -> Option<Face<'_>> {
        self.parsed.clone().or_else(|| Face::parse(&self.bytes, self.face).ok())
    }

    /// Whether the font maps `character` to a glyph.
    pub(super) fn has(&self, character: char) -> bool {
        self.face().and_then(|face| face.glyph_index(character)).is_some()
    }
}

/// The advance width of a glyph at `em` pixels.
pub(super) fn advance(face: &Face<'_>, glyph: GlyphId, em: f32) -> f32 {
    f32::from(face.glyph_hor_advance(glyph).unwrap_or(0)) * em / f32::from(face.units_per_em())
}

/// Calls `pixel(x, y, coverage)` for each covered pixel of a glyph at `em` pixels, whose origin is at
/// (`x`, `baseline`).
pub(super) fn rasterise(
    face: &Face<'_>,
    glyph: GlyphId,
    em: f32,
    (x, baseline): (f32, f32),
    mut pixel: impl FnMut(i32, i32, f32),
) {
    let Some(bounds) = face.glyph_bounding_box(glyph) else { return };
    let scale = em / f32::from(face.units_per_em());
    let left = (x + f32::from(bounds.x_min) * scale).floor() - 1.0;
    let top = (baseline - f32::from(bounds.y_max) * scale).floor() - 1.0;
    let width = (x + f32::from(bounds.x_max) * scale - left).ceil() + 1.0;
    let height = (baseline - f32::from(bounds.y_min) * scale - top).ceil() + 1.0;
    // A broken font may claim glyphs of any size.
    if !(width <= 8.0 * em + 8.0 && height <= 8.0 * em + 8.0) {
        return;
    }
    let mut outline = Outline {
        rasteriser: Rasterizer::new(width as usize, height as usize),
        scale,
        origin: point(x - left, baseline - top),
        limit: point(width, height),
        start: point(0.0, 0.0),
        last: point(0.0, 0.0),
    };
    face.outline_glyph(glyph, &mut outline);
    outline.rasteriser.for_each_pixel_2d(|dx, dy, coverage| {
        if coverage > 0.0 {
            pixel(left as i32 + dx as i32, top as i32 + dy as i32, coverage.min(1.0));
        }
    });
}

/// Passes an outline in font units to the rasteriser in pixels.
struct Outline {
    rasteriser: Rasterizer,
    scale: f32,
    /// Position of the glyph's origin in the raster.
    origin: Point,
    /// Extent of the raster.
    limit: Point,
    start: Point,
    last: Point,
}

impl Outline {
    /// A point in pixels, clamped into the raster: a broken font may leave its own bounding box.
    fn pixel(&self, x: f32, y: f32) -> Point {
        point(
            (self.origin.x + x * self.scale).clamp(0.0, self.limit.x),
            (self.origin.y - y * self.scale).clamp(0.0, self.limit.y),
        )
    }
}

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        self.start = self.pixel(x, y);
        self.last = self.start;
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let to = self.pixel(x, y);
        self.rasteriser.draw_line(self.last, to);
        self.last = to;
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let to = self.pixel(x, y);
        self.rasteriser.draw_quad(self.last, self.pixel(x1, y1), to);
        self.last = to;
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let to = self.pixel(x, y);
        self.rasteriser.draw_cubic(self.last, self.pixel(x1, y1), self.pixel(x2, y2), to);
        self.last = to;
    }

    fn close(&mut self) {
        self.rasteriser.draw_line(self.last, self.start);
        self.last = self.start;
    }
}
