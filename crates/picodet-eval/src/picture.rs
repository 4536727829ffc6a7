//! A picture with its true and detected boxes, drawn for the report.

use std::fmt::Write as _;

use base64::Engine as _;

use crate::diagnostics::Diagnostics;
use crate::evaluation::Evaluator;
use crate::plot::{escape, shorten};
use crate::verdict::Verdict;

/// How a box is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// An object that is found, or a detection that is right.
    Right,
    /// An object that is not found, or a detection that is wrong.
    Wrong,
    /// A crowd or ignored object, or a detection on one.
    Ignored,
}

/// A box with words at its corner.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledBox {
    /// `[x, y, width, height]`, pixels of the original image.
    pub bbox: [f64; 4],
    /// The words.
    pub label: String,
    /// How it is drawn.
    pub mark: Mark,
}

/// A picture for the report.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Words below it.
    pub title: String,
    /// A JPEG file, of any size.
    pub jpeg: Vec<u8>,
    /// Width and height of the original image in pixels, which the boxes are in.
    pub size: (u32, u32),
    /// True boxes.
    pub truths: Vec<LabelledBox>,
    /// Detected boxes.
    pub detections: Vec<LabelledBox>,
}

impl Evaluator<'_> {
    /// The true boxes, and the detected ones from the score threshold up, of one image, labelled with
    /// what they are. Empty for an unknown image.
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
        let detections = self.detections.iter().zip(&diagnostics.verdicts);
        let detections = detections.filter(|(detection, verdict)| {
            detection.image_id == image_id
                && detection.score >= diagnostics.score_threshold
                && **verdict != Verdict::NotCounted
        });
        let detections = detections.map(|(detection, verdict)| {
            let (mark, kind) = match verdict {
                Verdict::Correct { .. } => (Mark::Right, ""),
                Verdict::Ignored | Verdict::NotCounted => (Mark::Ignored, ""),
                Verdict::Class { .. } => (Mark::Wrong, " · class"),
                Verdict::Location { .. } => (Mark::Wrong, " · location"),
                Verdict::Both => (Mark::Wrong, " · both"),
                Verdict::Duplicate { .. } => (Mark::Wrong, " · duplicate"),
                Verdict::Background => (Mark::Wrong, " · background"),
            };
            let label = format!("{} {:.2}{kind}", name(detection.category_id), detection.score);
            LabelledBox { bbox: detection.bbox, label, mark }
        });
        (truths.collect(), detections.collect())
    }
}

/// The picture twice: with the truth, and with what was detected.
pub(crate) fn render(picture: &Picture, number: usize) -> String {
    let (width, height) = (picture.size.0.max(1), picture.size.1.max(1));
    let jpeg = base64::engine::general_purpose::STANDARD.encode(&picture.jpeg);
    let mut html = String::from("<figure class=\"pair\"><div>");
    // The bytes are in the page once; the second drawing refers to them.
    let image = format!(
        "<image id=\"picture{number}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" href=\"data:image/jpeg;base64,{jpeg}\"/>"
    );
    let again = format!("<use href=\"#picture{number}\"/>");
    for (what, image, boxes) in
        [("truth", image, &picture.truths), ("detections", again, &picture.detections)]
    {
        let _ = write!(
            html,
            "<div><svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{what}\">{image}"
        );
        // Sizes in pixels of the image, so that they look alike on a small and on a large one.
        let unit = f64::from(width.max(height)) / 480.0;
        for one in boxes.iter().take(300) {
            draw(&mut html, one, unit, (f64::from(width), f64::from(height)));
        }
        let _ = write!(html, "</svg><p>{what} ({})</p></div>", boxes.len());
    }
    let _ = write!(html, "</div><figcaption>{}</figcaption></figure>", escape(&picture.title));
    html
}

fn draw(html: &mut String, one: &LabelledBox, unit: f64, size: (f64, f64)) {
    let class = match one.mark {
        Mark::Right => "found",
        Mark::Wrong => "failed",
        Mark::Ignored => "ignored",
    };
    let [x, y, width, height] = one.bbox;
    let label = shorten(&one.label, 40);
    let (text_height, text_width) = (12.0 * unit, (label.chars().count() as f64 * 5.7 + 6.0) * unit);
    let left = x.min(size.0 - text_width).max(0.0);
    let top = (y - text_height).clamp(0.0, (size.1 - text_height).max(0.0));
    let _ = write!(
        html,
        "<g class=\"{class}\"><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" stroke-width=\"{:.1}\"/>\
         <rect class=\"plate\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{text_width:.1}\" height=\"{text_height:.1}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{:.1}\">{}</text></g>",
        width.max(0.0),
        height.max(0.0),
        1.6 * unit,
        left + 3.0 * unit,
        top + 9.2 * unit,
        10.0 * unit,
        escape(&label)
    );
}
