//! The colour augmentation of the NPU recipe: random offsets of hue, saturation and value (SPEC §7.2).

use picodet_image::Image;

use super::colour::by_pixel;
use crate::random::Stream;

/// Maximum offsets: hue in half degrees (OpenCV), saturation and value from 0 to 255.
const GAINS: [f64; 3] = [5.0, 30.0, 30.0];

/// Adds random offsets to hue, saturation and value, each omitted with probability one half. Arithmetic is that of OpenCV
/// on bytes, with a hue from 0 to 180.
pub fn shift_hsv(image: Image, stream: &mut Stream) -> Image {
    let gains = GAINS.map(|gain| {
        let shift = stream.uniform(-1.0, 1.0) * gain;
        if stream.chance(0.5) { shift as i32 } else { 0 }
    });
    if gains == [0; 3] {
        return image;
    }
    by_pixel(image, |pixel| {
        let [hue, saturation, value] = to_hsv(pixel).map(i32::from);
        let moved = [
            (hue + gains[0]).rem_euclid(180),
            (saturation + gains[1]).clamp(0, 255),
            (value + gains[2]).clamp(0, 255),
        ];
        from_hsv(moved)
    })
}

/// Converts to OpenCV's 8-bit HSV: hue in half degrees, saturation and value up to 255.
fn to_hsv([red, green, blue]: [u8; 3]) -> [u8; 3] {
    let (largest, smallest) = (red.max(green).max(blue), red.min(green).min(blue));
    let range = f32::from(largest) - f32::from(smallest);
    if range == 0.0 {
        return [0, 0, largest];
    }
    let [r, g, b] = [red, green, blue].map(f32::from);
    let sixth = if largest == red {
        (g - b) / range
    } else if largest == green {
        2.0 + (b - r) / range
    } else {
        4.0 + (r - g) / range
    };
    let hue = (sixth * 30.0).rem_euclid(180.0).round() as u8 % 180;
    [hue, (range * 255.0 / f32::from(largest)).round() as u8, largest]
}

fn from_hsv([hue, saturation, value]: [i32; 3]) -> [u8; 3] {
    let sixth = hue as f32 / 30.0;
    let (value, share) = (value as f32, saturation as f32 / 255.0);
    // The distance from the hue of the channel, in sixths of the circle, gives its intensity.
    let channel = |own: f32| {
        let place = (sixth + own) % 6.0;
        let taken = place.min(4.0 - place).clamp(0.0, 1.0);
        (value * (1.0 - share * taken)).round() as u8
    };
    [channel(5.0), channel(3.0), channel(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    #[test]
    fn colours_survive_the_way_to_hsv_and_back() {
        let mut worst = 0;
        for red in (0..=255).step_by(15) {
            for green in (0..=255).step_by(15) {
                for blue in (0..=255).step_by(15) {
                    let pixel = [red as u8, green as u8, blue as u8];
                    let back = from_hsv(to_hsv(pixel).map(i32::from));
                    let far = pixel.iter().zip(back).map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0);
                    worst = worst.max(far);
                }
            }
        }
        // The hue has 180 values instead of 6 * 255, so that conversion is not exact.
        assert!(worst <= 5, "{worst}");
        assert_eq!(to_hsv([255, 0, 0]), [0, 255, 255]);
        assert_eq!(to_hsv([0, 255, 0]), [60, 255, 255]);
        assert_eq!(to_hsv([0, 0, 255]), [120, 255, 255]);
    }

    #[test]
    fn gains_stay_within_their_limits() {
        let grey = Image::filled(2, 2, [100; 3]);
        let mut moved = 0;
        for number in 0..200 {
            let changed = shift_hsv(grey.clone(), &mut Stream::new(1, Purpose::Image, 0, number));
            let [red, ..] = changed.pixel(0, 0);
            // Grey changes by at most 30.
            let largest = changed.data().iter().copied().max().unwrap_or(0);
            assert!(largest.abs_diff(100) <= 30, "{red}");
            moved += usize::from(changed != grey);
        }
        assert!(moved > 100, "{moved} of 200 moved");
    }
}
