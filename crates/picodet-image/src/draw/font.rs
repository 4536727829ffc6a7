//! Chooses a font for each character of a caption.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use super::font_file::{FontError, FontFile};
use super::system_fonts::SystemFonts;

/// Roboto Medium, reduced to the characters of European languages; see `font/subset.py`.
static EMBEDDED: LazyLock<Arc<FontFile>> =
    LazyLock::new(|| Arc::new(FontFile::embedded(include_bytes!("../../font/captions.ttf"))));

/// The fonts of the system, searched at most once per process.
static SYSTEM: LazyLock<Arc<SystemFonts>> = LazyLock::new(|| Arc::new(SystemFonts::installed()));

/// The fonts of captions. Each character is drawn in the first font that has it: the given files, the embedded font
/// (Latin, Greek and Cyrillic letters), then system fonts with Chinese, Japanese and Korean characters.
///
/// Text is drawn from left to right without shaping: Arabic, Indic and similar scripts are not joined.
#[derive(Clone, Debug)]
pub struct Fonts {
    given: Vec<Arc<FontFile>>,
    system: Option<Arc<SystemFonts>>,
}

impl Default for Fonts {
    /// The embedded font and those of the system.
    fn default() -> Self {
        Self { given: Vec::new(), system: Some(Arc::clone(&SYSTEM)) }
    }
}

impl Fonts {
    /// The embedded font only: captions look the same on every machine.
    #[must_use]
    pub fn embedded() -> Self {
        Self { given: Vec::new(), system: None }
    }

    /// Adds a font file (.ttf, .otf, or the first face of a .ttc), which takes precedence over the embedded font.
    ///
    /// # Errors
    /// When the file cannot be read or is not a font.
    pub fn with_file(mut self, path: impl AsRef<Path>) -> Result<Self, FontError> {
        self.given.push(Arc::new(FontFile::read(path.as_ref(), 0)?));
        Ok(self)
    }

    /// Returns the first character of `text` that no font has, to warn about once.
    #[must_use]
    pub fn missing(&self, text: &str) -> Option<char> {
        text.chars().map(visible).find(|&c| !is_ignored(c) && self.font_of(c).is_none())
    }

    /// The first font with a glyph for `character`.
    pub(super) fn font_of(&self, character: char) -> Option<Arc<FontFile>> {
        let mut in_memory = self.given.iter().chain([&*EMBEDDED]);
        match in_memory.find(|font| font.has(character)) {
            Some(font) => Some(Arc::clone(font)),
            None => self.system.as_ref()?.font_of(character),
        }
    }

    /// The embedded font, whose glyph 0 stands for characters that no font has.
    pub(super) fn last_resort() -> Arc<FontFile> {
        Arc::clone(&EMBEDDED)
    }

    #[cfg(test)]
    pub(super) fn with_system_folders(folders: &[std::path::PathBuf]) -> Self {
        Self { given: Vec::new(), system: Some(Arc::new(SystemFonts::in_folders(folders))) }
    }
}

/// Control characters, among them line breaks, are drawn as spaces.
pub(super) fn visible(character: char) -> char {
    if character.is_control() { ' ' } else { character }
}

/// Whether a character is invisible: joiners, direction marks, variation selectors.
pub(super) fn is_ignored(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}
