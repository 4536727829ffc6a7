//! Images: pixels of the caller, and pixels decoded here.

use std::ptr::null;
use std::sync::Arc;

use picodet::{Image, Packed, Pixels, Plane, RawImage, RawPixels, Rotation, YuvRange};

use crate::handle::Table;
use crate::pointer::bytes;
use crate::status::Failure;

/// Red, green, blue.
pub const PICODET_FORMAT_RGB: i32 = 0;
/// Blue, green, red, as OpenCV has it.
pub const PICODET_FORMAT_BGR: i32 = 1;
/// Red, green, blue, alpha; alpha is ignored.
pub const PICODET_FORMAT_RGBA: i32 = 2;
/// Blue, green, red, alpha; alpha is ignored.
pub const PICODET_FORMAT_BGRA: i32 = 3;
/// One byte of grey per pixel.
pub const PICODET_FORMAT_GREY: i32 = 4;
/// YUV 4:2:2, of most webcams: luma, U, luma, V for each two pixels of a row.
pub const PICODET_FORMAT_YUYV: i32 = 5;
/// YUV 4:2:0: luma, then one plane in which U and V alternate.
pub const PICODET_FORMAT_NV12: i32 = 6;
/// YUV 4:2:0: luma, then one plane in which V and U alternate.
pub const PICODET_FORMAT_NV21: i32 = 7;
/// YUV 4:2:0: luma, then a plane of U, then a plane of V.
pub const PICODET_FORMAT_I420: i32 = 8;

/// Luma from 16 to 235, chroma from 16 to 240: video and most cameras.
pub const PICODET_RANGE_LIMITED: i32 = 0;
/// Luma and chroma from 0 to 255: JPEG and some cameras.
pub const PICODET_RANGE_FULL: i32 = 1;

/// Pixels that `picodet_image_decode` or `picodet_image_open` has decoded.
#[derive(Debug)]
pub struct Decoded {
    _private: (),
}

/// Upright pixels.
pub(crate) enum Upright<'a> {
    /// Those of a decoded image.
    Decoded(Arc<Image>),
    /// Those of the caller, in place.
    Borrowed(Pixels<'a>),
    /// Those of the caller, converted.
    Converted(Image),
}

impl Upright<'_> {
    /// Returns the pixels.
    pub(crate) fn pixels(&self) -> Pixels<'_> {
        match self {
            Self::Decoded(image) => Pixels::from(&**image),
            Self::Borrowed(pixels) => *pixels,
            Self::Converted(image) => Pixels::from(image),
        }
    }
}

/// The decoded images whose handles are open.
pub(crate) static DECODED: Table<Image> = Table::new(3);

/// An image: pixels in memory of the caller, or pixels that `picodet_image_decode` or `picodet_image_open` has decoded.
///
/// Set all fields to 0 first, then those that are needed. Width and height are those in memory, before the rotation. YUV is
/// converted by BT.601.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ImageView {
    /// The first byte of the first row.
    pub data: *const u8,
    /// Number of bytes at `data`, against which sizes and strides are checked; 0: the caller has checked them.
    pub size: usize,
    /// Columns, 1 to 65,535.
    pub width: u32,
    /// Rows, 1 to 65,535.
    pub height: u32,
    /// Bytes from row to row; 0: rows follow each other without a gap.
    pub stride: usize,
    /// One of PICODET_FORMAT_.
    pub format: i32,
    /// The clockwise rotation in degrees that turns the image upright: 0, 90, 180 or 270. Boxes are in pixels of the upright
    /// image.
    pub orientation: i32,
    /// One of PICODET_RANGE_, for YUV formats.
    pub range: i32,
    /// Must be 0.
    pub reserved: u32,
    /// NV12, NV21: the plane of chroma and NULL. I420: the planes of U and V. NULL: the planes follow each other at `data`.
    pub chroma: [*const u8; 2],
    /// Number of bytes at each pointer of `chroma`; 0: the caller has checked them.
    pub chroma_size: usize,
    /// Bytes from row to row of a plane of chroma; 0 for the value that follows from `stride`.
    pub chroma_stride: usize,
    /// Pixels that the library has decoded, NULL for those of the caller.
    pub owner: *const Decoded,
}

