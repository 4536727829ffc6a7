//! Writes one small dataset in the layout of each labelling tool.

use std::fs;
use std::path::Path;

use picodet_image::{Image, encode_png};
use serde_json::{Value, json};

/// Width and height of every image in pixels.
pub(crate) const SIZE: (u32, u32) = (200, 100);
/// The classes, in the order of their indices.
pub(crate) const CLASSES: [&str; 2] = ["cat", "dog"];

/// An image of the dataset.
pub(crate) struct Picture {
    pub(crate) split: &'static str,
    pub(crate) name: &'static str,
    /// Class index and `[x1, y1, x2, y2]` in pixels.
    pub(crate) objects: &'static [(usize, [u32; 4])],
}

/// The dataset that every tool writes.
pub(crate) const PICTURES: [Picture; 3] = [
    Picture { split: "train", name: "a 1", objects: &[(0, [20, 10, 60, 50]), (1, [100, 20, 180, 80])] },
    Picture { split: "train", name: "b", objects: &[(1, [10, 10, 50, 90])] },
    Picture { split: "val", name: "c", objects: &[(0, [40, 20, 120, 70])] },
];

/// A tool: its name, a function that writes its export, and the number of splits in it.
pub(crate) type Tool = (&'static str, fn(&Path), usize);

/// All tools.
pub(crate) const TOOLS: &[Tool] = &[
    ("coco-2017", coco_2017, 2),
    ("roboflow-coco", roboflow_coco, 2),
    ("roboflow-voc", roboflow_voc, 2),
    ("roboflow-yolo", roboflow_yolo, 2),
    ("roboflow-darknet", roboflow_darknet, 2),
    ("label-studio-yolo", label_studio_yolo, 0),
    ("label-studio-coco", label_studio_coco, 1),
    ("cvat-yolo-1.1", cvat_yolo, 2),
    ("cvat-ultralytics", cvat_ultralytics, 2),
    ("cvat-coco", cvat_coco, 1),
    ("cvat-voc", cvat_voc, 1),
    ("labelimg-voc", labelimg_voc, 0),
    ("labelimg-yolo", labelimg_yolo, 0),
    ("voc-devkit", voc_devkit, 2),
    ("raccoon", raccoon, 2),
    ("paddlex-coco", paddlex_coco, 2),
    ("paddlex-voc", paddlex_voc, 2),
    ("paddledetection-voc", paddledetection_voc, 2),
    ("fiftyone-coco", fiftyone_coco, 1),
    ("fiftyone-yolov4", fiftyone_yolov4, 1),
    ("fiftyone-yolov5", fiftyone_yolov5, 2),
    ("fiftyone-voc", fiftyone_voc, 0),
    ("labelme", labelme, 0),
    ("x-anylabeling", x_anylabeling, 0),
    ("ultralytics-pose", ultralytics_pose, 2),
    ("ultralytics-segment", ultralytics_segment, 2),
    ("ultralytics-obb", ultralytics_obb, 2),
    ("windows-coco", windows_coco, 2),
    ("wrapped", wrapped, 2),
];

fn put(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn image(path: impl AsRef<Path>) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let seed = path.file_name().unwrap().to_string_lossy().bytes().fold(7u8, u8::wrapping_add);
    let pixels = (0..SIZE.1).flat_map(|y| {
        (0..SIZE.0).flat_map(move |x| [(x as u8).wrapping_mul(3) ^ seed, y as u8, seed.wrapping_mul(37)])
    });
    let image = Image::new(SIZE.0 as usize, SIZE.1 as usize, pixels.collect()).unwrap();
    fs::write(path, encode_png(&image)).unwrap();
}

/// Writes every image to the folder that `folder` returns for its split.
fn images(root: &Path, folder: impl Fn(&str) -> String) {
    for picture in &PICTURES {
        image(root.join(folder(picture.split)).join(format!("{}.png", picture.name)));
    }
}

fn of_split(split: &str) -> Vec<&'static Picture> {
    PICTURES.iter().filter(|picture| split == "all" || picture.split == split).collect()
}

/// A COCO document of a split; `file` returns the path of an image.
fn coco(split: &str, file: impl Fn(&Picture) -> String) -> Value {
    let pictures = of_split(split);
    let mut annotations = Vec::new();
    for (index, picture) in pictures.iter().enumerate() {
        for (class, [x1, y1, x2, y2]) in picture.objects {
            annotations.push(json!({
                "id": annotations.len() + 1, "image_id": index + 1, "category_id": class + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0, "segmentation": []
            }));
        }
    }
    let images: Vec<Value> = (pictures.iter().enumerate())
        .map(|(index, picture)| json!({"id": index + 1, "file_name": file(picture), "width": SIZE.0, "height": SIZE.1}))
        .collect();
    let categories: Vec<Value> =
        CLASSES.iter().enumerate().map(|(index, name)| json!({"id": index + 1, "name": name})).collect();
    json!({"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": categories})
}

