//! Box decoding (SPEC §6.2) and non-maximum suppression as ONNX nodes.

use picodet_zoo::BINS;

use crate::lower::Lowering;
use crate::message::Attribute;

/// One pyramid level: names of its score and distribution maps, its stride in input pixels, and its height
/// and width.
pub(crate) struct Level {
    pub(crate) score: String,
    pub(crate) reg: String,
    pub(crate) stride: usize,
    pub(crate) cells: (usize, usize),
}

/// Appends `scores` `[n, classes, anchors]` and `boxes` `[n, anchors, 4]` in pixels of the input.
pub(crate) fn decode(lowering: &mut Lowering, levels: &[Level], classes: usize) {
    let bins: Vec<f32> = (0..BINS).map(|bin| bin as f32).collect();
    let project = lowering.floats("decode.bins", &[BINS, 1], &bins);
    let mut scores = Vec::new();
    let mut boxes = Vec::new();
    for (index, level) in levels.iter().enumerate() {
        let scope = format!("decode.{index}");
        let anchors = level.cells.0 * level.cells.1;
        let shape = [0, classes as i64, anchors as i64];
        scores.push(lowering.reshape(&format!("{scope}.scores"), &level.score, &shape));

        let shape = [0, 4, BINS as i64, anchors as i64];
        let x = lowering.reshape(&format!("{scope}.sides"), &level.reg, &shape);
        let order = Attribute::Integers(vec![0, 3, 1, 2]);
        let x = lowering.push("Transpose", &format!("{scope}.anchors"), &[&x], &[("perm", order)]);
        // Softmax over the last axis is defined identically in every opset.
        let x =
            lowering.push("Softmax", &format!("{scope}.shares"), &[&x], &[("axis", Attribute::Integer(3))]);
        let x = lowering.push("MatMul", &format!("{scope}.mean"), &[&x, &project], &[]);
        let x = lowering.reshape(&format!("{scope}.distances"), &x, &[0, anchors as i64, 4]);
        let stride = level.stride as f32;
        let steps = lowering.floats(&format!("{scope}.steps"), &[4], &[-stride, -stride, stride, stride]);
        let x = lowering.push("Mul", &format!("{scope}.offsets"), &[&x, &steps], &[]);
        let centres = centres(level);
        let centres = lowering.floats(&format!("{scope}.centres"), &[1, anchors, 4], &centres);
        boxes.push(lowering.push("Add", &format!("{scope}.boxes"), &[&x, &centres], &[]));
    }
    let names = |parts: &[String]| parts.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    let (scores, boxes) = (names(&scores), names(&boxes));
    lowering.push(
        "Concat",
        "scores",
        &scores.lines().collect::<Vec<_>>(),
        &[("axis", Attribute::Integer(2))],
    );
    lowering.push("Concat", "boxes", &boxes.lines().collect::<Vec<_>>(), &[("axis", Attribute::Integer(1))]);
}

/// The centre of each cell as `[x, y, x, y]`, to be added to the offsets of both corners.
fn centres(level: &Level) -> Vec<f32> {
    let centre = |index: usize| (index as f32 + 0.5) * level.stride as f32;
    let (height, width) = level.cells;
    (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| [centre(x), centre(y), centre(x), centre(y)]))
        .collect()
}

/// Parameters of the non-maximum suppression.
#[derive(Clone, Copy)]
pub(crate) struct Suppression {
    pub(crate) score_threshold: f32,
    pub(crate) iou_threshold: f32,
    pub(crate) per_class: i64,
}

/// Appends `detections` `[m, 7]`: image of the batch, class, score, x1, y1, x2, y2 in pixels of the input.
pub(crate) fn suppress(lowering: &mut Lowering, suppression: Suppression) {
    let limit = lowering.integers("suppress.limit", &[suppression.per_class]);
    let overlap = lowering.floats("suppress.overlap", &[1], &[suppression.iou_threshold]);
    let threshold = lowering.floats("suppress.threshold", &[1], &[suppression.score_threshold]);
    let inputs = ["boxes", "scores", &limit, &overlap, &threshold];
    // Rows of image, class, anchor.
    let kept = lowering.push("NonMaxSuppression", "suppress.kept", &inputs, &[]);
    let score = lowering.push("GatherND", "suppress.score", &["scores", &kept], &[]);
    let score = lowering.reshape("suppress.score.column", &score, &[-1, 1]);
    let image_and_anchor = lowering.integers("suppress.columns", &[0, 2]);
    let axis = [("axis", Attribute::Integer(1))];
    let indices = lowering.push("Gather", "suppress.places", &[&kept, &image_and_anchor], &axis);
    let bbox = lowering.push("GatherND", "suppress.box", &["boxes", &indices], &[]);
    let image_and_class = lowering.integers("suppress.labels", &[0, 1]);
    let labels = lowering.push("Gather", "suppress.label", &[&kept, &image_and_class], &axis);
    let labels = lowering.push("Cast", "suppress.label.float", &[&labels], &[("to", Attribute::Integer(1))]);
    lowering.push("Concat", "detections", &[&labels, &score, &bbox], &axis);
}
