//! One planted fault of each kind, in datasets of all formats: `check` must find exactly these, at their
//! locations.

mod coco;
#[path = "../common/mod.rs"]
mod common;
mod others;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use coco::{coco, elsewhere, odd_coco, parts, small_coco, two_lists};
use common::put;
use others::{from_one, gap, ignored, labelme, test_images, voc, yolo};
use picodet_data::{CheckOptions, FindingKind, Images, WriteOptions, check, fix};

/// An expected finding: its kind, and texts that `location: message` must contain.
type Expected = (FindingKind, Vec<String>);

/// Compares findings with expectations one to one; returns the differences.
fn compare(name: &str, path: &Path, options: &CheckOptions, expected: &[Expected]) -> Vec<String> {
    let checked = check(path, None, options).unwrap();
    let mut wrong = Vec::new();
    let mut open: Vec<&Expected> = expected.iter().collect();
    for finding in checked.report.findings.list() {
        let text = format!("{}: {}", finding.location, finding.message);
        let fits = |expected: &&Expected| {
            expected.0 == finding.kind && expected.1.iter().all(|part| text.contains(part.as_str()))
        };
        match open.iter().position(fits) {
            Some(position) => {
                open.remove(position);
            }
            None => wrong.push(format!("{name}: not planted: {finding}")),
        }
    }
    wrong.extend(open.iter().map(|(kind, parts)| format!("{name}: missed {} {parts:?}", kind.id())));
    wrong
}

fn expect(kind: FindingKind, parts: &[&str]) -> Expected {
    (kind, parts.iter().map(|part| (*part).to_string()).collect())
}

#[test]
fn one_of_each_kind_is_found_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut wrong = Vec::new();
    let mut planted: BTreeSet<&str> = BTreeSet::new();
    let options = CheckOptions { huge_pixels: 100_000, ..CheckOptions::default() };
    let mut run = |name: &str, expected: Vec<Expected>| {
        planted.extend(expected.iter().map(|(kind, _)| kind.id()));
        wrong.extend(compare(name, &root.join(name), &options, &expected));
    };
    run("coco", coco(&root.join("coco")));
    run("voc", voc(&root.join("voc")));
    run("yolo", yolo(&root.join("yolo")));
    run("gap.yaml", gap(root));
    run("one.yaml", from_one(root));
    run("labelme", labelme(&root.join("labelme")));
    run("elsewhere", elsewhere(&root.join("elsewhere")));
    run("normalised", small_coco(&root.join("normalised"), FindingKind::BoxNormalised));
    run("corners", small_coco(&root.join("corners"), FindingKind::BoxLooksXyxy));
    run("no_objects", small_coco(&root.join("no_objects"), FindingKind::NoObjects));
    run("empty", small_coco(&root.join("empty"), FindingKind::DatasetEmpty));
    for kind in [
        FindingKind::TextId,
        FindingKind::CategoriesMissing,
        FindingKind::CategoryRoot,
        FindingKind::ClassNameChanged,
        FindingKind::AllCrowds,
        FindingKind::ManyCrowds,
    ] {
        run(kind.id(), odd_coco(&root.join(kind.id()), kind));
    }
    run("test_images", test_images(&root.join("test_images")));
    run("ignored", ignored(&root.join("ignored")));
    run("two_lists", two_lists(&root.join("two_lists")));
    run("parts", parts(&root.join("parts")));
    run("imbalance", small_coco(&root.join("imbalance"), FindingKind::ClassImbalance));
    put(root.join("broken/annotations/train.json"), "{\"images\": [\n{\"id\": }]}");
    run("broken", vec![expect(FindingKind::FileUnreadable, &["train.json:2:"])]);

    let all: BTreeSet<&str> = FindingKind::ALL.iter().map(|kind| kind.id()).collect();
    let never: Vec<_> = all
        .difference(&planted)
        .filter(|id| cfg!(unix) || !["link-loop", "name-not-utf8"].contains(id))
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(never.is_empty(), "kinds without a planted fault: {never:?}");
    assert!(all.len() >= 40);
}

/// After `fix` only faults that need a human decision remain; the original is unchanged.
#[test]
fn the_repaired_copy_is_clean_and_the_original_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let options = CheckOptions { huge_pixels: 100_000, ..CheckOptions::default() };
    let mut wrong = Vec::new();
    type Build = fn(&Path) -> Vec<Expected>;
    let cases: [(&str, Build, &[FindingKind]); 4] = [
        (
            "coco",
            coco,
            &[
                FindingKind::ClassNameSimilar,
                FindingKind::ClassNameEmpty,
                FindingKind::ClassUnused,
                FindingKind::BoxVanishes,
                FindingKind::BoxTwoClasses,
                FindingKind::SizeExif,
                FindingKind::ImageHuge,
                FindingKind::ImageTiny,
                FindingKind::ImageNotRgb,
                FindingKind::ImageWrongExtension,
                FindingKind::ImagesWithoutObjects,
                // The only image of val had leaked.
                FindingKind::DatasetEmpty,
            ],
        ),
        ("voc", voc, &[]),
        (
            "yolo",
            yolo,
            // Polygons stay in the copy.
            &[
                FindingKind::ImagesWithoutObjects,
                FindingKind::DatasetEmpty,
                FindingKind::YoloPolygon,
                FindingKind::LeakagePossible,
            ],
        ),
        // Points and lines stay in the copy.
        ("labelme", labelme, &[FindingKind::ShapeUnsupported]),
    ];
    for (name, build, remaining) in cases {
        let source = folder.path().join(name);
        build(&source);
        let before = snapshot(&source);
        let options_of_fix = WriteOptions::from(Images::Copy).with_loss(true);
        let checked = check(&source, None, &options).unwrap();
        assert_eq!(checked.report.exit_code(), 2);
        let inside = fix(&checked, checked.datasets[0].root.join("fixed"), options_of_fix);
        assert!(inside.is_err(), "{name}: an output inside the source must be refused");
        let out = folder.path().join(format!("{name}-fixed"));
        let refused = fix(&checked, &out, Images::Copy).map_err(|error| error.to_string());
        assert!(
            refused.is_err_and(|error| error.contains("--allow-loss")),
            "{name}: loss without permission"
        );
        let report = fix(&checked, &out, options_of_fix).unwrap();
        assert!(!report.written.losses.is_empty(), "{name}: losses are counted");
        assert!(!report.actions.is_empty() || name == "labelme", "{name}: no action");
        assert!(fix(&checked, &out, options_of_fix).is_err(), "{name}: an existing output must be refused");
        assert_eq!(before, snapshot(&source), "{name}: the original changed");
        let again = check(&out, None, &options).unwrap();
        for finding in again.report.findings.list() {
            if !remaining.contains(&finding.kind) {
                wrong.push(format!("{name}: still there: {finding}"));
            }
        }
        for kind in remaining {
            if !again.report.findings.counts().contains_key(kind) {
                wrong.push(format!("{name}: {} is gone", kind.id()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn snapshot(root: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                todo.push(entry.path());
            } else if kind.is_file() {
                files.push((entry.path(), fs::read(entry.path()).unwrap()));
            }
        }
    }
    files.sort();
    files
}
