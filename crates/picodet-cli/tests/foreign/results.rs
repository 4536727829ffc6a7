//! Results of other programs.

use std::path::Path;
use std::process::{Command as Process, Stdio};

use picodet_testing::Cases;
use serde_json::{Value, json};

use super::{PAGE, PHOTO, run};

/// COCO results that are the objects of the data, with a slight shift.
fn results(folder: &Path, change: impl Fn([f64; 4], [f64; 2]) -> [f64; 4]) -> Value {
    let text = std::fs::read_to_string(folder.join("data.json")).expect("the annotations");
    let data: Value = serde_json::from_str(&text).expect("JSON");
    let number = |value: &Value| value.as_f64().expect("a number");
    let sides = |id: &Value| {
        let images = data["images"].as_array().expect("images");
        let image = images.iter().find(|image| &image["id"] == id).expect("the image");
        [number(&image["width"]), number(&image["height"])]
    };
    let objects = data["annotations"].as_array().expect("annotations");
    let entries = objects.iter().enumerate().map(|(index, object)| {
        let values: Vec<f64> = object["bbox"].as_array().expect("a box").iter().map(number).collect();
        let bbox = change([values[0], values[1], values[2], values[3]], sides(&object["image_id"]));
        json!({"image_id": object["image_id"], "category_id": object["category_id"], "bbox": bbox, "score": 0.9 - 0.01 * index as f64})
    });
    entries.collect()
}

/// Writes a set of three images with objects away from the corner.
fn write_data(folder: &Path) {
    let images: Vec<Value> = (1..=3)
        .map(|id| json!({"id": id, "file_name": format!("{id}.jpg"), "width": 600, "height": 400}))
        .collect();
    let mut annotations = Vec::new();
    for image in 1..=3 {
        for (index, bbox) in [[50, 60, 100, 200], [300, 100, 200, 80], [450, 250, 90, 120]].iter().enumerate()
        {
            let id = annotations.len() + 1;
            let area = bbox[2] * bbox[3];
            annotations.push(json!({
                "id": id, "image_id": image, "category_id": index + 1, "bbox": bbox, "area": area, "iscrowd": 0
            }));
        }
    }
    let categories: Vec<Value> = (1..=3).map(|id| json!({"id": id, "name": format!("kind {id}")})).collect();
    let data = json!({"images": images, "annotations": annotations, "categories": categories});
    std::fs::write(folder.join("data.json"), data.to_string()).expect("a file");
}

/// A change of a box in an image with these sides.
type Change<'a> = &'a dyn Fn([f64; 4], [f64; 2]) -> [f64; 4];

#[test]
fn eval_says_in_which_form_results_would_match() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_data(folder);
    let eval = |results: &Value| {
        std::fs::write(folder.join("found.json"), results.to_string()).expect("a file");
        let (code, _, err) = run(folder, &["eval", "data.json", "--detections", "found.json"]);
        assert_eq!(code, 0, "{err}");
        err
    };
    let mut cases = Cases::new();
    let right = eval(&results(folder, |bbox, _| bbox));
    cases.check(format!("right: {right}"), !right.contains("found.json"));
    let forms: [(Change<'_>, &str); 4] = [
        (
            &|[x, y, w, h], _| [x + w / 2.0, y + h / 2.0, w, h],
            "read as [centre x, centre y, width, height] in pixels",
        ),
        (&|[x, y, w, h], [width, height]| [x / width, y / height, w / width, h / height], "in fractions"),
        (&|[x, y, w, h], _| [x, y, x + w, y + h], "read as [left, top, right, bottom] in pixels"),
        (
            &|[x, y, w, h], [width, height]| {
                [x / width, y / height, w / width, h / height].map(|value| value * 416.0)
            },
            "in pixels of an input of 416×416",
        ),
    ];
    for (change, expected) in forms {
        let err = eval(&results(folder, change));
        cases.check(format!("{expected}: {err}"), err.contains(expected));
    }
    let mut shifted = results(folder, |bbox, _| bbox);
    for entry in shifted.as_array_mut().into_iter().flatten() {
        entry["category_id"] = (entry["category_id"].as_i64().unwrap_or_default() - 1).into();
    }
    let err = eval(&shifted);
    cases.check(format!("from 0: {err}"), err.contains("one less than the dataset's ids"));
    let changed = |change: &dyn Fn(usize, &mut Value)| {
        let mut found = results(folder, |bbox, _| bbox);
        found
            .as_array_mut()
            .into_iter()
            .flatten()
            .enumerate()
            .for_each(|(index, entry)| change(index, entry));
        found
    };
    let err = eval(&changed(&|_, entry| entry["score"] = json!(1)));
    cases.check(format!("equal scores: {err}"), err.contains("all 9 scores are 1;"));
    let err = eval(&changed(&|index, entry| entry["score"] = json!(90 - index)));
    cases.check(format!("percent: {err}"), err.contains("the scores are from 82 to 90"));
    let err = eval(&changed(&|_, entry| entry["file_name"] = json!("2.jpg")));
    cases.check(
        format!("names: {err}"),
        err.contains("6 of 9 detections have an `image_id` and a `file_name`"),
    );
    let twice: Vec<Value> = [right_results(folder), right_results(folder)].concat();
    let err = eval(&Value::Array(twice));
    cases.check(
        format!("twice: {err}"),
        err.contains("every detection is in the file twice, 18 instead of 9"),
    );
    cases.finish();
}