fn plain(picture: &Picture) -> String {
    format!("{}.png", picture.name)
}

/// A VOC file; `head` is placed before the objects.
fn voc(picture: &Picture, before: &str, head: &str) -> String {
    let mut xml = format!(
        "{before}<annotation>\n<filename>{}.png</filename>\n{head}<size><width>200</width><height>100</height></size>\n",
        picture.name
    );
    for (class, [x1, y1, x2, y2]) in picture.objects {
        xml += &format!(
            "<object><name>{}</name><pose>Unspecified</pose><truncated>Unspecified</truncated>\
             <difficult>No</difficult><bndbox><ymin>{y1}.0</ymin><xmin>{x1}.0</xmin><ymax>{y2}</ymax>\
             <xmax>{x2}</xmax></bndbox></object>\n",
            CLASSES[*class]
        );
    }
    xml + "</annotation>\n"
}

/// YOLO rows; `more` are further columns.
fn rows(picture: &Picture, first: usize, more: &str) -> String {
    let row = |(class, [x1, y1, x2, y2]): &(usize, [u32; 4])| {
        let (x, y) = (f64::from(x1 + x2) / 400.0, f64::from(y1 + y2) / 200.0);
        let (w, h) = (f64::from(x2 - x1) / 200.0, f64::from(y2 - y1) / 100.0);
        format!("{} {x} {y} {w} {h}{more}\n", class + first)
    };
    picture.objects.iter().map(row).collect()
}

/// YOLO rows of polygons.
fn polygons(picture: &Picture, points: usize) -> String {
    let row = |(class, [x1, y1, x2, y2]): &(usize, [u32; 4])| {
        let corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y2)];
        let text: String = (corners[..points].iter())
            .map(|(x, y)| format!(" {} {}", f64::from(**x) / 200.0, f64::from(**y) / 100.0))
            .collect();
        format!("{class}{text}\n")
    };
    picture.objects.iter().map(row).collect()
}

fn labels(root: &Path, folder: impl Fn(&str) -> String, text: impl Fn(&Picture) -> String) {
    for picture in &PICTURES {
        put(root.join(folder(picture.split)).join(format!("{}.txt", picture.name)), text(picture));
    }
}

fn coco_2017(root: &Path) {
    images(root, |split| format!("{split}2017"));
    for split in ["train", "val"] {
        let document = coco(split, plain);
        put(root.join(format!("annotations/instances_{split}2017.json")), document.to_string());
        let mut captions = document.clone();
        captions["annotations"] = json!([{"id": 1, "image_id": 1, "caption": "a cat"}]);
        captions.as_object_mut().unwrap().remove("categories");
        put(root.join(format!("annotations/captions_{split}2017.json")), captions.to_string());
        let mut keypoints = document;
        keypoints["categories"] = json!([{"id": 1, "name": "person", "keypoints": ["nose"]}]);
        keypoints["annotations"] = json!([]);
        put(root.join(format!("annotations/person_keypoints_{split}2017.json")), keypoints.to_string());
    }
}

fn roboflow(split: &str) -> String {
    if split == "val" { "valid".to_string() } else { split.to_string() }
}

fn roboflow_coco(root: &Path) {
    images(root, roboflow);
    for split in ["train", "val"] {
        put(root.join(roboflow(split)).join("_annotations.coco.json"), coco(split, plain).to_string());
    }
    put(root.join("README.dataset.txt"), "exported");
}

fn roboflow_voc(root: &Path) {
    images(root, roboflow);
    for picture in &PICTURES {
        put(root.join(roboflow(picture.split)).join(format!("{}.xml", picture.name)), voc(picture, "", ""));
    }
}

fn roboflow_yolo(root: &Path) {
    images(root, |split| format!("{}/images", roboflow(split)));
    labels(root, |split| format!("{}/labels", roboflow(split)), |picture| rows(picture, 0, ""));
    let yaml = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 2\nnames: ['cat', 'dog']\n";
    put(root.join("data.yaml"), yaml.replace("test: ../test/images\n", "test: null\n"));
}

fn roboflow_darknet(root: &Path) {
    images(root, roboflow);
    labels(root, roboflow, |picture| rows(picture, 0, ""));
    for split in ["train", "valid"] {
        put(root.join(split).join("_darknet.labels"), "cat\ndog");
    }
    put(root.join("README.roboflow.txt"), "my set - v1\n");
}

