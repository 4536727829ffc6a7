//! Generates a detection dataset of letters and digits, for `bench/search/run.sh ranking`.
//!
//! ```sh
//! cargo run --release -p picodet --all-features --example glyph_set -- OUTPUT
//! ```
//!
//! Images of 160×160 pixels with up to five of 32 letters and digits, 14 to 64 pixels high, turned and stretched, on noise and waves.
//! The splits are train (2,000 images), val and test (600 each). They are the same on every machine.

use std::error::Error;
use std::path::Path;

use font8x8::UnicodeFonts;
use picodet::crates::data::{ImageRecord, Object};
use picodet::crates::image::{Image, encode_jpeg};
use picodet_testing::Noise;
use sets::{overlap, write_split};

mod sets;

/// Letters and digits that stay apart when they are turned by up to [`TURN`].
const GLYPHS: &str = "ABCDEFGHIJKLMNPRSTUVWXYZ23456789";
const SPLITS: [(&str, usize); 3] = [("train", 2000), ("val", 600), ("test", 600)];
/// Width and height of an image in pixels.
const SIDE: usize = 160;
/// Width and height of a glyph's bitmap.
const CELLS: usize = 8;
/// Largest turn in radians.
const TURN: f64 = 0.5;
const QUALITY: u8 = 90;

fn main() -> Result<(), Box<dyn Error>> {
    let output = std::env::args().nth(1).ok_or("usage: glyph_set OUTPUT")?;
    let classes: Vec<String> = GLYPHS.chars().map(String::from).collect();
    for (seed, (split, count)) in SPLITS.into_iter().enumerate() {
        let mut noise = Noise::new(seed as u64);
        let image = |_| {
            let mut pixels = background(&mut noise);
            let objects = write_glyphs(&mut pixels, &mut noise);
            let data = pixels.iter().flatten().map(|value| value.clamp(0.0, 255.0) as u8).collect();
            let image = Image::new(SIDE, SIDE, data).ok_or("an image without pixels")?;
            let (width, height) = (SIDE as u32, SIDE as u32);
            let record =
                ImageRecord { id: 0, file: String::new(), width, height, objects, label: None, source: 0 };
            Ok((encode_jpeg(&image, QUALITY), record))
        };
        let images = (0..count).map(image).collect::<Result<Vec<_>, Box<dyn Error>>>()?;
        write_split(Path::new(&output), split, &classes, images)?;
    }
    Ok(())
}

/// Colours of the pixels, 0 to 255, row by row.
type Pixels = Vec<[f64; 3]>;

fn colour(noise: &mut Noise) -> [f64; 3] {
    [(); 3].map(|()| 255.0 * noise.unit())
}

/// Returns waves between two colours, with noise.
fn background(noise: &mut Noise) -> Pixels {
    let (first, second) = (colour(noise), colour(noise));
    let frequencies = [0.3 * (noise.unit() - 0.5), 0.3 * (noise.unit() - 0.5)];
    let strength = 40.0 * noise.unit();
    let mut pixels = Pixels::with_capacity(SIDE * SIDE);
    for index in 0..SIDE * SIDE {
        let (x, y) = ((index % SIDE) as f64, (index / SIDE) as f64);
        let share = 0.5 + 0.5 * (frequencies[0] * x + frequencies[1] * y).sin();
        let grain = strength * (noise.unit() - 0.5);
        pixels
            .push([0, 1, 2].map(|channel| first[channel] * share + second[channel] * (1.0 - share) + grain));
    }
    pixels
}

/// Writes up to five glyphs; none covers more than a tenth of the box of an earlier one.
fn write_glyphs(pixels: &mut Pixels, noise: &mut Noise) -> Vec<Object> {
    let mut objects: Vec<Object> = Vec::new();
    for _ in 0..1 + noise.below(5) {
        let glyph = Glyph::draw(noise);
        let inside = glyph.pixels();
        let Some(bbox) = bounds(&inside) else { continue };
        if objects.iter().all(|other| overlap(&other.bbox, &bbox) < 0.1) {
            let ink = contrasting(&inside, pixels, noise);
            inside.iter().for_each(|&(x, y)| pixels[y * SIDE + x] = ink);
            objects.push(Object::new(glyph.class, bbox));
        }
    }
    objects
}

