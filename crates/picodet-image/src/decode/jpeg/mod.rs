//! The structure of a JPEG file, independent of its pixels: frame header, end of the picture, completeness.

mod bits;
mod completeness;
mod frame;
mod segments;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub(super) mod shrunk;
mod standard_tables;

use image::metadata::Orientation;

use self::completeness::{Received, missing_part};
use self::frame::Frame;
use self::segments::{APP1, EOI, SOS, Segments};
pub(super) use self::standard_tables::with_tables;
use super::{Missing, orientation};

/// The first picture of a JPEG file, as its segments describe it.
#[derive(Debug)]
pub(super) struct Outline {
    /// The frame header, if it is valid.
    frame: Option<Frame>,
    /// Whether there is an end of image.
    ended: bool,
    /// Whether the scan headers announce every coefficient once.
    regular: bool,
    /// Position behind the last segment.
    end: usize,
    /// The orientation that the first EXIF segment with one states.
    orientation: Option<Orientation>,
}

impl Outline {
    /// Reads the segments of the first picture.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut segments = Segments::new(bytes);
        let mut outline = Self { frame: None, ended: false, regular: true, end: 0, orientation: None };
        let mut received = Received::default();
        for segment in segments.by_ref() {
            match segment.marker {
                EOI => outline.ended = true,
                APP1 => {
                    let stated = || orientation::of_segment(segment.payload);
                    outline.orientation = outline.orientation.or_else(stated);
                }
                SOS => {
                    let frame = outline.frame.as_ref();
                    outline.regular &= frame.is_some_and(|frame| received.add(segment.payload, frame));
                }
                _ if segment.is_frame() && outline.frame.is_none() => outline.frame = Frame::parse(&segment),
                _ => {}
            }
        }
        outline.regular &= outline.frame.as_ref().is_some_and(|frame| received.is_complete(frame));
        outline.end = segments.position();
        outline
    }

    /// Returns the orientation that the file states.
    pub(super) fn orientation(&self) -> Option<Orientation> {
        self.orientation
    }

    /// Returns the coding process if it is not supported.
    pub(super) fn unsupported_process(&self) -> Option<&'static str> {
        self.frame.as_ref().and_then(Frame::unsupported_process)
    }

    /// Whether the file ends before its picture does, or describes it in an unusual way, so that its data must be read to
    /// determine whether the picture is complete.
    pub(super) fn is_suspicious(&self) -> bool {
        !(self.ended && self.regular)
    }

    /// Returns the columns of an MCU in pixels.
    pub(super) fn mcu_width(&self) -> usize {
        self.frame.as_ref().map_or(8, |frame| 8 * frame.largest[0])
    }

    /// Whether an end of image is missing.
    pub(super) fn is_unterminated(&self) -> bool {
        !self.ended
    }

    /// Returns the missing part of the picture; `None` if it is complete.
    pub(super) fn missing_part(&self, bytes: &[u8]) -> Option<Missing> {
        let bytes = if self.ended { &bytes[..self.end] } else { without_zeros(bytes) };
        missing_part(bytes, self.ended)
    }

    /// Returns the missing part of a picture whose header a decoder refuses; `None` if the file does not end early.
    pub(super) fn missing_header(&self) -> Option<Missing> {
        let rows = |frame: &Frame| Missing::Rows { first: 0, count: frame.height };
        (!self.ended).then(|| self.frame.as_ref().map_or(Missing::Unknown, rows))
    }

    /// Returns the memory that a decoder needs for the coefficients of a progressive frame, in bytes; 0 for other frames.
    pub(super) fn coefficient_bytes(&self) -> u64 {
        let Some(frame) = self.frame.as_ref().filter(|frame| frame.is_progressive()) else { return 0 };
        let blocks = |component| frame.padded_blocks(component).iter().product::<usize>() as u64;
        frame.components.iter().map(blocks).sum::<u64>() * 128
    }
}

/// Returns the bytes without the zeros at their end, with which an interrupted copy fills its file. A few zeros may be data.
fn without_zeros(bytes: &[u8]) -> &[u8] {
    const DATA: usize = 64;
    let zeros = bytes.iter().rev().take_while(|&&byte| byte == 0).count();
    if zeros > DATA { &bytes[..bytes.len() - zeros] } else { bytes }
}
