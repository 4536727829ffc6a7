//! Finds faults of single boxes and of all boxes together.

use std::collections::HashMap;

use super::options::CheckOptions;
use super::result::ImageFacts;
use crate::dataset::{Dataset, ImageRecord, Object, display};
use crate::finding::{FindingKind, Findings, Location};
use crate::format::handler_of;

pub(super) fn check(
    dataset: &Dataset,
    facts: &[ImageFacts],
    options: &CheckOptions,
    findings: &mut Findings,
) {
    let normalised = looks_normalised(dataset);
    let xyxy = !normalised && looks_xyxy(dataset, options);
    let mut ids: HashMap<i64, Location> = HashMap::new();
    for (index, image) in dataset.images.iter().enumerate() {
        let size = reference_size(image, facts.get(index));
        let mut seen: HashMap<[u64; 4], usize> = HashMap::new();
        for (number, object) in image.objects.iter().enumerate() {
            let location = || dataset.object_location(index, number);
            if let Some(id) = object.id {
                if let Some(first) = ids.get(&id) {
                    let message = format!("annotation id {id} is already used at {first}");
                    findings.push(FindingKind::DuplicateAnnotationId, location(), message);
                } else {
                    ids.insert(id, location());
                }
            }
            if let Some((kind, message)) = fault(object, size, options)
                && !((normalised || xyxy)
                    && matches!(kind, FindingKind::BoxOutside | FindingKind::BoxPartlyOutside))
            {
                let message = format!("{}: {message}", image.file);
                findings.push(kind, location(), message);
            }
            if let Some(message) = wrong_area(object) {
                findings.push(FindingKind::AreaWrong, location(), format!("{}: {message}", image.file));
            }
            if !object.is_finite() || object.crowd {
                continue;
            }
            // Adding zero converts -0 to 0.
            let bits = object.bbox.map(|value| (value + 0.0).to_bits());
            match seen.get(&bits) {
                None => {
                    seen.insert(bits, number);
                }
                Some(&first) => {
                    let first = &image.objects[first];
                    let name =
                        |class: usize| dataset.classes.get(class).map_or("?", |class| class.name.as_str());
                    if first.class == object.class {
                        let message = format!("{}: a second {}", image.file, name(object.class));
                        findings.push(FindingKind::BoxDuplicate, location(), message);
                    } else {
                        let message =
                            format!("{}: both {} and {}", image.file, name(first.class), name(object.class));
                        findings.push(FindingKind::BoxTwoClasses, location(), message);
                    }
                }
            }
        }
    }
    if normalised {
        let message = "all coordinates are between 0 and 1".to_string();
        findings.push(
            FindingKind::BoxNormalised,
            dataset.object_location(first_labelled(dataset), 0),
            message,
        );
    }
    if xyxy {
        let message = "most boxes extend beyond their image, but fit if read as corners".to_string();
        findings.push(
            FindingKind::BoxLooksXyxy,
            dataset.object_location(first_labelled(dataset), 0),
            message,
        );
    }
}

/// Reports a dataset whose objects are crowd regions: masks that are exported as run lengths often have the
/// flag.
pub(super) fn crowds(dataset: &Dataset, findings: &mut Findings) {
    let crowd = |object: &&Object| object.crowd;
    let (total, crowds) = dataset.images.iter().fold((0, 0), |(total, crowds), image| {
        (total + image.objects.len(), crowds + image.objects.iter().filter(crowd).count())
    });
    let kind = match crowds {
        0 => return,
        _ if crowds == total => FindingKind::AllCrowds,
        _ if crowds * 5 > total => FindingKind::ManyCrowds,
        _ => return,
    };
    let message = format!("{crowds} of {total} objects in `{}` are crowds", dataset.split_name());
    let file = dataset.annotations.as_ref().unwrap_or(&dataset.root);
    findings.push(kind, Location::file(display(file)), message);
}

fn first_labelled(dataset: &Dataset) -> usize {
    dataset.images.iter().position(|image| !image.objects.is_empty()).unwrap_or(0)
}

