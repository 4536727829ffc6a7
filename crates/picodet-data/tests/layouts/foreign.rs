//! Formats that are not read are named, with the export to choose instead.

use std::fs;
use std::path::Path;

use picodet_data::{DataError, open_lenient};

fn put(path: impl AsRef<Path>, text: &str) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn formats_that_are_not_read_are_named() {
    let cvat = "<?xml version=\"1.0\"?>\n<annotations>\n<version>1.1</version>\n<meta><task></task></meta>\n</annotations>";
    let datumaro =
        r#"{"info": {}, "categories": {"label": {"labels": []}}, "items": [{"id": "a", "annotations": []}]}"#;
    let supervisely = r#"{"classes": [{"title": "cat", "shape": "rectangle", "color": "red"}], "tags": []}"#;
    let annotation =
        r#"{"description": "", "tags": [], "size": {}, "objects": [{"classTitle": "cat", "points": {}}]}"#;
    let create_ml = r#"[{"image": "a.jpg", "annotations": [{"label": "cat", "coordinates": {"x": 1}}]}]"#;
    let via = r#"{"_via_settings": {}, "_via_img_metadata": {}}"#;
    let kitti = "Car 0.00 0 -1.58 587.01 173.33 614.12 200.12 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n";
    let dota = "imagesource:GoogleEarth\ngsd:0.1\n10.0 10.0 20.0 10.0 20.0 20.0 10.0 20.0 plane 0\n";
    let tensorflow = "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,2,2,cat,0,0,1,1\n";
    let retina_net = "images/a.jpg,1,2,30,40,cat\n";
    let open_images = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n";
    let label_studio = r#"[{"id": 1, "annotations": [{"result": []}], "data": {"image": "a.jpg"}}]"#;
    let captions =
        r#"{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1, "caption": "a"}]}"#;
    let listed = "b.jpg\na 1.jpg 77,20,136,90,0 12,14,50,60,1\n";
    let cases = [
        ("annotations.xml", cvat, "CVAT XML"),
        ("annotations/default.json", datumaro, "Datumaro"),
        ("meta.json", supervisely, "Supervisely"),
        ("ds0/ann/a.jpg.json", annotation, "Supervisely"),
        ("train/_annotations.createml.json", create_ml, "CreateML"),
        ("via_project.json", via, "VGG Image Annotator"),
        ("training/label_2/000000.txt", kitti, "KITTI"),
        ("labelTxt/P0000.txt", dota, "DOTA"),
        ("train_labels.csv", tensorflow, "CSV"),
        ("annotations.csv", retina_net, "CSV"),
        ("train-annotations-bbox.csv", open_images, "CSV"),
        ("train/cats.tfrecord", "x", "TFRecord"),
        ("train/_annotations.txt", listed, "YOLO v4 PyTorch"),
        ("project-1.json", label_studio, "Label Studio"),
        ("annotations/captions_train2017.json", captions, "captions"),
    ];
    let mut wrong = Vec::new();
    for (file, text, name) in cases {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path().join(file), text);
        for path in [folder.path().to_path_buf(), folder.path().join(file)] {
            match open_lenient(&path, None) {
                Err(error @ DataError::ForeignFormat { .. }) => {
                    let message = error.to_string();
                    if !message.contains(name) || message.contains('\n') {
                        wrong.push(format!("{file}: {message}"));
                    }
                }
                other => wrong.push(format!("{}: {:?}", path.display(), other.map(|_| ()))),
            }
        }
    }
    // Files that happen to have these endings are not mistaken.
    for (file, text) in [("log.csv", "epoch,loss\n1,2\n"), ("a.txt", "hello\n"), ("a.xml", "<html></html>")] {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path().join(file), text);
        match open_lenient(folder.path(), None) {
            Err(DataError::UnknownFormat { .. }) => {}
            other => wrong.push(format!("{file}: {:?}", other.map(|_| ()))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
