//! Class names of YOLO datasets in files of other names, and faults of files of class names.

mod common;

use std::path::Path;

use common::{put, two_images};
use picodet_data::{CheckOptions, check, open_lenient};

const ROW: &str = "0 0.5 0.5 0.2 0.2\n";

fn classes(root: &Path) -> Result<Vec<String>, String> {
    let loaded = open_lenient(root, None).map_err(|error| error.to_string())?;
    Ok(loaded.dataset.classes.into_iter().map(|class| class.name).collect())
}

#[test]
fn lists_of_class_names_are_found_in_any_letter_case() {
    for name in
        ["classes.txt", "Classes.TXT", "labels/CLASSES.txt", "Obj.names", "coco.names", "data/voc.names"]
    {
        let folder = tempfile::tempdir().unwrap();
        two_images(folder.path(), ROW);
        put(folder.path().join(name), "cat\n");
        assert_eq!(classes(folder.path()), Ok(vec!["cat".to_string()]), "{name}");
        let report = check(folder.path(), None, &CheckOptions::default()).unwrap().report;
        assert_eq!(report.findings.errors(), 0, "{name}: {:?}", report.findings.list());
    }
}

#[test]
fn several_lists_of_darknet_are_not_guessed() {
    let folder = tempfile::tempdir().unwrap();
    two_images(folder.path(), ROW);
    put(folder.path().join("coco.names"), "cat\n");
    put(folder.path().join("voc.names"), "dog\n");
    let error = classes(folder.path()).unwrap_err();
    assert!(error.contains("YOLO labels without class names; add a data.yaml or classes.txt"), "{error}");
}

#[test]
fn names_in_one_text_are_an_error_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    two_images(root, ROW);
    put(root.join("data.yaml"), "train: images\nval: images\nnames: cat, dog\n");
    let message =
        "`names` is the text `cat, dog`; write a list (`names: [cat, dog]`), or a map from index to name";
    let path = root.join("data.yaml").display().to_string();
    assert_eq!(classes(root), Err(format!("{path}: {message}")));
    // A finding has the path once.
    let report = check(root, None, &CheckOptions::default()).unwrap().report;
    let list: Vec<String> = report.findings.list().iter().map(ToString::to_string).collect();
    assert_eq!(list, [format!("{path}: error[file-unreadable] {message}")]);
    put(root.join("data.yaml"), "train: images\nval: images\nnames: [cat, dog]\n");
    assert_eq!(classes(root), Ok(vec!["cat".to_string(), "dog".to_string()]));
}

#[test]
fn findings_about_unreadable_files_have_the_path_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    two_images(root, ROW);
    put(root.join("data.yaml"), "path: .\ntrain: images\nval: images\nnames: [cat]\n");
    put(root.join("labels/a.txt"), b"0 0.5 \0\0\0 0.5".repeat(9));
    let report = check(root, None, &CheckOptions::default()).unwrap().report;
    let path = root.join("labels/a.txt").display().to_string();
    let about: Vec<String> = (report.findings.list().iter().map(ToString::to_string))
        .filter(|line| line.contains("labels/a.txt") && line.contains("file-unreadable"))
        .collect();
    assert!(!about.is_empty());
    for line in about {
        assert_eq!((line.starts_with(&path), line.matches(&path).count()), (true, 1), "{line}");
    }
}
