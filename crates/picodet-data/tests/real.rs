//! The real datasets in the shared folder.

mod common;

use std::path::Path;

use picodet_data::{
    CheckOptions, Dataset, FindingKind, Format, check, render_html, render_json, render_text,
};

#[test]
fn bccd_has_its_two_zero_size_boxes() {
    let Some(shared) = common::shared() else { return };
    let root = shared.join("data/bccd");
    let checked = check(&root, None, &CheckOptions::default()).unwrap();
    let report = &checked.report;
    let splits: Vec<(&str, usize)> =
        report.datasets.iter().map(|part| (part.split.as_str(), part.images)).collect();
    assert_eq!(splits, [("train", 205), ("val", 87), ("test", 72)]);
    let empty: Vec<_> = report.findings.list().iter().filter(|f| f.kind == FindingKind::BoxEmpty).collect();
    assert_eq!(empty.len(), 2, "{empty:?}");
    for finding in empty {
        let text = std::fs::read_to_string(&finding.location.file).unwrap();
        let line = text.lines().nth(finding.location.line.unwrap() as usize - 1).unwrap();
        assert!(line.contains("<object>"), "{finding} points at {line}");
    }
    // The COCO JSON of the same images has the same boxes.
    let coco = Dataset::open(root.join("coco_trainval.json"), None).unwrap();
    let voc = Dataset::open(&root, Some("trainval")).unwrap();
    let boxes = |dataset: &Dataset| {
        let mut boxes: Vec<(String, String, String)> = Vec::new();
        for image in &dataset.images {
            for object in &image.objects {
                boxes.push((
                    image.file.rsplit('/').next().unwrap().to_string(),
                    dataset.classes[object.class].name.clone(),
                    format!("{:?}", object.bbox),
                ));
            }
        }
        boxes.sort();
        boxes
    };
    // The COCO file lacks some boxes; all of its boxes must be in the XML.
    let (coco_boxes, voc_boxes) = (boxes(&coco), boxes(&voc));
    let lost: Vec<_> = coco_boxes.iter().filter(|b| voc_boxes.binary_search(b).is_err()).collect();
    assert!(lost.is_empty() && coco.images.len() == voc.images.len(), "{lost:?}");
    assert!(voc_boxes.len() - coco_boxes.len() <= 2);
}

#[test]
fn coco_mini_opens_by_split_and_has_no_errors() {
    let Some(shared) = common::shared() else { return };
    let root = shared.join("data/coco-mini");
    assert_eq!(picodet_data::splits(&root).unwrap(), ["train", "val"]);
    let val = Dataset::open(&root, Some("val")).unwrap();
    let by_file = Dataset::open(root.join("instances_val.json"), None).unwrap();
    assert_eq!((val.format, val.images.len(), val.object_count()), (Format::COCO, 106, 963));
    assert_eq!(val.images, by_file.images);
    assert_eq!(val.classes.len(), 80);
    assert_eq!(val.classes[79].id, 90);
    assert!((0..val.images.len()).all(|index| val.image_path(index).unwrap().is_file()));
    assert!(Dataset::open(&root, None).unwrap_err().to_string().contains("train, val"));
    assert!(Dataset::open(&root, Some("test")).unwrap_err().to_string().contains("train, val"));

    let checked = check(&root, None, &CheckOptions::default()).unwrap();
    let errors: Vec<String> = checked.report.findings.list().iter().map(ToString::to_string).collect();
    assert!(checked.report.exit_code() < 2, "{errors:#?}");
    assert!(render_text(&checked.report).contains("106 images"));
    let json: serde_json::Value = serde_json::from_str(&render_json(&checked.report)).unwrap();
    assert_eq!(json["datasets"][1]["objects"], 963);
    assert_html(&render_html(&checked));
}

/// The page refers to no external resource.
fn assert_html(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("data:image/jpeg;base64,"));
    for foreign in ["http://", "https://", "src=", "<script", "<link", "@import", "url("] {
        assert!(!page.contains(foreign), "the page contains {foreign}");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    if let Ok(folder) = std::env::var("PICODET_REPORTS") {
        std::fs::write(Path::new(&folder).join("check.html"), page).unwrap();
    }
}
