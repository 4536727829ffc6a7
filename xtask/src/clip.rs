//! A video for the fake camera of Chromium, without ffmpeg: a window that moves over a photo.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use picodet_image::{Image, Limits};

/// Width and height of the window in pixels.
const SIZE: (usize, usize) = (560, 360);
/// Frames of one turn of the window.
const FRAMES: usize = 50;

/// Writes the video in the format YUV4MPEG2.
///
/// # Errors
/// When the photo cannot be read or is smaller than the window, or the file cannot be written.
pub(crate) fn write(photo: &Path, file: &Path) -> Result<()> {
    let photo = picodet_image::decode(&std::fs::read(photo)?, &Limits::default())?;
    let (width, height) = SIZE;
    let right = photo.width().checked_sub(width).context("the photo is too narrow")?;
    let down = photo.height().checked_sub(height).context("the photo is too low")?;
    let temporary = file.with_extension("part");
    let mut output = BufWriter::new(std::fs::File::create(&temporary)?);
    writeln!(output, "YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420")?;
    for frame in 0..FRAMES {
        let turn = std::f64::consts::TAU * frame as f64 / FRAMES as f64;
        let place = |most: usize, share: f64| (most as f64 * (0.5 + 0.5 * share)) as usize;
        output.write_all(b"FRAME\n")?;
        output.write_all(&planes(&photo, place(right, turn.cos()), place(down, turn.sin())))?;
    }
    output.flush()?;
    drop(output);
    Ok(std::fs::rename(temporary, file)?)
}

/// Returns the planes of the window at `(left, top)`: luma, and both chromas at half of the size.
fn planes(photo: &Image, left: usize, top: usize) -> Vec<u8> {
    let (width, height) = SIZE;
    // ITU-R BT.601, limited range: the sum, and the factors of red, green and blue.
    let plane = |step: usize, base: f64, factors: [f64; 3]| {
        let places =
            (0..height).step_by(step).flat_map(move |y| (0..width).step_by(step).map(move |x| (y, x)));
        places.map(move |(y, x)| {
            let at = 3 * ((top + y) * photo.width() + left + x);
            let rgb = &photo.data()[at..at + 3];
            let sum: f64 =
                rgb.iter().zip(factors).map(|(&value, factor)| f64::from(value) / 255.0 * factor).sum();
            (base + sum).round() as u8
        })
    };
    let luma = plane(1, 16.0, [65.481, 128.553, 24.966]);
    let blue = plane(2, 128.0, [-37.797, -74.203, 112.0]);
    let red = plane(2, 128.0, [112.0, -93.786, -18.214]);
    luma.chain(blue).chain(red).collect()
}
