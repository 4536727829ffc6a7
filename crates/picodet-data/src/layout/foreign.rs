//! Recognises annotation formats that are not read, with the export to choose instead.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::format::yolo::is_dota;
use crate::image_file::EXTENSIONS;
use crate::input::open_regular;
use crate::sniff::{JsonKind, files_with_extension, json_kind};
use crate::split_name::subfolders;
use crate::walk::has_extension;

/// A format that is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// Name of the format.
    pub(crate) format: &'static str,
    /// The export to choose instead.
    pub(crate) remedy: &'static str,
}

const CVAT: Foreign = Foreign {
    format: "CVAT XML",
    remedy: "export the task from CVAT as `COCO 1.0` or `Ultralytics YOLO Detection 1.0`",
};
const DATUMARO: Foreign = Foreign {
    format: "Datumaro JSON",
    remedy: "export as `COCO 1.0`, or convert it with Datumaro to `coco_instances`",
};
const SUPERVISELY: Foreign = Foreign {
    format: "Supervisely JSON",
    remedy: "export the project with the app `Export to COCO` or `Convert to YOLO`",
};
const CREATE_ML: Foreign = Foreign { format: "CreateML JSON", remedy: "export as COCO, Pascal VOC or YOLO" };
const VIA: Foreign = Foreign {
    format: "VGG Image Annotator JSON",
    remedy: "choose `Export Annotations (COCO format)` in VIA",
};
const LABEL_STUDIO: Foreign = Foreign {
    format: "Label Studio JSON",
    remedy: "export as `COCO`, `YOLO with Images` or `Pascal VOC XML`",
};
const CAPTIONS: Foreign =
    Foreign { format: "COCO captions, without boxes", remedy: "open the `instances_*.json` file" };
const TF_RECORD: Foreign = Foreign { format: "TFRecord", remedy: "export as COCO, Pascal VOC or YOLO" };
const CSV: Foreign = Foreign {
    format: "CSV with boxes (TensorFlow, RetinaNet, OpenImages or VIA)",
    remedy: "export as COCO, Pascal VOC or YOLO",
};
const LISTED_BOXES: Foreign = Foreign {
    format: "a list of images with boxes (YOLO v4 PyTorch and YOLO v3 Keras of Roboflow, keras-yolo3)",
    remedy: "export as `YOLO v8`, `COCO` or `Pascal VOC`",
};
const KITTI: Foreign = Foreign { format: "KITTI labels", remedy: "convert to YOLO or COCO" };
const DOTA: Foreign = Foreign {
    format: "DOTA labels",
    remedy: "convert to YOLO OBB rows (`class x1 y1 x2 y2 x3 y3 x4 y4`, as fractions)",
};

/// Number of files of each kind that are inspected.
const INSPECTED: usize = 10;

/// Recognises a file or folder of another format.
pub(super) fn recognise(path: &Path) -> Option<Foreign> {
    if path.is_file() {
        return of_file(path);
    }
    let below = subfolders(path).into_iter().take(INSPECTED).map(|name| path.join(name));
    let further = below.clone().flat_map(|folder| {
        subfolders(&folder).into_iter().take(INSPECTED).map(move |name| folder.join(name)).collect::<Vec<_>>()
    });
    std::iter::once(path.to_path_buf()).chain(below).chain(further).find_map(|folder| of_folder(&folder))
}

fn of_folder(folder: &Path) -> Option<Foreign> {
    let extensions = ["xml", "json", "csv", "tfrecord", "tfrecords", "record", "txt"];
    extensions.into_iter().find_map(|extension| {
        let files: Vec<PathBuf> = files_with_extension(folder, &[extension]);
        files.iter().take(INSPECTED).find_map(|file| of_file(file))
    })
}

/// Recognises a file of another format.
pub(crate) fn of_file(file: &Path) -> Option<Foreign> {
    let extension = file.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "xml" => {
            let start = beginning(file)?;
            (start.contains("<annotations>") && (start.contains("<meta>") || start.contains("<version>")))
                .then_some(CVAT)
        }
        "json" => match json_kind(file) {
            JsonKind::Datumaro => Some(DATUMARO),
            JsonKind::CreateMl => Some(CREATE_ML),
            JsonKind::Via => Some(VIA),
            JsonKind::LabelStudio => Some(LABEL_STUDIO),
            JsonKind::Supervisely => Some(SUPERVISELY),
            JsonKind::CocoCaptions => Some(CAPTIONS),
            _ => None,
        },
        "tfrecord" | "tfrecords" | "record" => Some(TF_RECORD),
        "csv" => {
            let start = beginning(file)?.to_ascii_lowercase();
            let header = start.lines().next()?;
            let columns: Vec<&str> =
                header.split(',').map(|column| column.trim_matches(['"', ' '])).collect();
            let known = ["xmin", "x_min", "region_shape_attributes", "bbox"];
            let retina_net =
                columns.len() == 6 && columns[1..5].iter().all(|column| column.parse::<f64>().is_ok());
            (columns.iter().any(|column| known.contains(column)) || retina_net).then_some(CSV)
        }
        "txt" => {
            let start = beginning(file)?;
            if start.lines().any(has_listed_box) {
                return Some(LISTED_BOXES);
            }
            let row: Vec<&str> =
                start.lines().rfind(|line| line.split_whitespace().count() > 8)?.split_whitespace().collect();
            let numbers = |range: &[&str]| range.iter().all(|text| text.parse::<f64>().is_ok());
            let word = |text: &str| text.parse::<f64>().is_err();
            if matches!(row.len(), 15 | 16) && word(row[0]) && numbers(&row[1..]) {
                Some(KITTI)
            } else {
                is_dota(&row).then_some(DOTA)
            }
        }
        _ => None,
    }
}

/// Whether a line is `image.jpg x1,y1,x2,y2,class …`.
fn has_listed_box(line: &str) -> bool {
    let is_box = |column: &str| {
        let numbers: Vec<&str> = column.split(',').collect();
        numbers.len() == 5 && numbers.iter().all(|number| number.parse::<f64>().is_ok())
    };
    let is_image = |column: &str| has_extension(column, EXTENSIONS);
    line.split_whitespace().skip_while(|column| !is_image(column)).nth(1).is_some_and(is_box)
}

/// The first kilobytes of a file as text; an incomplete last line is removed.
fn beginning(file: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    open_regular(file).ok()?.take(4096).read_to_end(&mut bytes).ok()?;
    let full = bytes.len() == 4096;
    let text = String::from_utf8_lossy(&bytes);
    match (full, text.rfind('\n')) {
        (true, Some(end)) => Some(text[..end].to_string()),
        _ => Some(text.into_owned()),
    }
}
