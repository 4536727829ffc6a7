//! The items of a drawing: a box and its caption.

/// A box with a caption.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Label {
    /// `[x1, y1, x2, y2]` in pixels of the image.
    pub bbox: [f32; 4],
    /// The caption; an empty one is not drawn.
    pub text: String,
    /// The caption where no font has a glyph for a character of `text`.
    pub fallback: Option<String>,
    /// The colour of the box.
    pub colour: [u8; 3],
}

impl Label {
    /// A label without a fallback: a character that no font has is drawn as an empty rectangle.
    #[must_use]
    pub fn new(bbox: [f32; 4], text: impl Into<String>, colour: [u8; 3]) -> Self {
        Self { bbox, text: text.into(), fallback: None, colour }
    }

    /// Sets the caption for the case that no font has a glyph for a character of the text, such as `#12 0.87`.
    #[must_use]
    pub fn with_fallback(mut self, fallback: impl Into<String>) -> Self {
        self.fallback = Some(fallback.into());
        self
    }
}
