//! Writes LabelMe files.

use serde::Serialize;

use crate::dataset::{Dataset, ImageRecord, Object};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutFile<'a> {
    version: &'static str,
    flags: serde_json::Map<String, serde_json::Value>,
    shapes: Vec<OutShape<'a>>,
    image_path: &'a str,
    image_data: Option<&'static str>,
    image_height: u32,
    image_width: u32,
}

#[derive(Serialize)]
struct OutShape<'a> {
    label: &'a str,
    points: [[f64; 2]; 2],
    group_id: Option<i64>,
    shape_type: &'static str,
    flags: serde_json::Map<String, serde_json::Value>,
}

/// Returns the rectangle of an object.
pub(super) fn shape_of<'a>(dataset: &'a Dataset, object: &Object) -> impl Serialize + use<'a> {
    out_shape(dataset, object)
}

fn out_shape<'a>(dataset: &'a Dataset, object: &Object) -> OutShape<'a> {
    let [x1, y1, x2, y2] = object.bbox;
    let set = [("crowd", object.crowd), ("difficult", object.difficult), ("truncated", object.truncated)];
    OutShape {
        label: dataset.classes.get(object.class).map_or("", |class| class.name.as_str()),
        points: [[x1, y1], [x2, y2]],
        group_id: None,
        shape_type: "rectangle",
        flags: set
            .into_iter()
            .filter(|(_, on)| *on)
            .map(|(name, on)| (name.to_string(), on.into()))
            .collect(),
    }
}

/// Returns the LabelMe JSON of one image; `image_path` is relative to the JSON.
///
/// # Errors
/// The error of serde_json.
pub fn write_one(
    dataset: &Dataset,
    image: &ImageRecord,
    image_path: &str,
) -> Result<String, serde_json::Error> {
    let shapes = image.objects.iter().map(|object| out_shape(dataset, object)).collect();
    let mut text = serde_json::to_string_pretty(&OutFile {
        version: "5.5.0",
        flags: serde_json::Map::new(),
        shapes,
        image_path,
        image_data: None,
        image_height: image.height,
        image_width: image.width,
    })?;
    text.push('\n');
    Ok(text)
}