fn right_results(folder: &Path) -> Vec<Value> {
    results(folder, |bbox, _| bbox).as_array().cloned().unwrap_or_default()
}

#[test]
fn eval_names_shifted_image_ids_and_other_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    // Images with objects at different places, whose ids begin at 11.
    let images: Vec<Value> = (11..15)
        .map(|id| json!({"id": id, "file_name": format!("a{id}.jpg"), "width": 600, "height": 400}))
        .collect();
    let annotations: Vec<Value> = (0..4)
        .map(|index| {
            let bbox = [10 + 140 * index, 50, 100, 100];
            json!({"id": index + 1, "image_id": index + 11, "category_id": 1, "bbox": bbox, "area": 10_000, "iscrowd": 0})
        })
        .collect();
    let data = json!({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "a"}]});
    std::fs::write(folder.join("data.json"), data.to_string()).expect("a file");
    let eval = |text: &str| {
        std::fs::write(folder.join("found.json"), text).expect("a file");
        let (code, _, err) = run(folder, &["eval", "data.json", "--detections", "found.json"]);
        (code, err)
    };
    let with_ids = |first: i64| {
        let mut found = results(folder, |bbox, _| bbox);
        for (index, entry) in found.as_array_mut().into_iter().flatten().enumerate() {
            entry["image_id"] = (first + index as i64).into();
        }
        eval(&found.to_string())
    };
    let mut cases = Cases::new();
    let (code, err) = with_ids(11);
    cases.check(format!("right: {err}"), code == 0 && !err.contains("found.json"));
    for (first, expected) in
        [(10, "one less than the dataset's ids, 4"), (12, "one more than the dataset's ids, 4")]
    {
        let (code, err) = with_ids(first);
        cases.check(format!("{expected}: {err}"), code == 0 && err.contains(expected));
    }
    let (code, err) = with_ids(0);
    let expected = "with image ids read as positions in the dataset's list, from 0, 4";
    let is_named = err.contains("image_id 0;") && err.contains(expected) && err.lines().count() == 1;
    cases.check(format!("from 0: {err}"), code == 2 && is_named);
    let forms = [
        ("null".to_owned(), "found.json: `null`; a results file is"),
        ("{}".to_owned(), "found.json: an empty object"),
        ("\"none\"".to_owned(), "found.json: a single text"),
        (data.to_string(), "found.json: a COCO dataset file"),
        (
            r#"[{"boxes": [[1, 2, 3, 4]], "labels": [1], "scores": [0.5]}]"#.to_owned(),
            "torchvision's outputs",
        ),
        ("[[[[0, 0, 5, 5, 0.5]], []]]".to_owned(), "MMDetection's lists"),
    ];
    for (text, expected) in forms {
        let (code, err) = eval(&text);
        let is_named = err.contains(expected) && err.lines().count() == 1;
        cases.check(format!("{expected}: {err}"), code == 2 && is_named);
    }
    let (code, err) = eval("[]");
    cases.check(format!("empty: {err}"), code == 0 && err.contains("the file has no detections"));
    cases.finish();
}

#[test]
fn verify_needs_detections_to_compare() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let model = picodet::LAYOUT_MODEL;
    let compare = |second: &str, more: &[&str]| {
        run(folder, &[&["verify", model, second, "--images", PAGE], more].concat())
    };
    let (code, found, err) = compare(model, &[]);
    assert_eq!(code, 0, "{err}");
    assert!(found.contains("counterparts differ by at most"), "{found}");
    let page = json!({"images": [{"id": 1, "file_name": "page.png", "width": 600, "height": 800}], "annotations": [], "categories": []});
    std::fs::write(folder.join("page.json"), page.to_string()).expect("a file");
    std::fs::write(folder.join("none.json"), "[]").expect("a file");
    let (code, found, _) =
        run(folder, &["verify", model, "none.json", "--images", PAGE, "--annotations", "page.json"]);
    assert!(code == 1 && found.contains("1: 0 of ") && !found.contains("counterparts differ"), "{found}");
    let (code, _, err) = compare(model, &["--score", "1"]);
    assert!(code == 1 && err.contains("no comparison; lower --score"), "{err}");
    std::fs::write(folder.join("found.csv"), "image,score\n").expect("a file");
    let (code, _, err) = compare("found.csv", &[]);
    assert!(code == 2 && err.contains("found.csv: neither a model nor COCO results"), "{err}");
    let (code, found, err) = run(folder, &["detect", PAGE, "--model", model, "--format", "json"]);
    assert_eq!(code, 0, "{err}");
    let found: Value = serde_json::from_str(&found).expect("JSON");
    let entry = |object: &Value| json!({"image_id": "page", "category_id": object["name"], "bbox": object["box"], "score": object["score"]});
    let corners: Vec<Value> = found["detections"].as_array().into_iter().flatten().map(entry).collect();
    std::fs::write(folder.join("corners.json"), Value::Array(corners).to_string()).expect("a file");
    let (code, _, err) = compare("corners.json", &[]);
    assert!(code == 1 && err.contains("read as [left, top, right, bottom] in pixels"), "{err}");
}

