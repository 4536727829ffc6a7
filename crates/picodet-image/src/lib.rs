//! Decodes images with limits, converts raw pixels, resizes them exactly as OpenCV, normalises them, draws boxes, and encodes PNG and JPEG.

#![forbid(unsafe_code)]

mod decode;
mod draw;
mod encode;
mod extensions;
mod image_type;
mod normalise;
mod pixels;
mod raw;
mod resize;

pub use decode::{
    DecodeError, FileKind, Header, Limits, Missing, decode, decode_with_header, dimensions, header,
    is_supported,
};
pub use draw::{FontError, Fonts, Label, class_colour, contrasting, draw, draw_with};
pub use encode::{encode_jpeg, encode_png};
pub use extensions::{IMAGE_EXTENSIONS, is_ignored_name};
pub use image_type::Image;
pub use normalise::{to_tensor, to_tensor_in};
pub use pixels::{ChannelOrder, Pixels};
pub use raw::{MAX_SIDE, Packed, Plane, RawError, RawImage, RawPixels, Rotation, YuvRange};
pub use resize::{Interpolation, UnknownInterpolation, resize_f32, resize_u8};
