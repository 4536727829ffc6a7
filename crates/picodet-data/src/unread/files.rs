//! Compares labels of other formats, and files with the labels of many images, with those that are read.

use super::formats::{OtherFormats, are_different};
use super::second::{boxes_of, difference};
use super::sweep::{Lost, Sweep, second_label};
use crate::dataset::{Class, Dataset, Format, ImageRecord, display};
use crate::finding::{FindingKind, Findings, Location};
use crate::format::coco::read_with_images;
use crate::format::other_labels::{LabelBox, boxes_in, format_of_label};
use crate::paths::{plain, real, turned};
use crate::sniff::{JsonKind, json_kind};
use crate::walk::without_extension;

impl Sweep<'_> {
    /// Compares label files of one image.
    pub(super) fn compare_labels(&self, labels: &[String], formats: &mut OtherFormats) {
        let compared = picodet_parallel::map(0..labels.len(), 0, |index| self.compare(&labels[index]));
        for (label, (format, is_different)) in
            labels.iter().zip(compared).filter_map(|(label, result)| Some((label, result?)))
        {
            formats.add(is_different, || self.mixed(format, label));
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
        Some((format, are_different(&own, &other)))
    }

    /// Compares an image of a COCO file; crowd regions are left out, as by the tools that convert it.
    fn compare_coco(
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
        let is_different = are_different(&boxes(own, record), &boxes(other, image));
        formats.add(is_different, || self.mixed(Format::COCO, label));
    }

    /// The finding for a label of another format with other objects.
    fn mixed(&self, format: Format, label: &str) -> (Location, String) {
        let message = format!(
            "read as {}; labels of {format} are here as well, with other objects, and not read; the first is {label}",
            self.format
        );
        (Location::file(display(&self.shown)), message)
    }

    /// Returns what is lost with a COCO file: the images with objects that no split contains. An entry without an image is no
    /// loss.
    /// A file of which no labelled image exists is reported.
    pub(super) fn lost_of_coco(
        &self,
        label: &str,
        formats: &mut OtherFormats,
        findings: &mut Findings,
    ) -> Vec<Lost> {
        let path = self.top.join(label);
        if self.is_other_task(&path) || json_kind(&path) != JsonKind::Coco {
            return Vec::new();
        }
        let Some(dataset) = read_with_images(&path) else { return Vec::new() };
        let root = real(&dataset.root);
        let labelled: Vec<&ImageRecord> =
            dataset.images.iter().filter(|image| !image.objects.is_empty()).collect();
        let mut absent = 0;
        let lost = labelled
            .iter()
            .filter_map(|image| {
                let file = real(&plain(&root.join(turned(&image.file))));
                let known = self.images.get(&file);
                let elsewhere = known.is_none() && !file.is_file();
                let has_objects = known.is_some_and(|(_, image)| !image.objects.is_empty());
                if elsewhere {
                    absent += 1;
                    return None;
                }
                if let Some(known) = known.filter(|_| has_objects && self.format != Format::COCO) {
                    self.compare_coco(label, known, (&dataset, image), formats);
                    return None;
                }
                let shown = self.below(&file);
                let pointer = format!("/images/{}", image.source);
                let location = Location::pointer(display(&self.shown.join(label)), pointer);
                match known.filter(|_| has_objects) {
                    Some((own, record)) => {
                        let key = |class: &Class| class.name.trim().to_string();
                        let other = boxes_of(&dataset, image, key);
                        let difference = difference(&boxes_of(own, record, key), &other)?;
                        let file_of_own = own.annotations.as_deref().unwrap_or(&own.root);
                        let place = real(file_of_own);
                        Some(second_label(file, &shown, &self.below(&place), &other, difference, location))
                    }
                    None => Some(self.loss(Format::COCO, &shown, label, location)),
                }
            })
            .collect();
        if let Some(first) = labelled.first().filter(|_| absent == labelled.len()) {
            let message = format!("none of its {absent} labelled images exists, as {}; not read", first.file);
            findings.push(
                FindingKind::ImagesElsewhere,
                Location::file(display(&self.shown.join(label))),
                message,
            );
        }
        lost
    }
}
