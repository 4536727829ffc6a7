//! Pixels that Java passes.

use jni::sys::jint;
use picodet::{Packed, Plane, RawImage, RawPixels, Rotation, YuvRange};

use crate::failure::Failure;

/// Width, height and rotation of an image in memory.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) width: jint,
    pub(crate) height: jint,
    /// The clockwise rotation in degrees that turns the image upright.
    pub(crate) rotation: jint,
}

impl Layout {
    /// Describes packed pixels of red, green, blue and alpha with `stride` bytes from row to row.
    pub(crate) fn rgba<'a>(&self, data: &'a [u8], stride: jint) -> Result<RawImage<'a>, Failure> {
        let plane = Plane::new(data, distance("rowStride", stride)?);
        self.image(RawPixels::Packed(Packed::Rgba, plane))
    }

    /// Describes planes of YUV 4:2:0 (`[y, u, v]`), as `ImageFormat.YUV_420_888` has them.
    pub(crate) fn yuv<'a>(
        &self,
        [y, u, v]: [&'a [u8]; 3],
        y_stride: jint,
        chroma_stride: jint,
        chroma_step: jint,
        is_full_range: bool,
    ) -> Result<RawImage<'a>, Failure> {
        let stride = distance("chromaRowStride", chroma_stride)?;
        let step = distance("chromaPixelStride", chroma_step)?;
        let chroma = |data| Plane::new(data, stride).with_step(step);
        let y = Plane::new(y, distance("yRowStride", y_stride)?);
        let range = if is_full_range { YuvRange::Full } else { YuvRange::Limited };
        let image = self.image(RawPixels::Yuv420 { y, u: chroma(u), v: chroma(v) })?;
        Ok(image.with_range(range))
    }

    fn image<'a>(&self, pixels: RawPixels<'a>) -> Result<RawImage<'a>, Failure> {
        let rotation = Rotation::from_degrees(self.rotation)
            .ok_or_else(|| Failure::argument("rotation", self.rotation, "0, 90, 180 or 270"))?;
        let (width, height) = (distance("width", self.width)?, distance("height", self.height)?);
        Ok(RawImage::new(width, height, pixels).with_rotation(rotation))
    }
}

fn distance(name: &'static str, value: jint) -> Result<usize, Failure> {
    usize::try_from(value).map_err(|_| Failure::argument(name, value, "a number that is not negative"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_and_rotations_are_checked() {
        let layout = Layout { width: 2, height: 2, rotation: 0 };
        let data = [128; 16];
        let image = layout.rgba(&data, 8).expect("an image").to_image().expect("pixels");
        assert_eq!(image.data(), [128; 12]);
        let image = layout.yuv([&data, &data[..1], &data[..1]], 2, 1, 1, true).expect("an image");
        assert_eq!(image.to_image().expect("pixels").data(), [128; 12]);
        let message = |result: Result<RawImage<'_>, Failure>| result.expect_err("an error").to_string();
        let turned = Layout { rotation: 45, ..layout };
        assert_eq!(message(turned.rgba(&data, 8)), "`rotation` is 45; expected 0, 90, 180 or 270");
        let negative = "`rowStride` is -8; expected a number that is not negative";
        assert_eq!(message(layout.rgba(&data, -8)), negative);
        assert!(layout.rgba(&data[..15], 8).expect("an image").to_image().is_err());
    }
}