fn label_studio_yolo(root: &Path) {
    images(root, |_| "images".to_string());
    labels(root, |_| "labels".to_string(), |picture| rows(picture, 0, ""));
    put(root.join("classes.txt"), "cat\ndog\n");
    let notes =
        json!({"categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}], "info": {"year": 2026}});
    put(root.join("notes.json"), notes.to_string());
}

fn label_studio_coco(root: &Path) {
    images(root, |_| "images".to_string());
    let document = coco("all", |picture| format!("images\\{}.png", picture.name));
    put(root.join("result.json"), document.to_string());
}

fn cvat_yolo(root: &Path) {
    let folder = |split: &str| format!("obj_{}_data", if split == "val" { "valid" } else { "train" });
    images(root, folder);
    labels(root, folder, |picture| rows(picture, 0, ""));
    put(root.join("obj.names"), "cat\ndog\n");
    put(
        root.join("obj.data"),
        "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\nbackup = backup/\n",
    );
    for (split, list) in [("train", "train.txt"), ("val", "valid.txt")] {
        let lines: String = of_split(split)
            .iter()
            .map(|picture| format!("data/{}/{}.png\n", folder(split), picture.name))
            .collect();
        put(root.join(list), lines);
    }
}

fn cvat_ultralytics(root: &Path) {
    images(root, |split| format!("images/{split}"));
    labels(root, |split| format!("labels/{split}"), |picture| rows(picture, 0, ""));
    put(root.join("data.yaml"), "names:\n  0: cat\n  1: dog\npath: .\ntrain: train.txt\nval: val.txt\n");
    for split in ["train", "val"] {
        let lines: String = of_split(split)
            .iter()
            .map(|picture| format!("data/images/{split}/{}.png\n", picture.name))
            .collect();
        put(root.join(format!("{split}.txt")), lines);
    }
}

fn cvat_coco(root: &Path) {
    images(root, |_| "images/default".to_string());
    put(root.join("annotations/instances_default.json"), coco("all", plain).to_string());
}

fn cvat_voc(root: &Path) {
    images(root, |_| "JPEGImages".to_string());
    for picture in &PICTURES {
        put(root.join(format!("Annotations/{}.xml", picture.name)), voc(picture, "", ""));
    }
    put(
        root.join("labelmap.txt"),
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:1,1,1::\ndog:2,2,2::\n",
    );
    put(root.join("ImageSets/Main/default.txt"), "\"a 1\"\nb\nc\n");
}

fn labelimg_voc(root: &Path) {
    images(root, |_| ".".to_string());
    for picture in &PICTURES {
        let head = format!("<folder>x</folder><path>C:\\Users\\me\\x\\{}.png</path>\n", picture.name);
        put(root.join(format!("{}.xml", picture.name)), voc(picture, "", &head));
    }
    put(root.join("predefined_classes.txt"), "dog\nperson\ncat\n");
}

fn labelimg_yolo(root: &Path) {
    images(root, |_| ".".to_string());
    labels(root, |_| ".".to_string(), |picture| rows(picture, 0, ""));
    put(root.join("classes.txt"), "cat\r\ndog\r\n");
}

fn voc_devkit(root: &Path) {
    let year = |picture: &Picture| if picture.name == "b" { "VOC2012" } else { "VOC2007" };
    for picture in &PICTURES {
        let folder = root.join("VOCdevkit").join(year(picture));
        image(folder.join(format!("JPEGImages/{}.png", picture.name)));
        let head = "<?xml version=\"1.0\"?>\n<!DOCTYPE annotation SYSTEM \"voc.dtd\">\n";
        put(folder.join(format!("Annotations/{}.xml", picture.name)), voc(picture, head, ""));
    }
    put(root.join("VOCdevkit/VOC2007/ImageSets/Main/train.txt"), "a 1\n");
    put(root.join("VOCdevkit/VOC2007/ImageSets/Main/val.txt"), "c\n");
    put(root.join("VOCdevkit/VOC2007/ImageSets/Main/cat_train.txt"), "a 1  1\n");
    put(root.join("VOCdevkit/VOC2007/ImageSets/Main/dog_val.txt"), "c -1\n");
    put(root.join("VOCdevkit/VOC2012/ImageSets/Main/train.txt"), "b\n");
}

fn raccoon(root: &Path) {
    let folder = |split: &str| if split == "val" { "test".to_string() } else { "train".to_string() };
    images(root, folder);
    for picture in &PICTURES {
        put(root.join(folder(picture.split)).join(format!("{}.xml", picture.name)), voc(picture, "", ""));
    }
}

fn paddlex_coco(root: &Path) {
    images(root, |_| "images".to_string());
    for split in ["train", "val"] {
        put(root.join(format!("annotations/instance_{split}.json")), coco(split, plain).to_string());
    }
}

fn paddlex_voc(root: &Path) {
    images(root, |_| "JPEGImages".to_string());
    for picture in &PICTURES {
        put(root.join(format!("Annotations/{}.xml", picture.name)), voc(picture, "", ""));
    }
    put(root.join("labels.txt"), "cat\ndog\n");
    put(
        root.join("train_list.txt"),
        "JPEGImages/a 1.png Annotations/a 1.xml\nJPEGImages/b.png Annotations/b.xml\n",
    );
    put(root.join("val_list.txt"), "JPEGImages\\c.png Annotations\\c.xml\n");
}

fn paddledetection_voc(root: &Path) {
    images(root, |_| "roadsign/pictures".to_string());
    for picture in &PICTURES {
        put(root.join(format!("roadsign/marks/{}.xml", picture.name)), voc(picture, "", ""));
    }
    put(root.join("label_list.txt"), "cat\ndog\n");
    put(
        root.join("train.txt"),
        "./roadsign/pictures/a 1.png ./roadsign/marks/a 1.xml\n./roadsign/pictures/b.png ./roadsign/marks/b.xml\n",
    );
    put(root.join("valid.txt"), "./roadsign/pictures/c.png ./roadsign/marks/c.xml\n");
}

fn fiftyone_coco(root: &Path) {
    images(root, |_| "data".to_string());
    put(root.join("labels.json"), coco("all", plain).to_string());
}

fn fiftyone_yolov4(root: &Path) {
    images(root, |_| "data".to_string());
    labels(root, |_| "data".to_string(), |picture| rows(picture, 0, ""));
    put(root.join("obj.names"), "cat\ndog\n");
    put(root.join("images.txt"), "data/a 1.png\ndata/b.png\ndata/c.png\n");
}

fn fiftyone_yolov5(root: &Path) {
    images(root, |split| format!("images/{split}"));
    labels(root, |split| format!("labels/{split}"), |picture| rows(picture, 1, ""));
    put(
        root.join("dataset.yaml"),
        "names:\n  1: cat\n  2: dog\npath: /tmp/export\ntrain: ./images/train/\nval: ./images/val/\n",
    );
}

fn fiftyone_voc(root: &Path) {
    images(root, |_| "data".to_string());
    for picture in &PICTURES {
        put(root.join(format!("labels/{}.xml", picture.name)), voc(picture, "", ""));
    }
}

/// A LabelMe file.
fn labelme_file(picture: &Picture, more: Value) -> String {
    let shapes: Vec<Value> = (picture.objects.iter())
        .map(|(class, [x1, y1, x2, y2])| {
            json!({"label": CLASSES[*class], "points": [[x2, y2], [x1, y1]], "group_id": null,
                   "shape_type": "rectangle", "flags": {}})
        })
        .collect();
    let mut file = json!({
        "version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": format!("..\\pictures\\{}.png", picture.name),
        "imageData": null, "imageHeight": SIZE.1, "imageWidth": SIZE.0
    });
    file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    file.to_string()
}

fn labelme(root: &Path) {
    images(root, |_| "pictures".to_string());
    for picture in &PICTURES {
        put(root.join(format!("labels/{}.json", picture.name)), labelme_file(picture, json!({})));
    }
}

fn x_anylabeling(root: &Path) {
    images(root, |_| ".".to_string());
    for picture in &PICTURES {
        let more =
            json!({"version": "3.2.0", "imagePath": plain(picture), "description": "", "checked": true});
        put(root.join(format!("{}.json", picture.name)), labelme_file(picture, more));
    }
}

fn ultralytics(root: &Path, yaml: &str, text: impl Fn(&Picture) -> String) {
    images(root, |split| format!("images/{split}"));
    labels(root, |split| format!("labels/{split}"), text);
    put(
        root.join("custom.yml"),
        format!("path: ../datasets/custom\ntrain: images/train\nval: images/val\n{yaml}"),
    );
}

fn ultralytics_pose(root: &Path) {
    let yaml = "kpt_shape: [2, 3]\nflip_idx: [1, 0]\nnames: {0: cat, 1: dog}\n";
    ultralytics(root, yaml, |picture| rows(picture, 0, " 0.5 0.5 2 0.4 0.4 1"));
}

fn ultralytics_segment(root: &Path) {
    ultralytics(root, "names: [cat, dog]\n", |picture| polygons(picture, 5));
}

fn ultralytics_obb(root: &Path) {
    ultralytics(root, "names:\n  0: cat\n  1: dog\n", |picture| polygons(picture, 4));
}

fn windows_coco(root: &Path) {
    images(root, |split| format!("pictures/{split}"));
    for split in ["train", "val"] {
        let document = coco(split, |picture| format!("D:\\work\\pictures\\{split}\\{}.PNG", picture.name));
        // Notepad writes UTF-16 with a byte order mark.
        let text = format!("\u{feff}{document}");
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        put(root.join(format!("annotations/{split}.json")), bytes);
    }
}

fn wrapped(root: &Path) {
    roboflow_yolo(&root.join("project.v1i.yolov8"));
    put(root.join("__MACOSX/._data.yaml"), "");
}
