//! Conversion of YUV to RGB by ITU-R BT.601.

/// The range of YUV values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum YuvRange {
    /// Luma from 16 to 235, chroma from 16 to 240: video and most cameras.
    #[default]
    Limited,
    /// Luma and chroma from 0 to 255: JPEG and some cameras.
    Full,
}

/// Bits of the fraction of a coefficient.
const FRACTION: u32 = 16;

/// The coefficients of BT.601 in fixed point.
pub(super) struct Converter {
    /// Luma of black.
    black: i32,
    luma: i32,
    v_red: i32,
    u_green: i32,
    v_green: i32,
    u_blue: i32,
}

impl Converter {
    /// Returns the coefficients of a range: kr = 0.299 and kb = 0.114, scaled by 255/219 and 255/224 in the limited range.
    pub(super) fn new(range: YuvRange) -> Self {
        let (black, luma, chroma) = match range {
            YuvRange::Limited => (16, 255.0 / 219.0, 255.0 / 224.0),
            YuvRange::Full => (0, 1.0, 1.0),
        };
        let fixed = |value: f64| (value * f64::from(1 << FRACTION)).round() as i32;
        let (red, blue) = (0.299, 0.114);
        let green = 1.0 - red - blue;
        Self {
            black,
            luma: fixed(luma),
            v_red: fixed(2.0 * (1.0 - red) * chroma),
            u_green: fixed(-2.0 * (1.0 - blue) * blue / green * chroma),
            v_green: fixed(-2.0 * (1.0 - red) * red / green * chroma),
            u_blue: fixed(2.0 * (1.0 - blue) * chroma),
        }
    }

    /// Returns what chroma adds to red, green and blue, and the half that rounds to nearest.
    fn chroma(&self, u: u8, v: u8) -> [i32; 3] {
        const HALF: i32 = 1 << (FRACTION - 1);
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        [HALF + self.v_red * v, HALF + self.u_green * u + self.v_green * v, HALF + self.u_blue * u]
    }

    /// Returns red, green and blue of a pixel.
    fn rgb(&self, y: u8, chroma: [i32; 3]) -> [u8; 3] {
        let luma = (i32::from(y) - self.black) * self.luma;
        chroma.map(|chroma| ((luma + chroma) >> FRACTION).clamp(0, 255) as u8)
    }

    /// Writes one pixel, or two next to each other, that share their chroma.
    #[inline]
    pub(super) fn convert_pair(&self, luma: [u8; 2], u: u8, v: u8, rgb: &mut [[u8; 3]]) {
        let chroma = self.chroma(u, v);
        for (rgb, luma) in rgb.iter_mut().zip(luma) {
            *rgb = self.rgb(luma, chroma);
        }
    }

    /// Writes a row of pixels of which every two share their chroma.
    #[inline]
    pub(super) fn convert_row<'a>(
        &self,
        mut luma: impl Iterator<Item = &'a u8>,
        chroma: impl Iterator<Item = (&'a u8, &'a u8)>,
        rgb: &mut [[u8; 3]],
    ) {
        for (rgb, (&u, &v)) in rgb.chunks_mut(2).zip(chroma) {
            let mut next = || luma.next().copied().unwrap_or_default();
            self.convert_pair([next(), next()], u, v, rgb);
        }
    }
}
