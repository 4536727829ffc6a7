//! Times decoding, resizing and normalising: `cargo run --release -p picodet-image --example bench_image FILE...`
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
    }
    Ok(())
}
