//! Writes XML annotations and image lists.

use std::fmt::Write as _;

use picodet_report::escape;

use crate::dataset::{Dataset, ImageRecord, Object};

/// The name of classes without one: an empty `<name>` is not read.
pub(super) const UNNAMED: &str = "unnamed";

/// Returns the XML of one image with the file name `name`.
#[must_use]
pub fn write_one(dataset: &Dataset, image: &ImageRecord, name: &str) -> String {
    let mut xml = String::new();
    let folder = "JPEGImages";
    let _ = writeln!(
        xml,
        concat!(
            "<annotation>\n\t<folder>{}</folder>\n\t<filename>{}</filename>\n",
            "\t<size>\n\t\t<width>{}</width>\n\t\t<height>{}</height>\n\t\t<depth>3</depth>\n\t</size>\n",
            "\t<segmented>0</segmented>"
        ),
        folder,
        escape(name),
        image.width,
        image.height
    );
    for object in &image.objects {
        write_object(&mut xml, dataset, object);
    }
    xml.push_str("</annotation>\n");
    xml
}

/// Adds the `<object>` of an object.
pub(super) fn write_object(xml: &mut String, dataset: &Dataset, object: &Object) {
    let class = dataset.classes.get(object.class).map_or("", |class| class.name.as_str());
    let class = if class.trim().is_empty() { UNNAMED } else { class };
    let [x1, y1, x2, y2] = object.bbox;
    let _ = writeln!(
        xml,
        concat!(
            "\t<object>\n\t\t<name>{}</name>\n\t\t<pose>Unspecified</pose>\n",
            "\t\t<truncated>{}</truncated>\n\t\t<difficult>{}</difficult>\n\t\t<bndbox>\n",
            "\t\t\t<xmin>{}</xmin>\n\t\t\t<ymin>{}</ymin>\n",
            "\t\t\t<xmax>{}</xmax>\n\t\t\t<ymax>{}</ymax>\n\t\t</bndbox>\n\t</object>"
        ),
        escape(class),
        u8::from(object.truncated),
        u8::from(object.difficult),
        x1,
        y1,
        x2,
        y2,
    );
}
