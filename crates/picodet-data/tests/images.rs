//! Image files of a dataset: trailers, other names of JPEG, files of systems, files that are not images.

use std::fs;
use std::path::Path;

use picodet_data::{CheckOptions, FindingKind, check};
use picodet_image::{Image, encode_jpeg};

fn put(path: impl AsRef<Path>, bytes: &[u8]) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, bytes).expect("a file");
}

fn jpeg(seed: u8) -> Vec<u8> {
    let pixels = (0..64 * 48 * 3).map(|at| (at as u8).wrapping_mul(5).wrapping_add(seed)).collect();
    encode_jpeg(&Image::new(64, 48, pixels).expect("a picture"), 80)
}

/// A YOLO dataset of the given images, each with one object.
fn dataset(root: &Path, images: &[(&str, Vec<u8>)]) {
    put(root.join("data.yaml"), b"path: .\ntrain: images\nval: images\nnames: [a]\n");
    for (name, bytes) in images {
        put(root.join("images").join(name), bytes);
        let stem = name.rsplit_once('.').map_or(*name, |(stem, _)| stem);
        put(root.join("labels").join(format!("{stem}.txt")), b"0 0.5 0.5 0.5 0.5\n");
    }
}

fn faults(root: &Path) -> Vec<String> {
    let report = check(root, Some("train"), &CheckOptions::default()).expect("a dataset").report;
    let is_image_fault = |kind| {
        matches!(
            kind,
            FindingKind::ImageUndecodable | FindingKind::ImageWrongExtension | FindingKind::LabelWithoutImage
        )
    };
    let list = report.findings.list().iter().filter(|finding| is_image_fault(finding.kind));
    list.map(|finding| finding.message.clone()).collect()
}

#[test]
fn sound_pictures_of_every_name_have_no_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let motion = [jpeg(1), b"\0\0\0\x18ftypmp42\xff\xda\x01\x02".repeat(50)].concat();
    let images = [
        ("motion.jpg", motion),
        ("two.mpo", [jpeg(2), jpeg(3)].concat()),
        ("a.jfif", jpeg(4)),
        ("b.JPE", jpeg(5)),
        ("c.jpeg", jpeg(6)),
    ];
    dataset(folder.path(), &images);
    put(folder.path().join("images/._a.jpg"), b"\0\x05\x16\x07");
    put(folder.path().join("images/Thumbs.db"), b"x");
    put(folder.path().join("images/__MACOSX/a.jpg"), b"\0\x05\x16\x07");
    assert_eq!(faults(folder.path()), Vec::<String>::new());
}

#[test]
fn files_that_are_not_pictures_are_named_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let images = [
        ("a.jpg", jpeg(1)[..jpeg(1).len() / 2].to_vec()),
        ("b.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec()),
        ("c.jpg", b"<html>404</html>".to_vec()),
        ("d.png", Vec::new()),
        ("e.jpg", jpeg(2)),
    ];
    dataset(folder.path(), &images);
    let faults = faults(folder.path());
    for (name, problem) in
        [("a.jpg", "is incomplete: rows"), ("b.jpg", "HEIC"), ("c.jpg", "HTML"), ("d.png", "empty")]
    {
        let own: Vec<_> = faults.iter().filter(|fault| fault.contains(name)).collect();
        assert!(own.len() == 1 && own[0].contains(problem), "{name}: {faults:?}");
    }
    assert_eq!(faults.len(), 4, "{faults:?}");
}
