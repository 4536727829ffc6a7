//! Compares the objects of labels of other formats with those that are read.

use super::Sweep;
use super::second::{boxes_of, difference_within};
use crate::dataset::{Class, Dataset, Format, ImageRecord, display};
use crate::finding::{FindingKind, Findings, Location};
use crate::format::other_labels::{LabelBox, boxes_in, format_of_label};
use crate::walk::without_extension;

/// Largest difference of equal coordinates in pixels: Pascal VOC has whole pixels.
const TOLERANCE: f64 = 1.01;

/// The labels of other formats of images that are read with objects.
#[derive(Debug, Default)]
pub(crate) struct OtherFormats {
    /// Number of labels with the same objects.
    equal: usize,
    /// Number of labels with other objects, and the finding of the first.
    different: usize,
    first: Option<(Location, String)>,
}

impl OtherFormats {
    /// Adds the result of a comparison: whether the objects of `label` are different.
    fn add(&mut self, is_different: bool, format: Format, label: &str, sweep: &Sweep<'_>) {
        if !is_different {
            self.equal += 1;
            return;
        }
        self.different += 1;
        self.first.get_or_insert_with(|| {
            let message = format!(
                "read as {}; labels of {format} are here as well, with other objects, and not read; the first is {label}",
                sweep.format
            );
            (Location::file(display(&sweep.shown)), message)
        });
    }

    /// Corrects the finding that a folder has labels of several formats: there is none if all have the same objects, and one
    /// if some have other objects.
    pub(crate) fn report(&self, findings: &mut Findings) {
        let kind = FindingKind::FormatsMixed;
        match &self.first {
            None if self.equal > 0 => findings.remove(kind),
            Some((location, message)) if !findings.counts().contains_key(&kind) => {
                findings.push(kind, location.clone(), message.clone());
            }
            _ => {}
        }
    }
}

impl Sweep<'_> {
    /// Compares label files of one image.
    pub(super) fn compare_labels(&self, labels: &[String], formats: &mut OtherFormats) {
        let compared = picodet_parallel::map(0..labels.len(), 0, |index| self.compare(&labels[index]));
        for (label, (format, is_different)) in
            labels.iter().zip(compared).filter_map(|(label, result)| Some((label, result?)))
        {
            formats.add(is_different, format, label, self);
        }
    }

    /// Whether a label of another format has other objects than the image of its name is read with.
    fn compare(&self, label: &str) -> Option<(Format, bool)> {
        let format = format_of_label(label).filter(|format| *format != self.format)?;
        let [image] = self.images_of(without_extension(label))[..] else { return None };
        let (dataset, record) = self.images.get(&self.path_of(image))?;
        if record.objects.is_empty() {
            return None;
        }
        let mut other = boxes_in(&self.top.join(label), (record.width, record.height));
        if other.is_empty() {
            return None;
        }
        // The indices of YOLO refer to a list that is not known.
        let by_name = format != Format::YOLO;
        if !by_name {
            other.iter_mut().for_each(|label| label.class.clear());
        }
        let key = |class: &Class| if by_name { class.name.trim().to_string() } else { String::new() };
        let own = boxes_of(dataset, record, key);
        Some((format, difference_within(&own, &other, TOLERANCE).is_some()))
    }

    /// Compares an image of a COCO file; crowd regions are left out, as by the tools that convert it.
    pub(super) fn compare_coco(
        &self,
        label: &str,
        (own, record): (&Dataset, &ImageRecord),
        (other, image): (&Dataset, &ImageRecord),
        formats: &mut OtherFormats,
    ) {
        let key = |class: &Class| class.name.trim().to_string();
        let boxes = |dataset: &Dataset, image: &ImageRecord| -> Vec<LabelBox> {
            let crowds = image.objects.iter().map(|object| object.crowd);
            let kept = boxes_of(dataset, image, key).into_iter().zip(crowds).filter(|(_, crowd)| !crowd);
            kept.map(|(label, _)| label).collect()
        };
        let is_different = difference_within(&boxes(own, record), &boxes(other, image), TOLERANCE).is_some();
        formats.add(is_different, Format::COCO, label, self);
    }
}
