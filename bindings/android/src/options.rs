//! The options of a detector as Java passes them.

use jni::sys::{jfloat, jint};
use picodet::{MAX_INPUT_SIDE, Nms, Options};

use crate::failure::Failure;

/// Maximum number of threads of an inference.
const MAX_THREADS: jint = 1024;
/// Maximum side of the network input in pixels.
const MAX_SIDE: jint = MAX_INPUT_SIDE as jint;

/// Checks the options and returns those of the library. `input` is (width, height), 0 for both: the model's own.
pub(crate) fn options(
    score: jfloat,
    iou: jfloat,
    max_detections: jint,
    threads: jint,
    input: (jint, jint),
) -> Result<Options, Failure> {
    let max_detections = match usize::try_from(max_detections) {
        Ok(count) if count > 0 => count,
        _ => return Err(Failure::argument("maxDetections", max_detections, "at least 1")),
    };
    if !(1..=MAX_THREADS).contains(&threads) {
        return Err(Failure::argument("threads", threads, "1 to 1024"));
    }
    let is_side = |side: jint| (32..=MAX_SIDE).contains(&side) && side % 32 == 0;
    let input_size = match input {
        (0, 0) => None,
        (width, height) if is_side(width) && is_side(height) => Some((height as usize, width as usize)),
        (width, height) => {
            let expected = "multiples of 32 from 32 to 4096, or 0 for both";
            return Err(Failure::argument("inputSize", format!("{width} x {height}"), expected));
        }
    };
    let nms = Nms { score_threshold: score, iou_threshold: iou, max_detections, ..Nms::default() };
    Ok(Options::new().with_nms(nms).with_threads(threads as usize).with_input_size(input_size))
}
