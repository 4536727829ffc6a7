//! From a picture to the tensor that a network takes (SPEC §6.1).

use crate::{Image, Interpolation};

/// The picture resized to `size` = (height, width), without regard to its proportions, as `[3, height, width]`:
/// `(value / 255 - mean) / std` for red, green and blue.
///
/// The reference multiplies by 1/255 in f32, then subtracts and divides by f64 constants, rounding to f32 each time.
pub fn to_tensor(
    image: &Image,
    size: (usize, usize),
    interpolation: Interpolation,
    mean: [f32; 3],
    std: [f32; 3],
) -> Vec<f32> {
    let resized = image.resized(size, interpolation);
    let plane = resized.width() * resized.height();
    let mut tensor = vec![0.0; 3 * plane];
    for channel in 0..3 {
        let table: Vec<f32> =
            (0..=255u8).map(|value| normalised(value, mean[channel], std[channel])).collect();
        let target = &mut tensor[channel * plane..][..plane];
        for (value, pixel) in target.iter_mut().zip(resized.data().as_chunks::<3>().0) {
            *value = table[usize::from(pixel[channel])];
        }
    }
    tensor
}

fn normalised(value: u8, mean: f32, std: f32) -> f32 {
    let scaled = f32::from(value) * (1.0 / 255.0);
    let centred = (f64::from(scaled) - decimal(mean)) as f32;
    (f64::from(centred) / decimal(std)) as f32
}

/// The decimal constant that an f32 was written as, to seven digits.
fn decimal(value: f32) -> f64 {
    (f64::from(value) * 1e7).round() / 1e7
}
