//! Iterates over the segments of the first picture of a JPEG file (ITU-T T.81, annex B).

/// Start of image.
const SOI: u8 = 0xd8;
/// End of image.
pub(super) const EOI: u8 = 0xd9;
/// Start of scan.
pub(super) const SOS: u8 = 0xda;
/// Data of applications, such as EXIF.
pub(super) const APP1: u8 = 0xe1;
/// Definition of Huffman tables.
pub(super) const DHT: u8 = 0xc4;
/// Definition of the restart interval.
pub(super) const DRI: u8 = 0xdd;

/// Frame header of JPEG-LS (ITU-T T.87).
pub(super) const JPEG_LS: u8 = 0xf7;

/// A marker with the data that belongs to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    /// Second byte of the marker.
    pub(super) marker: u8,
    /// Parameters, without their length.
    pub(super) payload: &'a [u8],
    /// Entropy-coded data behind a start of scan, up to the next marker other than a restart.
    pub(super) entropy: &'a [u8],
}

impl Segment<'_> {
    /// Whether this is a frame header, of any coding process.
    pub(super) fn is_frame(&self) -> bool {
        is_frame_marker(self.marker) || self.marker == JPEG_LS
    }
}

/// Whether a marker starts a frame header, of any coding process.
pub(crate) fn is_frame_marker(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

/// The segments from the start of a file to the first end of image, which is included. Bytes behind it, such as a video,
/// another picture or a camera's data, are not read.
#[derive(Clone, Debug)]
pub(super) struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
    ended: bool,
}

impl<'a> Segments<'a> {
    /// Starts behind the start of image.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 2, ended: false }
    }

    /// Returns the position behind the last segment.
    pub(super) fn position(&self) -> usize {
        self.at.min(self.bytes.len())
    }

    /// Returns the second byte of the next marker; skips bytes that do not belong to a segment, as decoders do.
    fn marker(&mut self) -> Option<u8> {
        loop {
            self.at += self.bytes.get(self.at..)?.iter().position(|&byte| byte == 0xff)?;
            self.at += self.bytes[self.at..].iter().take_while(|&&byte| byte == 0xff).count();
            let marker = *self.bytes.get(self.at)?;
            self.at += 1;
            if !matches!(marker, 0x00 | 0x01 | 0xd0..=SOI) {
                return Some(marker);
            }
        }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    /// Returns the next segment; `None` behind the end of image, and where the file ends within a segment.
    fn next(&mut self) -> Option<Segment<'a>> {
        if self.ended {
            return None;
        }
        let marker = self.marker()?;
        if marker == EOI {
            self.ended = true;
            return Some(Segment { marker, payload: &[], entropy: &[] });
        }
        let rest = &self.bytes[self.at..];
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?)).max(2);
        let payload = rest.get(2..length)?;
        self.at += length;
        let entropy = if marker == SOS { entropy_coded(&self.bytes[self.at..]) } else { &[] };
        self.at += entropy.len();
        Some(Segment { marker, payload, entropy })
    }
}

/// Returns the entropy-coded data at the start of `bytes`: up to a marker that is neither a stuffed 255 nor a restart.
fn entropy_coded(bytes: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|&byte| byte == 0xff) {
        at += found;
        match bytes.get(at + 1) {
            None => break,
            Some(0x00 | 0x01 | 0xd0..=0xd7) => at += 2,
            // Fill bytes may precede a marker.
            Some(0xff) => at += 1,
            Some(_) => return &bytes[..at],
        }
    }
    bytes
}
