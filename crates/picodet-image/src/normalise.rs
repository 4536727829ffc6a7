//! Converts an image to the input tensor of a network (SPEC §6.1).

use crate::resize::resize_into_planes;
use crate::{Image, Interpolation};

/// Resizes the image to `size` = (height, width) without keeping its aspect ratio, and normalises it to
/// `[3, height, width]`: `(value / 255 - mean) / std` for red, green and blue. Sides of 0 become 1.
///
/// The reference multiplies by 1/255 in f32, then subtracts and divides by f64 constants, rounding to f32 each time.
#[must_use]
pub fn to_tensor(
    image: &Image,
    size: (usize, usize),
    interpolation: Interpolation,
    mean: [f32; 3],
    std: [f32; 3],
) -> Vec<f32> {
    let mut tensor = Vec::new();
    to_tensor_in(&mut tensor, image, size, interpolation, mean, std);
    tensor
}

/// As [`to_tensor`], reusing the memory of `tensor`, which becomes `[3, height, width]`.
pub fn to_tensor_in(
    tensor: &mut Vec<f32>,
    image: &Image,
    (height, width): (usize, usize),
    interpolation: Interpolation,
    mean: [f32; 3],
    std: [f32; 3],
) {
    let (height, width) = (height.max(1), width.max(1));
    // Every value is written below; `resize` zeroes only those that it adds.
    tensor.resize(3 * height * width, 0.0);
    let tables: [[f32; 256]; 3] = std::array::from_fn(|channel| {
        std::array::from_fn(|value| normalised(value as u8, mean[channel], std[channel]))
    });
    let from = (image.height(), image.width());
    resize_into_planes(image.data(), from, (height, width), interpolation, &tables, tensor);
}

fn normalised(value: u8, mean: f32, std: f32) -> f32 {
    let scaled = f32::from(value) * (1.0 / 255.0);
    let centred = (f64::from(scaled) - decimal(mean)) as f32;
    (f64::from(centred) / decimal(std)) as f32
}

/// The decimal constant from which an f32 was parsed, to seven digits.
fn decimal(value: f32) -> f64 {
    (f64::from(value) * 1e7).round() / 1e7
}
