//! Images in and out: decoding with limits, resizing as OpenCV does it, normalising, drawing, encoding.

mod decode;
mod draw;
mod encode;
mod image_type;
mod normalise;
mod resize;

pub use decode::{DecodeError, Header, Limits, decode, decode_with_header, dimensions, header};
pub use draw::{Label, class_colour, draw};
pub use encode::{encode_jpeg, encode_png};
pub use image_type::Image;
pub use normalise::{to_tensor, to_tensor_in};
pub use resize::{Interpolation, UnknownInterpolation, resize_f32, resize_u8};
