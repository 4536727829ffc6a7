//! Raw pixels of cameras and other programs: packed RGB in several orders, grey, and YUV, with strides and rotation.

mod error;
mod plane;
mod rotate;
mod yuv;

pub use error::RawError;
pub use plane::Plane;
pub use rotate::Rotation;
use yuv::Converter;
pub use yuv::YuvRange;

use crate::{ChannelOrder, Image, Pixels};

/// Maximum width and height of raw images in pixels.
pub const MAX_SIDE: usize = 65_535;

/// An image in memory of the caller, as a camera or another library holds it.
///
/// ```
/// use picodet_image::{Packed, Plane, RawImage, RawPixels};
///
/// // Two rows of one BGR pixel, four bytes from row to row.
/// let bytes = [10, 20, 30, 0, 40, 50, 60];
/// let pixels = RawPixels::Packed(Packed::Bgr, Plane::new(&bytes, 4));
/// let image = RawImage::new(1, 2, pixels).to_image()?;
/// assert_eq!(image.data(), [30, 20, 10, 60, 50, 40]);
/// # Ok::<(), picodet_image::RawError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RawImage<'a> {
    /// Columns in memory.
    pub width: usize,
    /// Rows in memory.
    pub height: usize,
    /// The pixels.
    pub pixels: RawPixels<'a>,
    /// The rotation that turns the pixels upright.
    pub rotation: Rotation,
    /// The range of YUV values; without effect on other pixels.
    pub range: YuvRange,
}

/// The pixels of a [`RawImage`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum RawPixels<'a> {
    /// Whole pixels one after another.
    Packed(Packed, Plane<'a>),
    /// YUV 4:2:0: luma in full size, and one U and one V for each two by two pixels, `[(height + 1) / 2, (width + 1) / 2]`.
    /// U and V that alternate in one plane (NV12, NV21) are two planes of step 2.
    Yuv420 {
        /// Luma.
        y: Plane<'a>,
        /// Blue difference.
        u: Plane<'a>,
        /// Red difference.
        v: Plane<'a>,
    },
}

/// The order of the bytes of packed pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packed {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// Red, green, blue, and alpha, which is ignored.
    Rgba,
    /// Blue, green, red, and alpha, which is ignored.
    Bgra,
    /// One byte of grey.
    Grey,
    /// YUV 4:2:2: luma, U, luma, V for each two pixels of a row; four bytes also for the last of an odd number.
    Yuyv,
}

impl Packed {
    /// Returns the length of a row of `width` pixels in bytes.
    #[must_use]
    pub fn row_bytes(self, width: usize) -> usize {
        match self {
            Self::Rgb | Self::Bgr => width * 3,
            Self::Rgba | Self::Bgra => width * 4,
            Self::Grey => width,
            Self::Yuyv => width.div_ceil(2) * 4,
        }
    }

    /// Writes the pixels of a row as RGB.
    fn convert(self, row: &[u8], yuv: &Converter, rgb: &mut [[u8; 3]]) {
        match self {
            Self::Rgb => rgb.copy_from_slice(row.as_chunks().0),
            Self::Bgr => {
                rgb.iter_mut().zip(row.as_chunks().0).for_each(|(rgb, &[b, g, r])| *rgb = [r, g, b]);
            }
            Self::Rgba => {
                rgb.iter_mut().zip(row.as_chunks().0).for_each(|(rgb, &[r, g, b, _])| *rgb = [r, g, b]);
            }
            Self::Bgra => {
                rgb.iter_mut().zip(row.as_chunks().0).for_each(|(rgb, &[b, g, r, _])| *rgb = [r, g, b]);
            }
            Self::Grey => rgb.iter_mut().zip(row).for_each(|(rgb, &grey)| *rgb = [grey; 3]),
            Self::Yuyv => {
                for (rgb, &[first, u, second, v]) in rgb.chunks_mut(2).zip(row.as_chunks().0) {
                    yuv.convert_pair([first, second], u, v, rgb);
                }
            }
        }
    }
}

