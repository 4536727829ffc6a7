//! Rows and lists of YOLO whose faults are reported, not kept in silence.

mod common;

use std::path::Path;

use common::{TwoImages, put, two_images};
use picodet_data::{CheckOptions, DataError, Dataset, FindingKind, Findings, check, open_lenient};

const ROW: &str = "0 0.5 0.5 0.2 0.2\n";

fn count(findings: &Findings, kind: FindingKind) -> usize {
    findings.counts().get(&kind).copied().unwrap_or(0)
}

/// Two images in one split.
fn set(root: &Path) -> TwoImages<'_> {
    let set = two_images(root, ROW);
    put(root.join("data.yaml"), "train: images\nnames: [cat, dog]\n");
    set
}

#[test]
fn rows_that_are_not_finite_are_left_out_and_reported() {
    for value in ["nan", "inf", "-infinity", "NaN"] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        set(root).label("a", &format!("{ROW}1 0.5 {value} 0.1 0.1\n1 0.1 0.1 {value} 0.1 0.3 0.6\n"));
        let loaded = open_lenient(root, None).unwrap();
        assert_eq!(loaded.dataset.object_count(), 2, "{value}");
        assert_eq!(count(&loaded.findings, FindingKind::BadNumber), 2, "{value}");
        assert_eq!(loaded.findings.losses()[0].count, 2, "{value}");
        assert!(matches!(Dataset::open(root, None), Err(DataError::Faulty { count: 2, .. })), "{value}");
    }
}

#[test]
fn polygons_of_a_file_are_one_finding() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let polygon = "0 0.1 0.1 0.5 0.1 0.3 0.6\n";
    set(root).label("a", &format!("{ROW}{}", polygon.repeat(3))).label("b", polygon);
    let findings = open_lenient(root, None).unwrap().findings;
    let found: Vec<String> =
        findings.list().iter().map(|finding| format!("{}: {}", finding.location, finding.message)).collect();
    assert_eq!(count(&findings, FindingKind::YoloPolygon), 2);
    assert!(found[0].ends_with("a.txt:2: 3 rows are polygons, the first has 3 points"), "{found:?}");
    assert!(found[1].ends_with("b.txt:1: 3 points"), "{found:?}");
}

#[test]
fn names_that_occur_twice_are_found_by_check() {
    for names in ["[cat, cat]", "{0: cat, 1: cat}", "[cat, 'cat ']"] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        set(root).label("b", "1 0.5 0.5 0.2 0.2\n");
        put(root.join("data.yaml"), format!("train: images\nnames: {names}\n"));
        let findings = check(root, None, &CheckOptions::default()).unwrap().report.findings;
        assert_eq!(count(&findings, FindingKind::DuplicateClassName), 1, "{names}");
    }
}

#[test]
fn keys_of_a_darknet_file_that_occur_twice_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    two_images(root, ROW);
    put(root.join("obj.names"), "cat\n");
    put(root.join("train.txt"), "images/a.png\n");
    put(root.join("more.txt"), "images/b.png\n");
    put(
        root.join("obj.data"),
        "classes = 1\ntrain = more.txt\nTrain = train.txt\nnames = obj.names\nbackup = x\nbackup = y\n",
    );
    let loaded = open_lenient(root, Some("train")).unwrap();
    let found: Vec<&str> = loaded.findings.list().iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(count(&loaded.findings, FindingKind::DuplicateKey), 1, "{found:?}");
    assert!(found.contains(&"the key `train` occurs more than once; the last one is read"), "{found:?}");
    assert_eq!(loaded.dataset.images[0].file, "images/a.png");
}
