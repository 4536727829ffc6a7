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
    /// Largest number of detections per image.
    pub(crate) max_detections: usize,
    pub(crate) classes: usize,
    pub(crate) anchors: usize,
}

/// Appends `detections` `[m, 7]`: image of the batch, class, score, x1, y1, x2, y2 in pixels of the input, by
/// image and descending score.
pub(crate) fn suppress(lowering: &mut Lowering, suppression: Suppression) {
    let Suppression { score_threshold, iou_threshold, max_detections, classes, anchors } = suppression;
    let most = max_detections.min(classes * anchors) as i64;
    let limit = lowering.integers("suppress.limit", &[most]);
    let overlap = lowering.floats("suppress.overlap", &[1], &[iou_threshold]);
    let threshold = lowering.floats("suppress.threshold", &[1], &[score_threshold]);
    let inputs = ["boxes", "scores", &limit, &overlap, &threshold];
    // Rows of image, class, anchor.
    let kept = lowering.push("NonMaxSuppression", "suppress.kept", &inputs, &[]);
    let score = lowering.push("GatherND", "suppress.kept.score", &["scores", &kept], &[]);

    // The kept scores in a map of zeros, of which the best of each image are taken: `[n, classes * anchors]`.
    // `ConstantOfShape` would do as well, but OpenCV 5 cannot run it.
    let zero = lowering.floats("suppress.zero", &[1], &[0.0]);
    let zeros = lowering.push("Mul", "suppress.zeros", &["scores", &zero], &[]);
    let map = lowering.push("ScatterND", "suppress.map", &[&zeros, &kept, &score], &[]);
    let map = lowering.reshape("suppress.map.flat", &map, &[0, -1]);
    let axis = [("axis", Attribute::Integer(1))];
    let [best, index] = lowering.push_top_k("suppress.best", &map, &limit);
    let is_kept = lowering.push("Greater", "suppress.is_kept", &[&best, &zero], &[]);
    let places = lowering.push("NonZero", "suppress.positions.columns", &[&is_kept], &[]);
    let order = Attribute::Integers(vec![1, 0]);
    // Rows of image and rank.
    let places = lowering.push("Transpose", "suppress.positions", &[&places], &[("perm", order)]);
    let score = lowering.push("GatherND", "suppress.score", &[&best, &places], &[]);
    let index = lowering.push("GatherND", "suppress.index", &[&index, &places], &[]);

    let count = lowering.integers("suppress.anchors", &[anchors as i64]);
    let class = lowering.push("Div", "suppress.class", &[&index, &count], &[]);
    let first = lowering.push("Mul", "suppress.class.first", &[&class, &count], &[]);
    let anchor = lowering.push("Sub", "suppress.anchor", &[&index, &first], &[]);
    let [class, anchor, score] =
        [class, anchor, score].map(|value| lowering.reshape(&format!("{value}.column"), &value, &[-1, 1]));
    let column = lowering.integers("suppress.column", &[0]);
    let image = lowering.push("Gather", "suppress.image", &[&places, &column], &axis);
    let indices = lowering.push("Concat", "suppress.box.index", &[&image, &anchor], &axis);
    let bbox = lowering.push("GatherND", "suppress.box", &["boxes", &indices], &[]);
    let labels = lowering.push("Concat", "suppress.label", &[&image, &class], &axis);
    let labels = lowering.push("Cast", "suppress.label.float", &[&labels], &[("to", Attribute::Integer(1))]);
    lowering.push("Concat", "detections", &[&labels, &score, &bbox], &axis);
}
