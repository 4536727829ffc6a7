//! The images, objects and detections of a dataset that are compared.

use std::collections::HashMap;

use crate::types::{Detection, GroundTruth, ImageSize, intersection_over_union};

use super::boxes::Reading;

/// Detections with the highest scores that are compared in an image.
const PER_IMAGE: usize = 100;
/// Images that are compared.
const IMAGES: usize = 500;
/// Least IoU with an object.
pub(super) const LEAST_IOU: f64 = 0.5;
/// Number of a file's detections with the highest scores that are compared, and their least share.
const SUREST: usize = 20;
const SUREST_SHARE: usize = 10;

/// The IoU of a box and an object.
pub(super) fn overlap(bbox: &[f64; 4], object: &GroundTruth) -> f64 {
    intersection_over_union(bbox, &object.bbox, false)
}

/// The boxes of an image.
pub(super) struct Picture<'a> {
    pub(super) sides: [f64; 2],
    pub(super) objects: Vec<&'a GroundTruth>,
    /// With descending scores.
    pub(super) detections: Vec<&'a Detection>,
}

/// Matches of boxes and objects, of any category.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Matches {
    /// Objects that a detection matches, and their number.
    pub(super) objects: usize,
    pub(super) object_count: usize,
    /// Detections that match an object, of the surest ones of each image, at most the number of its objects.
    pub(super) hits: usize,
    pub(super) hit_count: usize,
    /// Sum of the IoU of the matched objects and of the hits.
    pub(super) quality: f64,
}

/// The images with objects and a size; those with detections are compared.
pub(super) struct Sample<'a> {
    all: Vec<Picture<'a>>,
    by_image: HashMap<i64, usize>,
    /// Indices of the images with detections.
    used: Vec<usize>,
}

impl<'a> Sample<'a> {
    /// Returns the images of the dataset, without detections.
    pub(super) fn new(objects: &'a [GroundTruth], images: &[ImageSize]) -> Self {
        let sizes: HashMap<i64, &ImageSize> = images.iter().map(|image| (image.id, image)).collect();
        let mut by_image: HashMap<i64, usize> = HashMap::new();
        let mut all: Vec<Picture<'_>> = Vec::new();
        for object in objects.iter().filter(|object| !object.crowd && !object.ignore) {
            let size = sizes.get(&object.image_id).filter(|size| size.width > 0 && size.height > 0);
            let Some(size) = size else { continue };
            let next = all.len();
            let index = *by_image.entry(object.image_id).or_insert(next);
            if index == next {
                let sides = [f64::from(size.width), f64::from(size.height)];
                all.push(Picture { sides, objects: Vec::new(), detections: Vec::new() });
            }
            all[index].objects.push(object);
        }
        Self { all, by_image, used: Vec::new() }
    }

    /// Replaces the detections of the images by those whose image id, as `read` returns it, is theirs. The first images
    /// of the file are compared.
    pub(super) fn assign(
        &mut self,
        detections: impl Iterator<Item = &'a Detection>,
        read: impl Fn(i64) -> Option<i64>,
    ) {
        for index in self.used.drain(..) {
            self.all[index].detections.clear();
        }
        for detection in detections {
            let Some(&index) = read(detection.image_id).and_then(|id| self.by_image.get(&id)) else {
                continue;
            };
            let found = &mut self.all[index].detections;
            if found.is_empty() {
                if self.used.len() == IMAGES {
                    continue;
                }
                self.used.push(index);
            }
            found.push(detection);
        }
        for &index in &self.used {
            let found = &mut self.all[index].detections;
            found.sort_by(|a, b| b.score.total_cmp(&a.score));
            found.truncate(PER_IMAGE);
        }
    }

    /// The images with detections.
    pub(super) fn pictures(&self) -> impl Iterator<Item = &Picture<'a>> {
        self.used.iter().map(|&index| &self.all[index])
    }

    /// Compares the boxes, as `reading` reads them, with the objects of the first `images` images.
    pub(super) fn matches(&self, reading: Reading, images: usize) -> Matches {
        let mut matches = Matches::default();
        for picture in self.pictures().take(images) {
            let surest = picture.objects.len().min(picture.detections.len());
            let mut of_objects = vec![0.0_f64; picture.objects.len()];
            for (rank, found) in picture.detections.iter().enumerate() {
                let bbox = reading.read(found.bbox, picture.sides);
                let mut best = 0.0_f64;
                for (of_object, object) in of_objects.iter_mut().zip(&picture.objects) {
                    let iou = overlap(&bbox, object);
                    *of_object = of_object.max(iou);
                    best = best.max(iou);
                }
                if rank < surest && best >= LEAST_IOU {
                    matches.hits += 1;
                    matches.quality += best;
                }
            }
            let matched = of_objects.iter().filter(|iou| **iou >= LEAST_IOU);
            matches.quality += matched.clone().sum::<f64>();
            matches.objects += matched.count();
            matches.object_count += picture.objects.len();
            matches.hit_count += surest;
        }
        matches
    }

    /// Counts the detections that match an object among those with the highest scores, and these.
    pub(super) fn surest(&self, reading: Reading) -> (usize, usize) {
        let all =
            self.pictures().flat_map(|picture| picture.detections.iter().map(move |found| (picture, *found)));
        let mut all: Vec<(&Picture<'_>, &Detection)> = all.collect();
        all.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
        all.truncate(SUREST.max(all.len() / SUREST_SHARE));
        let is_match = |(picture, found): &&(&Picture<'_>, &Detection)| {
            let bbox = reading.read(found.bbox, picture.sides);
            picture.objects.iter().any(|object| overlap(&bbox, object) >= LEAST_IOU)
        };
        (all.iter().filter(is_match).count(), all.len())
    }
}
