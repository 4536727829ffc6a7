//! Class colours and readable text on them.

/// Returns the colour of a class; the hues of consecutive classes differ by the golden angle.
#[must_use]
pub fn class_colour(class: usize) -> [u8; 3] {
    let hue = (class as f32 * 137.508) % 360.0 / 60.0;
    let (value, chroma) = (0.92, 0.78);
    let second = chroma * (1.0 - (hue % 2.0 - 1.0).abs());
    let (r, g, b) = match hue as usize {
        0 => (chroma, second, 0.0),
        1 => (second, chroma, 0.0),
        2 => (0.0, chroma, second),
        3 => (0.0, second, chroma),
        4 => (second, 0.0, chroma),
        _ => (chroma, 0.0, second),
    };
    [r, g, b].map(|part| ((part + value - chroma) * 255.0) as u8)
}

/// Returns black or white, whichever has the higher contrast (WCAG 2) to the background; at least 4.5.
#[must_use]
pub fn contrasting(background: [u8; 3]) -> [u8; 3] {
    let luminance = luminance(background);
    if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) { [0; 3] } else { [255; 3] }
}

/// The relative luminance of an sRGB colour, 0 to 1 (WCAG 2).
fn luminance(colour: [u8; 3]) -> f32 {
    let [r, g, b] = colour.map(|part| {
        let part = f32::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_readable_on_every_class_colour() {
        for class in 0..400 {
            let colour = class_colour(class);
            let [light, dark] = {
                let pair = [luminance(colour), luminance(contrasting(colour))];
                if pair[0] > pair[1] { pair } else { [pair[1], pair[0]] }
            };
            let contrast = (light + 0.05) / (dark + 0.05);
            assert!(contrast >= 4.5, "class {class}: contrast {contrast}");
        }
    }
}
