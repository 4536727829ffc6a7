//! Times decoding, resizing and normalising: `cargo run --release -p picodet-image --example bench_image FILE...`
//!
//! For a JPEG file also what decoding to a quarter of its size would take, with the one Rust library that can: most of the
//! time goes into the entropy code, which has to be read as a whole.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use picodet_image::{Interpolation, Limits, decode, to_tensor_in};

/// Median milliseconds of `rounds` calls.
fn median(rounds: usize, mut call: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            call();
            1e3 * start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Decodes a JPEG file to a quarter of its height and width, and gives its size then.
fn quarter(bytes: &[u8]) -> Result<(u16, u16), jpeg_decoder::Error> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.read_info()?;
    let whole = decoder.info().map_or((1, 1), |info| (info.width, info.height));
    let size = decoder.scale(whole.0.div_ceil(4), whole.1.div_ceil(4))?;
    std::hint::black_box(decoder.decode()?);
    Ok(size)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        let image = decode(&bytes, &Limits::default())?;
        let decoding = median(50, || {
            let _ = std::hint::black_box(decode(&bytes, &Limits::default()));
        });
        let mut tensor = Vec::new();
        let mut resizing = |interpolation| {
            median(50, || to_tensor_in(&mut tensor, &image, (416, 416), interpolation, mean, std))
        };
        let (cubic, linear) = (resizing(Interpolation::Cubic), resizing(Interpolation::Linear));
        println!(
            "{path}: {} x {}, decode {decoding:.3} ms, to 416 x 416 by cubic {cubic:.3} ms, by linear {linear:.3} ms",
            image.width(),
            image.height()
        );
        if let Ok((width, height)) = quarter(&bytes) {
            let reduced = median(50, || drop(std::hint::black_box(quarter(&bytes))));
            println!("{path}: decode to {width} x {height} by another library {reduced:.3} ms");
        }
    }
    Ok(())
}