impl ImageView {
    /// The image without pixels.
    pub(crate) const EMPTY: Self = Self {
        data: null(),
        size: 0,
        width: 0,
        height: 0,
        stride: 0,
        format: PICODET_FORMAT_RGB,
        orientation: 0,
        range: PICODET_RANGE_LIMITED,
        reserved: 0,
        chroma: [null(); 2],
        chroma_size: 0,
        chroma_stride: 0,
        owner: null(),
    };

    /// Returns the view of a decoded image, without its handle.
    fn of(image: &Image) -> Self {
        Self {
            data: image.data().as_ptr(),
            size: image.data().len(),
            // A decoder reads sides of at most 32 bits.
            width: image.width() as u32,
            height: image.height() as u32,
            stride: image.width() * 3,
            ..Self::EMPTY
        }
    }

    /// Keeps a decoded image and returns its view.
    pub(crate) fn open(image: Image) -> Self {
        let view = Self::of(&image);
        // The pixels are on the heap and do not move with the image.
        Self { owner: DECODED.open(image), ..view }
    }

    /// Returns the upright pixels.
    ///
    /// # Safety
    /// `data` and `chroma` point to the planes that the other fields describe, which are not written to during the call.
    pub(crate) unsafe fn upright(&self) -> Result<Upright<'_>, Failure> {
        if !self.owner.is_null() {
            let image = DECODED.get(self.owner, "image.owner")?;
            // A part of the image, or the image turned, is a view like any other.
            if self.is_whole(&image) {
                return Ok(Upright::Decoded(image));
            }
        }
        // SAFETY: by this function's contract.
        let raw = unsafe { self.raw() }?;
        Ok(match raw.as_pixels() {
            Some(pixels) => Upright::Borrowed(pixels),
            None => Upright::Converted(raw.to_image()?),
        })
    }

    fn is_whole(&self, image: &Image) -> bool {
        let whole = Self::of(image);
        let fields = |view: &Self| (view.data, view.width, view.height, view.format, view.orientation);
        let stride = if self.stride == 0 { whole.stride } else { self.stride };
        fields(self) == fields(&whole) && stride == whole.stride
    }

    /// # Safety
    /// As [`ImageView::upright`].
    unsafe fn raw(&self) -> Result<RawImage<'_>, Failure> {
        let rotation = Rotation::from_degrees(self.orientation).ok_or_else(|| Failure::Value {
            name: "image.orientation",
            value: self.orientation.to_string(),
            expected: "0, 90, 180 or 270",
        })?;
        let range = match self.range {
            PICODET_RANGE_LIMITED => YuvRange::Limited,
            PICODET_RANGE_FULL => YuvRange::Full,
            other => return Err(value("image.range", other, "one of PICODET_RANGE_")),
        };
        if self.reserved != 0 {
            return Err(value("image.reserved", self.reserved, "0"));
        }
        let (width, height) = (self.width as usize, self.height as usize);
        let is_side = |side: usize| (1..=65_535).contains(&side);
        if !is_side(width) || !is_side(height) {
            let size = format!("{width} x {height}");
            return Err(value("image.width x height", size, "sides from 1 to 65535"));
        }
        let packed = match self.format {
            PICODET_FORMAT_RGB => Packed::Rgb,
            PICODET_FORMAT_BGR => Packed::Bgr,
            PICODET_FORMAT_RGBA => Packed::Rgba,
            PICODET_FORMAT_BGRA => Packed::Bgra,
            PICODET_FORMAT_GREY => Packed::Grey,
            PICODET_FORMAT_YUYV => Packed::Yuyv,
            PICODET_FORMAT_NV12 | PICODET_FORMAT_NV21 | PICODET_FORMAT_I420 => {
                // SAFETY: by this function's contract.
                let pixels = unsafe { self.yuv_420(width, height) }?;
                return Ok(RawImage::new(width, height, pixels).with_rotation(rotation).with_range(range));
            }
            other => return Err(value("image.format", other, "one of PICODET_FORMAT_")),
        };
        let row = packed.row_bytes(width);
        let stride = if self.stride == 0 { row } else { self.stride };
        let size = needed("image.stride", stride, row, height, self.size)?;
        // SAFETY: `data` has `size` bytes by this function's contract.
        let data = unsafe { bytes(self.data, size, "image.data") }?;
        let pixels = RawPixels::Packed(packed, Plane::new(data, stride));
        Ok(RawImage::new(width, height, pixels).with_rotation(rotation).with_range(range))
    }

    /// Returns the planes of YUV 4:2:0.
    ///
    /// # Safety
    /// As [`ImageView::upright`].
    unsafe fn yuv_420(&self, width: usize, height: usize) -> Result<RawPixels<'_>, Failure> {
        let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
        let is_planar = self.format == PICODET_FORMAT_I420;
        let row = if is_planar { columns } else { 2 * columns };
        let stride = if self.stride == 0 { width } else { self.stride };
        let chroma_stride = match (self.chroma_stride, self.stride) {
            (0, 0) => row,
            (0, stride) if is_planar => stride.div_ceil(2),
            (0, stride) => stride,
            (given, _) => given,
        };
        let chroma_size = needed("image.chroma_stride", chroma_stride, row, rows, self.chroma_size)?;
        let follows = self.chroma[0].is_null();
        if !self.chroma[1].is_null() && (follows || !is_planar) {
            let expected = "NULL: only I420 with separate planes has it";
            return Err(value("image.chroma[1]", "set", expected));
        }
        let luma_size = needed("image.stride", stride, width, height, if follows { 0 } else { self.size })?;
        let (luma, first, second) = if follows {
            // All planes are at `data`; each begins after the whole rows of the one before.
            let plane = |stride: usize, rows: usize| stride.checked_mul(rows);
            let sizes = plane(stride, height).zip(plane(chroma_stride, rows));
            let offsets = sizes.and_then(|(luma, chroma)| Some((luma, luma.checked_add(chroma)?)));
            let end = offsets.and_then(|(first, second)| {
                (if is_planar { second } else { first }).checked_add(row + (rows - 1) * chroma_stride)
            });
            let (Some((first, second)), Some(end)) = (offsets, end) else {
                return Err(value("image.stride", stride, "rows that fit in memory"));
            };
            let size = if self.size == 0 { end } else { self.size };
            if size < end {
                return Err(value("image.size", size, "the bytes of all planes"));
            }
            // SAFETY: `data` has `size` bytes by this function's contract.
            let all = unsafe { bytes(self.data, size, "image.data") }?;
            let second = if is_planar { &all[second..] } else { &all[first..] };
            (all, &all[first..], second)
        } else {
            // SAFETY: each plane has its bytes by this function's contract.
            unsafe {
                let luma = bytes(self.data, luma_size, "image.data")?;
                let first = bytes(self.chroma[0], chroma_size, "image.chroma[0]")?;
                let second =
                    if is_planar { bytes(self.chroma[1], chroma_size, "image.chroma[1]")? } else { first };
                (luma, first, second)
            }
        };
        let y = Plane::new(luma, stride);
        let plane = |data, step| Plane::new(data, chroma_stride).with_step(step);
        Ok(match self.format {
            PICODET_FORMAT_I420 => RawPixels::Yuv420 { y, u: plane(first, 1), v: plane(second, 1) },
            PICODET_FORMAT_NV12 => RawPixels::Yuv420 { y, u: plane(first, 2), v: plane(&second[1..], 2) },
            _ => RawPixels::Yuv420 { y, u: plane(&second[1..], 2), v: plane(first, 2) },
        })
    }
}

/// Returns the number of bytes of a plane: `size`, or, if that is 0, the size of its rows.
fn needed(name: &'static str, stride: usize, row: usize, rows: usize, size: usize) -> Result<usize, Failure> {
    if stride < row {
        return Err(value(name, stride, "at least the bytes of a row"));
    }
    let needed = stride.checked_mul(rows - 1).and_then(|bytes| bytes.checked_add(row));
    match needed {
        Some(needed) if size == 0 => Ok(needed),
        Some(needed) if size >= needed => Ok(size),
        Some(_) => Err(value(name, stride, "rows that fit in the given number of bytes")),
        None => Err(value(name, stride, "rows that fit in memory")),
    }
}

fn value(name: &'static str, value: impl ToString, expected: &'static str) -> Failure {
    Failure::Value { name, value: value.to_string(), expected }
}