/// Returns the smallest box around pixels; `None` if they touch the edge of the image or there are few.
fn bounds(pixels: &[(usize, usize)]) -> Option<[f64; 4]> {
    let x = || pixels.iter().map(|&(x, _)| x);
    let y = || pixels.iter().map(|&(_, y)| y);
    let (left, top, right, bottom) = (x().min()?, y().min()?, x().max()?, y().max()?);
    let is_whole = left > 0 && top > 0 && right + 1 < SIDE && bottom + 1 < SIDE && pixels.len() > 20;
    is_whole.then_some([left as f64, top as f64, right as f64 + 1.0, bottom as f64 + 1.0])
}

/// Draws a colour that differs from the mean of the pixels that it replaces.
fn contrasting(inside: &[(usize, usize)], pixels: &Pixels, noise: &mut Noise) -> [f64; 3] {
    let mean = [0, 1, 2].map(|channel| {
        let sum: f64 = inside.iter().map(|&(x, y)| pixels[y * SIDE + x][channel]).sum();
        sum / inside.len() as f64
    });
    loop {
        let ink = colour(noise);
        let distance: f64 = ink.iter().zip(mean).map(|(ink, mean)| (ink - mean).powi(2)).sum();
        if distance.sqrt() > 100.0 {
            return ink;
        }
    }
}

/// A glyph with its place.
struct Glyph {
    class: usize,
    bitmap: [u8; CELLS],
    centre: [f64; 2],
    /// Width and height of a cell of the bitmap in pixels.
    cell: [f64; 2],
    turn: f64,
}

impl Glyph {
    fn draw(noise: &mut Noise) -> Self {
        let class = noise.below(GLYPHS.len());
        let letter = char::from(GLYPHS.as_bytes()[class]);
        // The logarithm of the height is uniform.
        let height = 14.0 * (64.0f64 / 14.0).powf(noise.unit()) / CELLS as f64;
        Self {
            class,
            bitmap: font8x8::BASIC_FONTS.get(letter).unwrap_or_default(),
            centre: [(); 2].map(|()| SIDE as f64 * noise.unit()),
            cell: [height * (0.7 + 0.6 * noise.unit()), height],
            turn: TURN * (2.0 * noise.unit() - 1.0),
        }
    }

    /// Returns the pixels of the image that are ink.
    fn pixels(&self) -> Vec<(usize, usize)> {
        let (sin, cos) = self.turn.sin_cos();
        let is_ink = |&(x, y): &(usize, usize)| {
            let (dx, dy) = (x as f64 + 0.5 - self.centre[0], y as f64 + 0.5 - self.centre[1]);
            self.ink([(dx * cos + dy * sin) / self.cell[0], (dy * cos - dx * sin) / self.cell[1]]) > 0.5
        };
        (0..SIDE * SIDE).map(|index| (index % SIDE, index / SIDE)).filter(is_ink).collect()
    }

    /// Returns the bitmap at a position in cells from its centre, interpolated between the centres of cells.
    fn ink(&self, position: [f64; 2]) -> f64 {
        let [u, v] = position.map(|place| place + CELLS as f64 / 2.0 - 0.5);
        let cell = |column: f64, row: f64| {
            let range = 0.0..CELLS as f64;
            let is_inside = range.contains(&column) && range.contains(&row);
            f64::from(u8::from(is_inside && self.bitmap[row as usize] >> column as usize & 1 == 1))
        };
        let (column, row) = (u.floor(), v.floor());
        let (x, y) = (u - column, v - row);
        let line = |row: f64| cell(column, row) * (1.0 - x) + cell(column + 1.0, row) * x;
        line(row) * (1.0 - y) + line(row + 1.0) * y
    }
}
