//! The sources from which a detector takes an image.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use picodet_image::{Image, Limits, Pixels, decode};

use crate::Error;

/// The largest image file that is read, in bytes.
const MAX_FILE: u64 = 1 << 30;

/// An image: a file, an encoded image in memory, or decoded pixels.
///
/// Functions take `impl Into<Input>`, so that paths (`&str`, `String`, `&Path`, `PathBuf`), bytes (`&[u8]`, `Vec<u8>`),
/// images (`&Image`, `Image`) and [`Pixels`] can be passed directly.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// The path of an image file.
    Path(Cow<'a, Path>),
    /// The bytes of an image file.
    Bytes(Cow<'a, [u8]>),
    /// A decoded image.
    Image(Cow<'a, Image>),
    /// Borrowed pixels, which [`Detector::detect`](crate::Detector::detect) reads in place.
    Pixels(Pixels<'a>),
}

impl<'a> Input<'a> {
    /// Reads and decodes the image, upright, within the default [`Limits`].
    ///
    /// # Errors
    /// [`Error::Read`] when the file cannot be read, [`Error::Decode`] or [`Error::DecodeFile`] when it is not an image.
    pub fn read(self) -> Result<Cow<'a, Image>, Error> {
        self.read_within(&Limits::default())
    }

    /// Reads and decodes the image, upright, within the given limits.
    ///
    /// # Errors
    /// As [`Input::read`].
    pub fn read_within(self, limits: &Limits) -> Result<Cow<'a, Image>, Error> {
        match self {
            Self::Image(image) => Ok(image),
            Self::Pixels(pixels) => Ok(Cow::Owned(pixels.to_image())),
            Self::Bytes(bytes) => Ok(Cow::Owned(decode(&bytes, limits)?)),
            Self::Path(path) => {
                let name = || path.display().to_string();
                let mut bytes = Vec::new();
                File::open(&path)
                    .and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes))
                    .map_err(|source| Error::Read { path: name(), source })?;
                let image = decode(&bytes, limits);
                Ok(Cow::Owned(image.map_err(|source| Error::DecodeFile { path: name(), source })?))
            }
        }
    }
}

impl<'a> From<&'a str> for Input<'a> {
    fn from(path: &'a str) -> Self {
        Self::Path(Cow::Borrowed(Path::new(path)))
    }
}

impl From<String> for Input<'_> {
    fn from(path: String) -> Self {
        Self::Path(Cow::Owned(path.into()))
    }
}

impl<'a> From<&'a String> for Input<'a> {
    fn from(path: &'a String) -> Self {
        path.as_str().into()
    }
}

impl<'a> From<&'a Path> for Input<'a> {
    fn from(path: &'a Path) -> Self {
        Self::Path(Cow::Borrowed(path))
    }
}

impl From<PathBuf> for Input<'_> {
    fn from(path: PathBuf) -> Self {
        Self::Path(Cow::Owned(path))
    }
}

impl<'a> From<&'a PathBuf> for Input<'a> {
    fn from(path: &'a PathBuf) -> Self {
        path.as_path().into()
    }
}

impl<'a> From<&'a [u8]> for Input<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Input<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl From<Vec<u8>> for Input<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Cow::Owned(bytes))
    }
}

impl<'a> From<&'a Vec<u8>> for Input<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        bytes.as_slice().into()
    }
}

impl<'a> From<&'a Image> for Input<'a> {
    fn from(image: &'a Image) -> Self {
        Self::Image(Cow::Borrowed(image))
    }
}

impl From<Image> for Input<'_> {
    fn from(image: Image) -> Self {
        Self::Image(Cow::Owned(image))
    }
}

impl<'a> From<Pixels<'a>> for Input<'a> {
    fn from(pixels: Pixels<'a>) -> Self {
        Self::Pixels(pixels)
    }
}
