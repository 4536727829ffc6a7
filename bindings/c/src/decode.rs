//! Decoded images: entry points.

use std::ffi::c_char;

use picodet::{Input, Limits};

use crate::guard::call;
use crate::image::{DECODED, ImageView};
use crate::pointer::{Out, bytes, path};
use crate::status::{Failure, Status};

/// Decodes the `size` bytes of an image file: JPEG, PNG, WebP, BMP or GIF, turned upright by its EXIF orientation, at most
/// `max_pixels` (0: 100 million). The bytes are not needed afterwards. The image is closed by `picodet_image_free`.
///
/// Errors: PICODET_ERROR_IMAGE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn picodet_image_decode(
    data: *const u8,
    size: usize,
    max_pixels: u64,
    image: *mut ImageView,
) -> Status {
    call(|| {
        // SAFETY: the contract of the header for places of results and for bytes.
        let (out, bytes) =
            unsafe { (Out::new(image, ImageView::EMPTY, "image")?, bytes(data, size, "data")?) };
        out.write(open(Input::from(bytes), max_pixels)?);
        Ok(())
    })
}

/// Reads and decodes an image file, as `picodet_image_decode` does.
///
/// Errors: PICODET_ERROR_FILE, PICODET_ERROR_IMAGE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn picodet_image_open(
    file: *const c_char,
    max_pixels: u64,
    image: *mut ImageView,
) -> Status {
    call(|| {
        // SAFETY: the contract of the header for places of results and for texts.
        let (out, path) = unsafe { (Out::new(image, ImageView::EMPTY, "image")?, path(file, "file")?) };
        out.write(open(Input::from(path), max_pixels)?);
        Ok(())
    })
}

/// Closes a decoded image and sets its fields to 0. NULL and images without an owner are ignored.
///
/// Errors: PICODET_ERROR_HANDLE for a copy of an image that is closed already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn picodet_image_free(image: *mut ImageView) -> Status {
    call(|| {
        if image.is_null() {
            return Ok(());
        }
        // SAFETY: the contract of the header for structs.
        let owner = unsafe { crate::pointer::reference(image, "image") }?.owner;
        // SAFETY: as above; the struct may be written to.
        unsafe { Out::new(image, ImageView::EMPTY, "image") }?;
        DECODED.close(owner, "image.owner")
    })
}

fn open(input: Input<'_>, max_pixels: u64) -> Result<ImageView, Failure> {
    let limits = if max_pixels == 0 { Limits::default() } else { Limits::new(max_pixels) };
    Ok(ImageView::open(input.read_within(&limits)?.into_owned()))
}
