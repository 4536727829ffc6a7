//! Finds the EXIF orientation of a file, and turns pictures by it.

use image::RgbImage;
use image::imageops::{
    flip_horizontal_in_place, flip_vertical_in_place, rotate90, rotate180_in_place, rotate270,
};
use image::metadata::Orientation;

/// Starts the EXIF data of a JPEG segment; some encoders write it in PNG files too.
const EXIF: &[u8] = b"Exif\0\0";

/// Returns the orientation that EXIF data states. Broken data does not make the pixels useless.
pub(super) fn of_exif(data: &[u8]) -> Option<Orientation> {
    Orientation::from_exif_chunk(data.strip_prefix(EXIF).unwrap_or(data))
}

/// Returns the orientation that the payload of a JPEG segment for applications states.
pub(super) fn of_segment(payload: &[u8]) -> Option<Orientation> {
    payload.strip_prefix(EXIF).and_then(of_exif)
}

/// Whether width and height are exchanged.
pub(super) fn is_turned(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// Turns a picture upright.
pub(super) fn upright(mut picture: RgbImage, orientation: Orientation) -> RgbImage {
    match orientation {
        Orientation::NoTransforms | Orientation::FlipHorizontal => {}
        Orientation::Rotate180 => rotate180_in_place(&mut picture),
        Orientation::FlipVertical => flip_vertical_in_place(&mut picture),
        Orientation::Rotate90 | Orientation::Rotate90FlipH => picture = rotate90(&picture),
        Orientation::Rotate270 | Orientation::Rotate270FlipH => picture = rotate270(&picture),
    }
    if matches!(
        orientation,
        Orientation::FlipHorizontal | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    ) {
        flip_horizontal_in_place(&mut picture);
    }
    picture
}
