//! Brightness, contrast, saturation and hue with the byte arithmetic of PIL (SPEC §7.2, step 3).

use picodet_image::Image;

use crate::random::Stream;

/// Maximum hue shift in 256ths of the circle (PIL's scale of 0 to 255).
const HUE: f64 = 18.0;
/// Factors of brightness, contrast and saturation.
const FACTOR: (f64, f64) = (0.5, 1.5);

/// Changes brightness, contrast, saturation and hue in random order, each with probability one half.
pub fn distort(mut image: Image, stream: &mut Stream) -> Image {
    let mut order = [0, 1, 2, 3];
    stream.shuffle(&mut order);
    for change in order {
        if stream.chance(0.5) {
            continue;
        }
        let factor = stream.uniform(FACTOR.0, FACTOR.1) as f32;
        image = match change {
            0 => brightness(image, factor),
            1 => contrast(image, factor),
            2 => saturation(image, factor),
            _ => shift_hue(image, stream.uniform(-HUE, HUE)),
        };
    }
    image
}

/// Blends two bytes as PIL does: truncated, and clamped if the factor extrapolates.
fn blend(from: u8, to: u8, factor: f32) -> u8 {
    let (from, to) = (f32::from(from), f32::from(to));
    // The conversion truncates and saturates.
    (from + factor * (to - from)) as u8
}

/// Returns the brightness of a pixel in PIL's mode `L`.
fn luminance(pixel: [u8; 3]) -> u8 {
    let [red, green, blue] = pixel.map(u32::from);
    ((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8
}

/// Maps every byte of an image.
fn by_table(image: Image, value: impl Fn(u8) -> u8) -> Image {
    let table: [u8; 256] = std::array::from_fn(|byte| value(byte as u8));
    by_pixel(image, |pixel| pixel.map(|byte| table[usize::from(byte)]))
}

pub(super) fn by_pixel(image: Image, mut change: impl FnMut([u8; 3]) -> [u8; 3]) -> Image {
    let (width, height) = (image.width(), image.height());
    let data = image.data().as_chunks::<3>().0.iter().flat_map(|&pixel| change(pixel)).collect();
    Image::new(width, height, data).unwrap_or(image)
}

/// Blends with black (factor 0).
pub fn brightness(image: Image, factor: f32) -> Image {
    by_table(image, |byte| blend(0, byte, factor))
}

/// Blends with the mean brightness (factor 0).
pub fn contrast(image: Image, factor: f32) -> Image {
    let pixels = image.data().as_chunks::<3>().0;
    let sum: u64 = pixels.iter().map(|&pixel| u64::from(luminance(pixel))).sum();
    let mean = (sum as f64 / pixels.len() as f64 + 0.5) as u8;
    by_table(image, |byte| blend(mean, byte, factor))
}

/// Blends with the grey image (factor 0).
pub fn saturation(image: Image, factor: f32) -> Image {
    by_pixel(image, |pixel| {
        let grey = luminance(pixel);
        pixel.map(|byte| blend(grey, byte, factor))
    })
}

/// Shifts the hue by a number of 256ths of the circle.
pub fn shift_hue(image: Image, shift: f64) -> Image {
    let hues: [u8; 256] = std::array::from_fn(|hue| (hue as f64 + shift) as i32 as u8);
    let from = HsvTable::new();
    by_pixel(image, |pixel| {
        let [hue, saturation, value] = to_hsv(pixel);
        from.rgb([hues[usize::from(hue)], saturation, value])
    })
}

/// Converts a pixel to PIL's mode `HSV`: hue, saturation and value, each from 0 to 255.
pub fn to_hsv([red, green, blue]: [u8; 3]) -> [u8; 3] {
    let largest = red.max(green).max(blue);
    let smallest = red.min(green).min(blue);
    if largest == smallest {
        return [0, 0, largest];
    }
    let range = f32::from(largest - smallest);
    let distance = |channel: u8| f32::from(largest - channel) / range;
    let hue = if red == largest {
        distance(blue) - distance(green)
    } else if green == largest {
        (2.0 + f64::from(distance(red)) - f64::from(distance(blue))) as f32
    } else {
        (4.0 + f64::from(distance(green)) - f64::from(distance(red))) as f32
    };
    let hue = (f64::from(hue) / 6.0 + 1.0) % 1.0;
    let saturation = range / f32::from(largest);
    [(f64::from(hue as f32) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, largest]
}

/// Converts a pixel from PIL's mode `HSV`.
pub fn from_hsv(pixel: [u8; 3]) -> [u8; 3] {
    HsvTable::new().rgb(pixel)
}

/// Position of each hue in its sixth of the circle.
struct HsvTable {
    places: [(u8, f32); 256],
}

impl HsvTable {
    fn new() -> Self {
        let place = |hue: usize| {
            let place = hue as f64 * 6.0 / 255.0;
            (place.floor() as u8 % 6, (place - place.floor()) as f32)
        };
        Self { places: std::array::from_fn(place) }
    }

    fn rgb(&self, [hue, saturation, value]: [u8; 3]) -> [u8; 3] {
        if saturation == 0 {
            return [value; 3];
        }
        let (sixth, place) = self.places[usize::from(hue)];
        let share = f64::from((f64::from(saturation) / 255.0) as f32);
        let place = f64::from(place);
        let part = |less: f64| (f64::from(value) * (1.0 - less)).round() as u8;
        let (low, falling, rising) = (part(share), part(share * place), part(share * (1.0 - place)));
        match sixth {
            0 => [value, rising, low],
            1 => [falling, value, low],
            2 => [low, value, rising],
            3 => [low, falling, value],
            4 => [rising, low, value],
            _ => [value, low, falling],
        }
    }
}
