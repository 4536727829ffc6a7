//! The frame header of a JPEG file: size, coding process and sampling factors (ITU-T T.81, B.2.2).

use super::segments::{JPEG_LS, Segment};

/// A colour component of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Component {
    /// Identifier in scan headers.
    pub(super) id: u8,
    /// Horizontal and vertical sampling factor, 1 to 4.
    pub(super) sampling: [usize; 2],
}

/// A frame header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Second byte of the marker, which gives the coding process.
    pub(super) marker: u8,
    /// Columns in pixels.
    pub(super) width: usize,
    /// Rows in pixels; 0 if a later segment defines it.
    pub(super) height: usize,
    /// One to four components.
    pub(super) components: Vec<Component>,
    /// The largest horizontal and vertical sampling factor.
    pub(super) largest: [usize; 2],
}

impl Frame {
    /// Parses a frame header; `None` if it is invalid.
    pub(super) fn parse(segment: &Segment<'_>) -> Option<Self> {
        let (&[_, h1, h0, w1, w0, count], components) = segment.payload.split_first_chunk()?;
        let component = |&[id, sampling, _]: &[u8; 3]| {
            let sampling = [usize::from(sampling >> 4), usize::from(sampling & 15)];
            sampling.iter().all(|factor| (1..=4).contains(factor)).then_some(Component { id, sampling })
        };
        let components: Option<Vec<_>> =
            components.as_chunks().0.iter().take(count.into()).map(component).collect();
        let components = components.filter(|components| (1..=4).contains(&components.len()))?;
        if components.len() != usize::from(count) {
            return None;
        }
        let largest = |axis: usize| components.iter().map(|component| component.sampling[axis]).max();
        Some(Self {
            marker: segment.marker,
            width: u16::from_be_bytes([w1, w0]).into(),
            height: u16::from_be_bytes([h1, h0]).into(),
            largest: [largest(0)?, largest(1)?],
            components,
        })
    }

    /// Whether the coding process is sequential or progressive DCT with Huffman codes.
    pub(super) fn has_huffman_codes(&self) -> bool {
        matches!(self.marker, 0xc0..=0xc2)
    }

    /// Whether the coding process is progressive.
    pub(super) fn is_progressive(&self) -> bool {
        self.marker == 0xc2
    }

    /// Returns the coding process if no decoder here supports it.
    pub(super) fn unsupported_process(&self) -> Option<&'static str> {
        Some(match self.marker {
            0xc3 | 0xc7 | 0xcb | 0xcf => "lossless JPEG",
            0xc5 | 0xc6 | 0xcd | 0xce => "hierarchical JPEG",
            0xc9 | 0xca => "JPEG with arithmetic coding",
            JPEG_LS => "JPEG-LS",
            _ => return None,
        })
    }

    /// Columns and rows of MCUs of a scan with several components.
    pub(super) fn mcus(&self) -> [usize; 2] {
        [self.width.div_ceil(8 * self.largest[0]), self.height.div_ceil(8 * self.largest[1])]
    }

    /// Columns and rows of blocks of a scan with one component.
    pub(super) fn blocks(&self, component: &Component) -> [usize; 2] {
        [0, 1].map(|axis| {
            let extent = [self.width, self.height][axis];
            (extent * component.sampling[axis]).div_ceil(self.largest[axis]).div_ceil(8)
        })
    }

    /// Columns and rows of blocks of a component, filled up to whole MCUs.
    pub(super) fn padded_blocks(&self, component: &Component) -> [usize; 2] {
        let mcus = self.mcus();
        [mcus[0] * component.sampling[0], mcus[1] * component.sampling[1]]
    }
}
