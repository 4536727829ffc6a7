//! Times decoding and suppression: `cargo run --release -p picodet-detect --example bench_detect MODEL IMAGE...`
#![allow(clippy::print_stdout)]

use std::time::Instant;

use picodet_detect::{InputBox, Model, Nms, ScaleFactor, decode};
use picodet_engine::{CpuEngine, Engine};
use picodet_graph::Tensor4;
use picodet_image::{Interpolation, Limits, to_tensor};

/// Median microseconds of 50 calls.
fn median<T>(mut call: impl FnMut() -> T) -> f64 {
    let mut times: Vec<f64> = (0..50)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(call());
            1e6 * start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = Model::from_bytes(&std::fs::read(arguments.next().ok_or("no model given")?)?)?;
    let (height, width) = model.metadata.input_size;
    let plan = CpuEngine::new().plan(&model.graph, &model.weights, (height, width))?;
    let nms = Nms::default();
    for path in arguments {
        let image = picodet_image::decode(&std::fs::read(&path)?, &Limits::default())?;
        let (mean, std) = (model.metadata.mean, model.metadata.std);
        let data = to_tensor(&image, (height, width), Interpolation::Cubic, mean, std);
        let outputs = plan.run(&Tensor4 { shape: [1, 3, height, width], data })?;
        let levels = decode::head_levels(&outputs, &model.variant.architecture.strides());
        let scale =
            ScaleFactor { y: height as f32 / image.height() as f32, x: width as f32 / image.width() as f32 };
        let candidates = decode::candidates(&levels, 0, nms.score_threshold);
        let decoding = median(|| decode::candidates(&levels, 0, nms.score_threshold));
        let bbox = |anchor| {
            let bbox = decode::box_of(&levels, 0, anchor).unwrap_or_default();
            InputBox(bbox).to_image(scale)
        };
        let suppressing = median(|| nms.run_candidates(&candidates, bbox));
        println!(
            "{path}: {} candidates, decode {decoding:.0} µs, suppress {suppressing:.0} µs",
            candidates.len()
        );
    }
    Ok(())
}
