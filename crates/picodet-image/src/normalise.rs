//! Converts an image to the input tensor of a network (SPEC §6.1).

use crate::resize::resize_into_planes;
use crate::{ChannelOrder, Interpolation, Pixels};

/// Resizes the image to `size` = (height, width) without keeping its aspect ratio, and normalises it to
/// `[3, height, width]`: `(value / 255 - mean) / std` for red, green and blue. Sides of 0 become 1.
///
/// The reference multiplies by 1/255 in f32, then subtracts and divides by f64 constants, rounding to f32 each time.
#[must_use]
pub fn to_tensor<'a>(
    image: impl Into<Pixels<'a>>,
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
pub fn to_tensor_in<'a>(
    tensor: &mut Vec<f32>,
    image: impl Into<Pixels<'a>>,
    (height, width): (usize, usize),
    interpolation: Interpolation,
    mean: [f32; 3],
    std: [f32; 3],
) {
    let image = image.into();
    let (height, width) = (height.max(1), width.max(1));
    // Every value is written below; `resize` zeroes only those that it adds.
    tensor.resize(3 * height * width, 0.0);
    let mut tables: [[f32; 256]; 3] = std::array::from_fn(|channel| {
        std::array::from_fn(|value| normalised(value as u8, mean[channel], std[channel]))
    });
    let from = (image.height(), image.width());
    match image.order() {
        ChannelOrder::Rgb => {
            resize_into_planes(image.data(), from, (height, width), interpolation, &tables, tensor);
        }
        ChannelOrder::Bgr => {
            // Channels are resized independently: blue is computed in the place of red, then they change places.
            tables.swap(0, 2);
            resize_into_planes(image.data(), from, (height, width), interpolation, &tables, tensor);
            let (blue, rest) = tensor.split_at_mut(height * width);
            blue.swap_with_slice(&mut rest[height * width..]);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_channels_does_not_change_the_tensor() {
        let (width, height) = (37, 23);
        let rgb: Vec<u8> = (0..width * height * 3).map(|i| ((i * 7919 + i * i * 31) >> 3) as u8).collect();
        let bgr: Vec<u8> = rgb.as_chunks::<3>().0.iter().flat_map(|&[r, g, b]| [b, g, r]).collect();
        let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let mut wrong = Vec::new();
        for interpolation in Interpolation::ALL {
            for size in [(32, 64), (height, width), (64, 96)] {
                let tensor = |data: &[u8], order| {
                    let pixels = Pixels::new(width, height, data, order).expect("pixels");
                    to_tensor(pixels, size, interpolation, mean, std)
                };
                if tensor(&rgb, ChannelOrder::Rgb) != tensor(&bgr, ChannelOrder::Bgr) {
                    wrong.push((interpolation, size));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