/// Returns the image size that boxes are compared with: the one in the label if it exists, otherwise the one
/// of the image. A difference of the two is a separate finding.
pub(crate) fn reference_size(image: &ImageRecord, facts: Option<&ImageFacts>) -> (f64, f64) {
    let stated = (f64::from(image.width), f64::from(image.height));
    match facts.and_then(|facts| facts.header) {
        Some(header) if image.width == 0 || image.height == 0 => {
            (f64::from(header.width), f64::from(header.height))
        }
        _ => stated,
    }
}

/// Returns the first fault of a box.
pub(crate) fn fault(
    object: &Object,
    (width, height): (f64, f64),
    options: &CheckOptions,
) -> Option<(FindingKind, String)> {
    let [x1, y1, x2, y2] = object.bbox;
    let shown = format!("[{}, {}, {}, {}]", short(x1), short(y1), short(x2), short(y2));
    if !object.is_finite() {
        return Some((FindingKind::BoxNotFinite, format!("{shown} is not finite")));
    }
    if x2 < x1 || y2 < y1 {
        return Some((FindingKind::BoxInverted, format!("{shown} has swapped corners")));
    }
    if x2 == x1 || y2 == y1 {
        let size = format!("{} × {}", short(x2 - x1), short(y2 - y1));
        return Some((FindingKind::BoxEmpty, format!("{shown} is {size} pixels")));
    }
    if width == 0.0 || height == 0.0 {
        return None;
    }
    if x2 <= 0.0 || y2 <= 0.0 || x1 >= width || y1 >= height {
        return Some((FindingKind::BoxOutside, format!("{shown} is outside of {width} × {height}")));
    }
    let beyond = (-x1).max(-y1).max(x2 - width).max(y2 - height);
    (beyond > options.outside_tolerance).then(|| {
        let message = format!("{shown} extends {} pixels beyond {width} × {height}", short(beyond));
        (FindingKind::BoxPartlyOutside, message)
    })
}

fn short(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    format!("{rounded}")
}

/// Returns the problem of the area in a label; the area of a segmentation can exceed the box by rounding.
pub(crate) fn wrong_area(object: &Object) -> Option<String> {
    let area = object.stated_area?;
    let (width, height) = object.size();
    if !object.is_finite() || width <= 0.0 || height <= 0.0 {
        return None;
    }
    if !area.is_finite() || area < 0.0 {
        return Some(format!("area {area}"));
    }
    // Masks consist of whole pixels: one more on each side is tolerated.
    let largest = (width + 2.0) * (height + 2.0);
    (area > largest * 1.01).then(|| format!("area {area}, the box has {}", short(width * height)))
}

fn looks_normalised(dataset: &Dataset) -> bool {
    let mut objects = dataset.images.iter().flat_map(|image| &image.objects).peekable();
    handler_of(dataset.format).conventions().pixel_boxes
        && objects.peek().is_some()
        && objects.all(|object| object.bbox.iter().all(|value| (0.0..=1.0).contains(value)))
}

/// Whether at least three boxes and at least half of all extend beyond their image, and each of these fits if
/// width and height are read as the second corner.
fn looks_xyxy(dataset: &Dataset, options: &CheckOptions) -> bool {
    if !handler_of(dataset.format).conventions().stores_extents {
        return false;
    }
    let (mut outside, mut total) = (0usize, 0usize);
    for image in dataset.images.iter().filter(|image| image.width > 0 && image.height > 0) {
        let (width, height) = (f64::from(image.width), f64::from(image.height));
        for object in image.objects.iter().filter(|object| object.is_finite()) {
            total += 1;
            let tolerance = options.outside_tolerance;
            if object.bbox[2] <= width + tolerance && object.bbox[3] <= height + tolerance {
                continue;
            }
            outside += 1;
            let [x, y, w, h] = object.xywh();
            if !(w > x && h > y && w <= width + tolerance && h <= height + tolerance) {
                return false;
            }
        }
    }
    outside >= 3 && outside * 2 >= total
}
