//! Finds boxes that are too small after resizing to the detector input.

use super::options::CheckOptions;
use crate::dataset::{Dataset, ImageRecord, Object};
use crate::finding::{FindingKind, Findings};

/// Usual square input sizes of PicoDet models.
const USUAL_INPUTS: [u32; 7] = [320, 416, 512, 640, 800, 1024, 1280];

/// Iterates over finite, non-empty boxes that are not crowd regions, with width and height in pixels after
/// resizing to `input` pixels.
fn resized(image: &ImageRecord, input: (f64, f64)) -> impl Iterator<Item = (&Object, f64, f64)> {
    let (width, height) = (f64::from(image.width), f64::from(image.height));
    image.objects.iter().filter_map(move |object| {
        let (w, h) = object.size();
        let counts = object.is_finite() && w > 0.0 && h > 0.0 && !object.crowd && width * height > 0.0;
        counts.then(|| (object, w * input.0 / width, h * input.1 / height))
    })
}

pub(super) fn check(dataset: &Dataset, options: &CheckOptions, findings: &mut Findings) {
    let input = (f64::from(options.input.0), f64::from(options.input.1));
    let stride = f64::from(options.stride);
    // Per class: number of boxes, of vanishing boxes, and the first of these.
    let mut tally = vec![(0usize, 0usize, None); dataset.classes.len()];
    for (index, image) in dataset.images.iter().enumerate() {
        for (object, w, h) in resized(image, input) {
            let Some(entry) = tally.get_mut(object.class) else {
                continue;
            };
            entry.0 += 1;
            if w.max(h) < stride {
                entry.1 += 1;
                entry.2.get_or_insert((index, object.source, w, h));
            }
        }
    }
    for (class, (boxes, vanishing, first)) in dataset.classes.iter().zip(tally) {
        let Some((index, source, w, h)) = first else {
            continue;
        };
        let image = &dataset.images[index];
        let number = image.objects.iter().position(|object| object.source == source).unwrap_or(0);
        let message = format!(
            "`{}` in `{}`: {vanishing} of {boxes} boxes ({:.0} %) are smaller than the stride of {stride} pixels at {} × {}; the first has {w:.1} × {h:.1} pixels, in {}",
            class.name,
            dataset.split_name(),
            100.0 * vanishing as f64 / boxes as f64,
            options.input.0,
            options.input.1,
            image.file
        );
        findings.push(FindingKind::BoxVanishes, dataset.object_location(index, number), message);
    }
}

/// Returns the smallest usual square input at which 90 % of the boxes have a side (square root of the area)
/// of at least twice `stride`; the largest one if none suffices; `None` without boxes.
#[must_use]
pub fn suggest_input_size(datasets: &[Dataset], stride: u32) -> Option<u32> {
    // The side is proportional to the input, so one pass with input 1 is sufficient.
    let mut sides: Vec<f64> = datasets
        .iter()
        .flat_map(|dataset| &dataset.images)
        .flat_map(|image| resized(image, (1.0, 1.0)).map(|(_, w, h)| (w * h).sqrt()))
        .collect();
    let tenth = sides.len() / 10;
    if sides.is_empty() {
        return None;
    }
    let (_, side, _) = sides.select_nth_unstable_by(tenth, f64::total_cmp);
    let needed = 2.0 * f64::from(stride) / *side;
    let last = USUAL_INPUTS[USUAL_INPUTS.len() - 1];
    Some(USUAL_INPUTS.into_iter().find(|&input| f64::from(input) >= needed).unwrap_or(last))
}

/// Upper bounds of the histogram bins in pixels of the input; one more bin follows.
pub(crate) const BINS: [u32; 8] = [4, 8, 16, 32, 64, 128, 256, 512];

pub(super) fn histogram(dataset: &Dataset, input: (u32, u32)) -> Vec<usize> {
    let input = (f64::from(input.0), f64::from(input.1));
    let mut counts = vec![0; BINS.len() + 1];
    for (_, w, h) in dataset.images.iter().flat_map(|image| resized(image, input)) {
        let side = (w * h).sqrt();
        let bin = BINS.iter().position(|&bound| side < f64::from(bound)).unwrap_or(BINS.len());
        counts[bin] += 1;
    }
    counts
}
