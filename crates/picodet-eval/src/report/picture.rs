//! The worst images with their true and detected boxes.

use std::fmt::Write as _;

use picodet_report::{
    BAD, Cell, GOOD, NEUTRAL, PictureBox, Table, embedded_jpeg, escape, picture, repeated_jpeg, section,
};

use super::contents::{LabelledBox, Mark, Picture, Report};
use crate::diagnostics::Diagnostics;
use crate::error_types::ErrorType;
use crate::evaluation::Evaluator;
use crate::labels::DetectionLabel;

/// Rows of the table of images.
const IMAGE_ROWS: usize = 50;
/// Longest side at which an image is displayed, in pixels.
const DISPLAY_SIDE: f64 = 480.0;

impl Evaluator<'_> {
    /// Returns the true boxes of one image and its detections with at least the threshold's score, labelled with
    /// class, score and kind of error. Empty for an unknown image.
    pub fn labelled_boxes(
        &self,
        image_id: i64,
        diagnostics: &Diagnostics,
    ) -> (Vec<LabelledBox>, Vec<LabelledBox>) {
        let name = |id: i64| {
            let place = self.index.categories.binary_search_by_key(&id, |category| category.id);
            place.map_or_else(|_| format!("class {id}"), |place| self.index.categories[place].name.clone())
        };
        let truths = self.truths.iter().enumerate().filter(|(_, truth)| truth.image_id == image_id);
        let truths = truths.map(|(place, truth)| {
            let ignored = truth.crowd || (self.parameters.respect_ignore && truth.ignore);
            let mark = match (ignored, diagnostics.unfound.binary_search(&place)) {
                (true, _) => Mark::Ignored,
                (false, Ok(_)) => Mark::Wrong,
                (false, Err(_)) => Mark::Right,
            };
            LabelledBox { bbox: truth.bbox, label: name(truth.category_id), mark }
        });
        let detections = self.detections.iter().zip(&diagnostics.labels);
        let detections = detections.filter(|(detection, verdict)| {
            detection.image_id == image_id
                && detection.score >= diagnostics.score_threshold
                && **verdict != DetectionLabel::NotCounted
        });
        let detections = detections.map(|(detection, verdict)| {
            let (mark, kind) = match verdict {
                DetectionLabel::Correct { .. } => (Mark::Right, ""),
                DetectionLabel::Ignored | DetectionLabel::NotCounted => (Mark::Ignored, ""),
                DetectionLabel::Class { .. } => (Mark::Wrong, " · class"),
                DetectionLabel::Location { .. } => (Mark::Wrong, " · location"),
                DetectionLabel::Both => (Mark::Wrong, " · both"),
                DetectionLabel::Duplicate { .. } => (Mark::Wrong, " · duplicate"),
                DetectionLabel::Background => (Mark::Wrong, " · background"),
            };
            let label = format!("{} {:.2}{kind}", name(detection.category_id), detection.score);
            LabelledBox { bbox: detection.bbox, label, mark }
        });
        (truths.collect(), detections.collect())
    }
}

/// The worst images and a table of the errors per image.
pub(super) fn worst_images(report: &Report<'_>) -> String {
    let mut body = String::new();
    for (index, picture) in report.pictures.iter().enumerate() {
        body.push_str(&pair(picture, &format!("picture{index}")));
    }
    let kinds = ErrorType::ALL.iter().map(|kind| kind.name());
    let head: Vec<&str> = ["Image id", "errors", "found"].into_iter().chain(kinds).collect();
    let mut table = Table::of_numbers(&head);
    let failing = report.diagnostics.images.iter().filter(|image| image.total() > 0);
    for image in failing.clone().take(IMAGE_ROWS) {
        let start: [Cell; 3] =
            [image.image_id.to_string().into(), image.total().into(), image.correct.into()];
        let errors =
            image.errors.iter().map(|&count| if count == 0 { Cell::from("·") } else { Cell::from(count) });
        table.row(start.into_iter().chain(errors));
    }
    body.push_str(&table.finish());
    let count = failing.count();
    if count > IMAGE_ROWS {
        let _ = write!(body, "<p class=\"note\">… and {} more images with errors.</p>", count - IMAGE_ROWS);
    }
    let hint = format!(
        "Most errors with scores from {:.2}. Green: found or correct; red: missed or wrong; grey: crowd regions and \
         ignored objects.",
        report.diagnostics.score_threshold
    );
    section("Worst images", &hint, &body)
}

/// The image twice: with the true boxes, and with the detections.
fn pair(shown: &Picture, id: &str) -> String {
    let mut html = String::from("<figure><div class=\"pair\">");
    // The second drawing refers to the bytes of the first.
    let image = embedded_jpeg(id, shown.size, &shown.jpeg);
    for (what, image, boxes) in
        [("ground truth", image, &shown.truths), ("detections", repeated_jpeg(id), &shown.detections)]
    {
        let boxes: Vec<PictureBox> = boxes.iter().map(picture_box).collect();
        let _ = write!(
            html,
            "<div>{}<p>{what} ({})</p></div>",
            picture(&image, shown.size, DISPLAY_SIDE, &boxes, what),
            boxes.len()
        );
    }
    let _ = write!(html, "</div><figcaption>{}</figcaption></figure>", escape(&shown.title));
    html
}

fn picture_box(one: &LabelledBox) -> PictureBox {
    let [x, y, width, height] = one.bbox;
    let colour = match one.mark {
        Mark::Right => GOOD,
        Mark::Wrong => BAD,
        Mark::Ignored => NEUTRAL,
    };
    PictureBox {
        bbox: [x, y, x + width.max(0.0), y + height.max(0.0)],
        label: one.label.clone(),
        colour,
        dashed: false,
    }
}
