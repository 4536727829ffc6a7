//! Every intermediate tensor of a network: the tool with which anyone proves parity.

use picodet_detect::{ImageBox, InputBox, Model, Nms, ScaleFactor, decode};
use picodet_engine::{PlanError, Real, ReferenceEngine, RunError, convert};
use picodet_graph::{Tensor, Tensor4, Weights};
use picodet_zoo::HeadMap;

/// Why a forward run is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// The input holds no usable image.
    #[error("the input needs a tensor `image` of shape [n, 3, h, w]; {0}")]
    Image(String),
    /// The network does not plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The network does not run.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Runs `input["image"]` (`[n, 3, h, w]`, normalised) through the reference engine in `T` and returns every named
/// output: `backbone.I`, `neck.L`, `headfeat_cls.L`, `cls_logit.L`, `reg.L`, …, the assembled `scores`
/// `[n, classes, anchors]` and `boxes` `[n, anchors, 4]` (pixels of the input), and, when the input has
/// `scale_factor` `[n, 2]` (y, x), the detections `det` `[m, 6]` and their number `det_num` after suppression.
///
/// # Errors
/// When the image is missing or does not fit.
pub fn forward<T: Real>(model: &Model, input: &Weights) -> Result<Weights, ForwardError> {
    let image = input.get("image").ok_or_else(|| ForwardError::Image("it has none".to_owned()))?;
    let wrong = || ForwardError::Image(format!("it is {:?}", image.shape));
    let shape: [usize; 4] = image.shape.as_slice().try_into().map_err(|_| wrong())?;
    let feature = Tensor4::<f32>::new(shape, image.data.clone()).map_err(|_| wrong())?;

    let plan = ReferenceEngine::<T>::new().prepare(&model.graph, &model.weights, (shape[2], shape[3]))?;
    let outputs = plan.run_exact(&convert(&feature))?;

    let levels = decode::head_levels(&outputs, &model.variant.architecture.strides());
    let anchors = decode::anchor_count(&levels);
    let classes = model.metadata.classes.len();
    let mut scores = Vec::new();
    let mut boxes = Vec::new();
    let mut detections = Vec::new();
    let mut counts = Vec::new();
    let scales = input.get("scale_factor").filter(|tensor| tensor.data.len() == 2 * shape[0]);
    for n in 0..shape[0] {
        let image_scores: Vec<f32> = narrow(&decode::scores(&levels, n));
        let image_boxes = decode::boxes(&levels, n);
        boxes.extend(image_boxes.iter().flat_map(|bbox| narrow(bbox)));
        if let Some(scales) = scales {
            let scale = ScaleFactor { y: scales.data[2 * n], x: scales.data[2 * n + 1] };
            let to_image = |bbox: &[T; 4]| {
                let bbox: [f32; 4] = std::array::from_fn(|side| bbox[side].to_f64() as f32);
                InputBox(bbox).to_image(scale)
            };
            let image_boxes: Vec<ImageBox> = image_boxes.iter().map(to_image).collect();
            let found = Nms::default().run(&image_scores, &image_boxes);
            counts.push(found.len() as f32);
            for detection in found {
                detections.extend([detection.class as f32, detection.score]);
                detections.extend(detection.bbox.xyxy());
            }
        }
        scores.extend(image_scores);
    }

    let mut tensors: Weights = outputs
        .iter()
        .filter(|(name, _)| !matches!(HeadMap::of(name), Some((HeadMap::Score, _))))
        .map(|(name, feature)| {
            (name.clone(), Tensor { shape: feature.shape.to_vec(), data: narrow(&feature.data) })
        })
        .collect();
    tensors.insert("scores".to_owned(), Tensor { shape: vec![shape[0], classes, anchors], data: scores });
    tensors.insert("boxes".to_owned(), Tensor { shape: vec![shape[0], anchors, 4], data: boxes });
    if scales.is_some() {
        tensors.insert("det".to_owned(), Tensor { shape: vec![detections.len() / 6, 6], data: detections });
        tensors.insert("det_num".to_owned(), Tensor { shape: vec![counts.len()], data: counts });
    }
    Ok(tensors)
}

fn narrow<T: Real>(values: &[T]) -> Vec<f32> {
    values.iter().map(|value| value.to_f64() as f32).collect()
}