#[test]
fn files_are_written_when_the_reader_of_the_results_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a.jpg", "b.jpg", "c.jpg"] {
        std::fs::copy(PHOTO, folder.path().join(name)).expect("a copy");
    }
    let closed = |arguments: &[&str]| {
        let mut process = Process::new(assert_cmd::cargo::cargo_bin("picodet"))
            .args(arguments)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command starts");
        drop(process.stdout.take());
        process.wait().expect("the command ends").code()
    };
    assert_eq!(closed(&["detect", "a.jpg", "b.jpg", "c.jpg", "--output", "drawn"]), Some(0));
    for name in ["a.jpg", "b.jpg", "c.jpg"] {
        assert!(folder.path().join("drawn").join(name).exists(), "{name} is not drawn");
    }
    write_data(folder.path());
    std::fs::write(folder.path().join("found.json"), "[]").expect("a file");
    let report = ["eval", "data.json", "--detections", "found.json", "--html", "report.html"];
    assert_eq!(closed(&report), Some(0));
    assert!(folder.path().join("report.html").exists());
    // The exit code is that of the check.
    std::fs::write(folder.path().join("broken.json"), "{\"images\": []}").expect("a file");
    assert_eq!(closed(&["check", "broken.json"]), Some(2));
}

#[test]
fn eval_takes_the_images_from_the_given_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_data(folder);
    for name in ["a", "b", "pictures"] {
        std::fs::create_dir(folder.join(name)).expect("a folder");
        std::fs::copy(PHOTO, folder.join(name).join("1.jpg")).expect("a copy");
    }
    let found = Value::Array(right_results(folder)).to_string();
    std::fs::write(folder.join("found.json"), found).expect("a file");
    for images in [&["--images", "pictures"][..], &[]] {
        let arguments = [&["eval", "data.json", "--detections", "found.json"], images].concat();
        let (code, out, err) = run(folder, &arguments);
        assert!(code == 0 && out.contains("AP"), "{images:?}: {err}");
    }
    let (code, _, err) = run(folder, &["eval", picodet::LAYOUT_MODEL, "data.json"]);
    assert!(code == 2 && err.contains("path-ambiguous"), "{err}");
}

#[test]
fn eval_reads_boxes_with_a_file_name_and_refuses_to_guess_torchvision_sizes() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_data(folder);
    let eval = |results: Vec<Value>| {
        std::fs::write(folder.join("found.json"), Value::Array(results).to_string()).expect("a file");
        let (code, _, err) = run(folder, &["eval", "data.json", "--detections", "found.json"]);
        assert_eq!(code, 0, "{err}");
        err
    };
    let mut named = right_results(folder);
    for entry in &mut named {
        let fields = entry.as_object_mut().expect("an object");
        let id = fields.remove("image_id").expect("an id");
        fields.insert("file_name".to_owned(), json!(format!("{id}.jpg")));
    }
    let err = eval(named);
    assert!(!err.contains("found.json"), "{err}");
    let group = |corners: bool| -> Vec<Value> {
        let of = |entry: &Value| {
            let bbox: Vec<f64> =
                entry["bbox"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
            let [x, y, w, h] = bbox[..] else { panic!("a box") };
            let bbox = if corners { [x, y, x + w, y + h] } else { [x, y, w, h] };
            json!({"image_id": entry["image_id"], "boxes": [bbox], "labels": [entry["category_id"]], "scores": [entry["score"]]})
        };
        right_results(folder).iter().map(of).collect()
    };
    let sound = eval(group(true));
    assert!(sound.contains("read as torchvision's") && sound.matches("found.json").count() == 1, "{sound}");
    let sizes = eval(group(false));
    let is_named = sizes.contains("they seem to be [left, top, width, height]");
    assert!(is_named && sizes.matches("found.json").count() == 1, "{sizes}");
}
