//! Decoding, and resizing to the normalised input of a network, on one thread.
//!
//! The image is a generated one of 1280 × 720, or the JPEG file in the environment variable `PICODET_BENCH_IMAGE`.

use std::io::Cursor;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use image::{ImageFormat, RgbImage};
use picodet_image::{Image, Interpolation, Limits, decode, to_tensor_in};
use picodet_testing::Noise;

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;

fn main() {
    divan::main();
}

/// Decodes a file of each format.
#[divan::bench(args = ["jpeg", "png", "webp", "bmp"])]
fn decode_file(bencher: Bencher<'_, '_>, format: &str) {
    let bytes = file(format);
    bencher.counter(BytesCount::new(pixels(&bytes))).bench(|| decode(black_box(&bytes), &Limits::default()));
}

/// Decodes a JPEG file to a quarter of its height and width with `jpeg-decoder`, the one Rust library that can: a bound
/// of what a reduced decode would save, since the entropy code has to be read as a whole.
#[divan::bench]
fn decode_quarter(bencher: Bencher<'_, '_>) {
    let bytes = file("jpeg");
    bencher.counter(BytesCount::new(pixels(&bytes))).bench(|| {
        let mut decoder = jpeg_decoder::Decoder::new(black_box(&bytes[..]));
        decoder.read_info()?;
        let (width, height) = decoder.info().map_or((1, 1), |info| (info.width, info.height));
        decoder.scale(width.div_ceil(4), height.div_ceil(4))?;
        decoder.decode()
    });
}

/// Resizes and normalises to `[1, 3, 416, 416]`.
#[divan::bench(args = [Interpolation::Cubic, Interpolation::Linear])]
fn resize(bencher: Bencher<'_, '_>, interpolation: Interpolation) {
    let image = image(&file("jpeg"));
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let mut tensor = Vec::new();
    bencher.bench_local(|| {
        to_tensor_in(&mut tensor, black_box(&image), (416, 416), interpolation, mean, std);
    });
}

/// The encoded image: smooth structure with fine noise, about as compressible as a photograph.
fn file(format: &str) -> Vec<u8> {
    if let (Some(path), "jpeg") = (std::env::var_os("PICODET_BENCH_IMAGE"), format) {
        return std::fs::read(path).expect("PICODET_BENCH_IMAGE names a file");
    }
    let mut noise = Noise::new(1);
    let image = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let (x, y) = (x as f32, y as f32);
        let smooth = [x / 97.0 + y / 211.0, x / 53.0 - y / 71.0, (x + y) / 31.0].map(f32::sin);
        image::Rgb(smooth.map(|value| (128.0 + 90.0 * value + noise.uniform(-12.0, 12.0)) as u8))
    });
    let format = ImageFormat::from_extension(format).expect("a format of the image crate");
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("encodes");
    bytes.into_inner()
}

fn image(bytes: &[u8]) -> Image {
    decode(bytes, &Limits::default()).expect("decodes")
}

/// Size of the decoded image in bytes.
fn pixels(bytes: &[u8]) -> usize {
    let image = image(bytes);
    3 * image.width() * image.height()
}