impl<'a> RawImage<'a> {
    /// Describes upright pixels, YUV in the limited range.
    #[must_use]
    pub fn new(width: usize, height: usize, pixels: RawPixels<'a>) -> Self {
        Self { width, height, pixels, rotation: Rotation::default(), range: YuvRange::default() }
    }

    /// Sets the rotation that turns the pixels upright.
    #[must_use]
    pub fn with_rotation(self, rotation: Rotation) -> Self {
        Self { rotation, ..self }
    }

    /// Sets the range of YUV values.
    #[must_use]
    pub fn with_range(self, range: YuvRange) -> Self {
        Self { range, ..self }
    }

    /// Returns the pixels in place if they are upright RGB or BGR without gaps and hold all rows, otherwise `None`.
    #[must_use]
    pub fn as_pixels(&self) -> Option<Pixels<'a>> {
        self.check().ok()?;
        let (order, plane) = match self.pixels {
            RawPixels::Packed(Packed::Rgb, plane) => (ChannelOrder::Rgb, plane),
            RawPixels::Packed(Packed::Bgr, plane) => (ChannelOrder::Bgr, plane),
            _ => return None,
        };
        let row = self.width * 3;
        let is_plain = self.rotation == Rotation::None && (plane.stride == row || self.height == 1);
        let data = is_plain.then(|| &plane.data[..row * self.height])?;
        Pixels::new(self.width, self.height, data, order)
    }

    /// Returns the upright RGB image. YUV is converted by BT.601, with the nearest chroma sample.
    ///
    /// # Errors
    /// When the planes are too short for size and strides.
    pub fn to_image(&self) -> Result<Image, RawError> {
        self.check()?;
        let (width, height) = (self.width, self.height);
        let mut data = Vec::new();
        if data.try_reserve_exact(width * height * 3).is_err() {
            return Err(RawError::Memory { width, height });
        }
        match &self.pixels {
            RawPixels::Packed(Packed::Rgb, plane) if plane.stride == width * 3 => {
                data.extend_from_slice(&plane.data[..width * height * 3]);
            }
            _ => {
                data.resize(width * height * 3, 0);
                self.convert(data.as_chunks_mut().0);
            }
        }
        let data = match self.rotation {
            Rotation::None => data,
            rotation => {
                rotate::rotated(&data, (width, height), rotation).ok_or(RawError::Memory { width, height })?
            }
        };
        let (width, height) = self.rotation.size(width, height);
        Image::new(width, height, data).ok_or(RawError::Size { width, height })
    }

    /// Checks that the planes hold all rows; then `width` · `height` · 4 does not overflow.
    fn check(&self) -> Result<(), RawError> {
        let (width, height) = (self.width, self.height);
        let is_side = |side: usize| (1..=MAX_SIDE).contains(&side);
        let fits = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(4));
        if !is_side(width) || !is_side(height) || fits.is_none_or(|bytes| bytes > isize::MAX as usize) {
            return Err(RawError::Size { width, height });
        }
        match &self.pixels {
            RawPixels::Packed(packed, plane) => plane.check("only", packed.row_bytes(width), height),
            RawPixels::Yuv420 { y, u, v } => {
                let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
                y.check("Y", y.row(width), height)?;
                u.check("U", u.row(columns), rows)?;
                v.check("V", v.row(columns), rows)
            }
        }
    }

    /// Writes the pixels as RGB in their order in memory.
    fn convert(&self, rgb: &mut [[u8; 3]]) {
        let rows = rgb.chunks_exact_mut(self.width).enumerate();
        match &self.pixels {
            RawPixels::Packed(packed, plane) => {
                let converter = Converter::new(self.range);
                let length = packed.row_bytes(self.width);
                rows.for_each(|(y, rgb)| {
                    packed.convert(&plane.data[y * plane.stride..][..length], &converter, rgb)
                });
            }
            RawPixels::Yuv420 { y: luma, u, v } => {
                let converter = Converter::new(self.range);
                let columns = self.width.div_ceil(2);
                for (y, rgb) in rows {
                    let luma = luma.samples(y, self.width);
                    let chroma = u.samples(y / 2, columns).zip(v.samples(y / 2, columns));
                    converter.convert_row(luma, chroma, rgb);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use picodet_testing::{Cases, Noise};

    use super::*;

    /// BT.601 as the recommendation defines it, rounded to nearest.
    fn defined(range: YuvRange, y: u8, u: u8, v: u8) -> [f64; 3] {
        let (y, u, v) = (f64::from(y), f64::from(u) - 128.0, f64::from(v) - 128.0);
        let (y, u, v) = match range {
            YuvRange::Limited => ((y - 16.0) / 219.0, u / 224.0, v / 224.0),
            YuvRange::Full => (y / 255.0, u / 255.0, v / 255.0),
        };
        let (red, blue) = (y + 1.402 * v, y + 1.772 * u);
        let green = (y - 0.299 * red - 0.114 * blue) / 0.587;
        [red, green, blue].map(|value| (value * 255.0).clamp(0.0, 255.0))
    }

    fn is_near(found: [u8; 3], expected: [f64; 3]) -> bool {
        found.iter().zip(expected).all(|(&found, expected)| (f64::from(found) - expected).abs() < 0.51)
    }

    #[test]
    fn yuv_is_converted_as_bt_601_defines() {
        let mut cases = Cases::new();
        for range in [YuvRange::Limited, YuvRange::Full] {
            for (y, u, v) in
                (0..=255u8).flat_map(|y| (0..52).flat_map(move |u| (0..52).map(move |v| (y, u * 5, v * 5))))
            {
                let row = [y, u, y, v];
                let image = RawImage::new(1, 1, RawPixels::Packed(Packed::Yuyv, Plane::new(&row, 4)));
                let image = image.with_range(range).to_image().expect("an image");
                cases
                    .check(format!("{range:?} {row:?}"), is_near(image.pixel(0, 0), defined(range, y, u, v)));
            }
        }
        cases.finish();
    }

    #[test]
    fn planes_of_any_size_stride_and_step_are_read_in_place() {
        let mut cases = Cases::new();
        for (width, height) in [(1usize, 1usize), (2, 2), (3, 5), (5, 3), (8, 1), (1, 7), (33, 40)] {
            for (gap, step) in [(0, 1), (3, 1), (0, 2), (5, 2), (1, 3)] {
                let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
                let (stride, chroma_stride) = (width + gap, columns * step + gap);
                let [luma, u, v] =
                    [(height * stride, 1), (rows * chroma_stride, 2), (rows * chroma_stride, 3)]
                        .map(|(count, seed)| Noise::new(seed).bytes(count));
                let chroma = |data| Plane::new(data, chroma_stride).with_step(step);
                let pixels = RawPixels::Yuv420 { y: Plane::new(&luma, stride), u: chroma(&u), v: chroma(&v) };
                let image = RawImage::new(width, height, pixels).to_image().expect("an image");
                for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
                    let at = y / 2 * chroma_stride + x / 2 * step;
                    let expected = defined(YuvRange::Limited, luma[y * stride + x], u[at], v[at]);
                    cases.check(
                        format!("{width}x{height}, {gap}, {step}: {x}, {y}"),
                        is_near(image.pixel(x, y), expected),
                    );
                }
            }
        }
        cases.finish();
    }

    #[test]
    fn packed_pixels_are_read_in_their_order_and_turned_upright() {
        let (width, height, stride) = (3, 2, 14);
        let data = Noise::new(5).bytes(2 * stride);
        let mut cases = Cases::new();
        let orders: [(Packed, usize, [usize; 3]); 5] = [
            (Packed::Rgb, 3, [0, 1, 2]),
            (Packed::Bgr, 3, [2, 1, 0]),
            (Packed::Rgba, 4, [0, 1, 2]),
            (Packed::Bgra, 4, [2, 1, 0]),
            (Packed::Grey, 1, [0, 0, 0]),
        ];
        for (packed, bytes, order) in orders {
            let image = RawImage::new(width, height, RawPixels::Packed(packed, Plane::new(&data, stride)));
            for degrees in [0, 90, 180, 270] {
                let rotation = Rotation::from_degrees(degrees).expect("a quarter turn");
                let upright = image.with_rotation(rotation).to_image().expect("an image");
                for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
                    let (to_x, to_y) = match degrees {
                        90 => (height - 1 - y, x),
                        180 => (width - 1 - x, height - 1 - y),
                        270 => (y, width - 1 - x),
                        _ => (x, y),
                    };
                    let pixel = order.map(|byte| data[y * stride + x * bytes + byte]);
                    cases.equal(format!("{packed:?}, {degrees}: {x}, {y}"), upright.pixel(to_x, to_y), pixel);
                }
            }
        }
        cases.finish();
    }

    #[test]
    fn only_upright_pixels_without_gaps_are_borrowed() {
        let data = Noise::new(8).bytes(24);
        let image =
            |packed, stride| RawImage::new(2, 3, RawPixels::Packed(packed, Plane::new(&data, stride)));
        for packed in [Packed::Rgb, Packed::Bgr] {
            let plain = image(packed, 6);
            let pixels = plain.as_pixels().expect("pixels in place");
            assert_eq!(pixels.to_image(), plain.to_image().expect("an image"));
            assert!(image(packed, 8).as_pixels().is_none());
            assert!(plain.with_rotation(Rotation::Half).as_pixels().is_none());
        }
        assert!(image(Packed::Rgba, 8).as_pixels().is_none());
        assert!(image(Packed::Rgb, 18).as_pixels().is_none(), "too short");
    }

    #[test]
    fn the_last_pixel_of_an_odd_yuyv_row_is_the_first_of_its_pair() {
        let row = [50, 100, 60, 200, 70, 90, 255, 30];
        let image = RawImage::new(3, 1, RawPixels::Packed(Packed::Yuyv, Plane::new(&row, 8)));
        let image = image.with_range(YuvRange::Full).to_image().expect("an image");
        assert_eq!(image.width(), 3);
        assert!(is_near(image.pixel(1, 0), defined(YuvRange::Full, 60, 100, 200)));
        assert!(is_near(image.pixel(2, 0), defined(YuvRange::Full, 70, 90, 30)));
    }

    #[test]
    fn planes_that_do_not_hold_their_rows_are_refused() {
        let data = [0; 64];
        let packed = |width, height, stride, count: usize| {
            let plane = Plane::new(&data[..count], stride);
            RawImage::new(width, height, RawPixels::Packed(Packed::Rgb, plane)).to_image().map(drop)
        };
        assert_eq!(packed(2, 2, 8, 14), Ok(()));
        assert_eq!(packed(2, 2, 8, 13), Err(RawError::Short { plane: "only", needed: 14, found: 13 }));
        assert_eq!(packed(2, 2, 5, 64), Err(RawError::Stride { plane: "only", stride: 5, row: 6 }));
        assert_eq!(packed(2, 1, 0, 6), Ok(()));
        assert_eq!(packed(0, 2, 8, 64), Err(RawError::Size { width: 0, height: 2 }));
        assert_eq!(packed(2, usize::MAX, 8, 64), Err(RawError::Size { width: 2, height: usize::MAX }));
        assert!(matches!(packed(2, 2, usize::MAX, 64), Err(RawError::Short { .. })));
        let yuv = |u: usize, step| {
            let u = Plane::new(&data[..u], 2).with_step(step);
            let pixels = RawPixels::Yuv420 { y: Plane::new(&data, 3), u, v: Plane::new(&data, 2) };
            RawImage::new(3, 3, pixels).to_image().map(drop)
        };
        assert_eq!(yuv(4, 1), Ok(()));
        assert_eq!(yuv(3, 1), Err(RawError::Short { plane: "U", needed: 4, found: 3 }));
        assert_eq!(yuv(4, 2), Err(RawError::Stride { plane: "U", stride: 2, row: 3 }));
        assert_eq!(yuv(4, 0), Err(RawError::Step { plane: "U" }));
        assert_eq!(yuv(4, usize::MAX), Err(RawError::Stride { plane: "U", stride: 2, row: usize::MAX }));
    }
}
