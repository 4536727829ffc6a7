//! Hostile label files: a clear error or finding, in bounded time and memory, never a panic.

mod common;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use common::{picture, put};
use picodet_data::{CheckOptions, Dataset, FindingKind, Findings, check, coco, labelme, voc, yolo};
use proptest::prelude::*;

/// Reading takes milliseconds; a reader that takes longer than this, even on a busy machine, is not linear.
const HANG: Duration = Duration::from_secs(60);

/// Writes a file of `start` and repetitions of `pattern` with this many bytes.
fn nested_json(path: &Path, start: &str, pattern: &str, bytes: usize) {
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(path).unwrap());
    out.write_all(start.as_bytes()).unwrap();
    let block = pattern.repeat(65536 / pattern.len());
    let mut written = start.len();
    while written < bytes {
        out.write_all(block.as_bytes()).unwrap();
        written += block.len();
    }
    out.flush().unwrap();
}

#[test]
fn nested_json_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    // The parser stops after a few kilobytes, so 64 MB are sufficient (1 GB see below).
    for (name, start, pattern) in [
        ("array", "", "["),
        ("ignored", "{\"info\":", "["),
        ("objects", "{\"images\":[{\"id\":1,\"license\":", "{\"a\":"),
        ("annotation", "{\"annotations\":[{\"segmentation\":", "["),
        ("bbox", "{\"annotations\":[{\"bbox\":", "["),
        ("labelme", "{\"shapes\":[{\"flags\":", "{\"a\":"),
    ] {
        let path = folder.path().join(format!("{name}.json"));
        nested_json(&path, start, pattern, 64 << 20);
        let before = Instant::now();
        let error = Dataset::open(&path, None).unwrap_err().to_string();
        if before.elapsed() > HANG || error.len() > 600 {
            wrong.push(format!("{name}: {:?} {error}", before.elapsed()));
        }
        let checked = check(&path, None, &CheckOptions::default());
        if checked.is_ok_and(|checked| checked.report.exit_code() != 2) {
            wrong.push(format!("{name}: check passed"));
        }
        std::fs::remove_file(path).unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Run with `--release -- --ignored`: writes and reads real gigabytes.
#[test]
#[ignore = "writes 1 GB"]
fn one_gigabyte_of_nested_json_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep.json");
    nested_json(&path, "{\"annotations\":[{\"segmentation\":", "[", 1 << 30);
    let before = Instant::now();
    let error = Dataset::open(&path, None).unwrap_err();
    let message = error.to_string();
    assert!(before.elapsed() < HANG, "{:?}", before.elapsed());
    assert!(message.contains("levels deep"), "{message}");
}

#[test]
fn endless_tokens_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.json");
    nested_json(&path, "{\"images\":[{\"file_name\":\"", "a", 20 << 20);
    assert!(Dataset::open(&path, None).unwrap_err().to_string().contains("longer than"));
}

#[test]
fn entity_bombs_and_deep_xml_are_refused() {
    let bomb = "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">]><annotation><filename>&b;</filename></annotation>";
    let outside = "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><annotation><filename>&x;</filename></annotation>";
    let before = Instant::now();
    let deep = "<annotation>".to_string() + &"<a>".repeat(1_000_000);
    let many = format!("<annotation>{}</annotation>", "<object/>".repeat(300_000));
    let mut wrong = Vec::new();
    for (name, text) in [("bomb", bomb), ("outside", outside), ("deep", deep.as_str())] {
        match voc::parse(text, name, &mut Findings::default()) {
            Err(error) if error.line >= 1 && error.problem.len() < 300 => {}
            other => wrong.push(format!("{name}: {other:?}")),
        }
    }
    let closed = format!("{deep}{}</annotation>", "</a>".repeat(1_000_000));
    let _ = voc::parse(&closed, "closed", &mut Findings::default());
    let mut findings = Findings::default();
    voc::parse(&many, "many", &mut findings).unwrap();
    assert_eq!(findings.counts()[&FindingKind::MissingField], 300_000);
    assert_eq!(findings.list().len(), 1000);
    assert!(before.elapsed() < HANG, "{:?}", before.elapsed());
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn files_beyond_their_limit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("JPEGImages/a.png"), 200, 100, 1);
    put(root.join("Annotations/a.xml"), common::voc_xml("a.png", ""));
    std::fs::File::options()
        .write(true)
        .open(root.join("Annotations/a.xml"))
        .unwrap()
        .set_len(1 << 34)
        .unwrap();
    let error = Dataset::open(root, None).unwrap_err().to_string();
    assert!(error.contains("17179869184 bytes") && error.contains("file-unreadable"), "{error}");
}

#[test]
fn a_row_of_a_million_numbers_is_a_clear_finding() {
    let mut row = "0".to_string();
    row.push_str(&" 0.123456".repeat(1_000_000));
    let before = Instant::now();
    let mut findings = Findings::default();
    let objects = yolo::parse_labels(&row, (10, 10), 1, "a.txt", &mut findings);
    assert!(objects.is_empty());
    let text = findings.list()[0].to_string();
    assert!(text.starts_with("a.txt:1: error[yolo-columns] 1000001 columns"), "{text}");
    assert!(before.elapsed() < HANG);
}

#[cfg(unix)]
#[test]
fn cyclic_links_names_and_pipes_do_not_hang() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("images/a.jpg"), 200, 100, 1);
    put(root.join("labels/a.txt"), "0 0.5 0.5 0.1 0.1\n");
    put(root.join("classes.txt"), "a\n");
    symlink(root, root.join("images/up")).unwrap();
    symlink("self", root.join("images/self")).unwrap();
    symlink(root.join("images"), root.join("images/again")).unwrap();
    let name = std::ffi::OsStr::from_bytes(b"n\xfe.jpg");
    put(root.join("images").join(name), "x");
    let before = Instant::now();
    let checked = check(root, None, &CheckOptions::default()).unwrap();
    assert!(before.elapsed() < HANG);
    let counts = checked.report.findings.counts();
    assert_eq!(counts.get(&FindingKind::LinkLoop), Some(&2), "{counts:?}");
    assert_eq!(counts.get(&FindingKind::NameNotUtf8), Some(&1), "{counts:?}");
    assert_eq!(checked.datasets[0].images.len(), 1);

    // Each level links twice to the next: 2^24 ways to the last, and one image there.
    let ladder = tempfile::tempdir().unwrap();
    for level in 0..24 {
        let (here, next) = (format!("l{level}"), ladder.path().join(format!("l{}", level + 1)));
        put(ladder.path().join(&here).join("x.txt"), "");
        for side in ["a", "b"] {
            symlink(&next, ladder.path().join(&here).join(side)).unwrap();
        }
    }
    picture(ladder.path().join("l24/a.jpg"), 200, 100, 1);
    put(ladder.path().join("data.yaml"), "train: l0\nnames: [a]\n");
    let before = Instant::now();
    let checked = check(ladder.path(), None, &CheckOptions::default()).unwrap();
    assert!(before.elapsed() < HANG, "{:?}", before.elapsed());
    assert!(checked.report.findings.counts().contains_key(&FindingKind::LinkLoop));
    assert!((1..=8).contains(&checked.datasets[0].images.len()));

    // A device is endless and not a label file.
    symlink("/dev/zero", root.join("endless.json")).unwrap();
    assert!(Dataset::open(root.join("endless.json"), None).is_err());
}

fn pieces(parts: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![8 => prop::sample::select(parts).prop_map(str::to_string), 1 => ".{0,6}"],
        0..40,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_are_an_error_at_worst(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = coco::parse(&bytes[..], "x");
        let _ = labelme::parse(&bytes[..], "x", &mut Findings::default());
        let text = String::from_utf8_lossy(&bytes);
        let _ = voc::parse(&text, "x", &mut Findings::default());
        let _ = yolo::parse_labels(&text, (10, 10), 3, "x", &mut Findings::default());
        let _ = yolo::parse_data_yaml(&text, Path::new("x"), &mut Findings::default());
    }

    #[test]
    fn almost_coco(text in pieces(&["{", "}", "[", "]", ",", ":", "\"images\"", "\"annotations\"", "\"id\"", "\"bbox\"", "\"image_id\"", "\"category_id\"", "\"categories\"", "\"file_name\"", "\"a\"", "1", "1e999", "-0", "null", "NaN", "true", "99999999999999999999"])) {
        let _ = coco::parse(text.as_bytes(), "x");
        let _ = labelme::parse(text.as_bytes(), "x", &mut Findings::default());
    }

    #[test]
    fn almost_voc(text in pieces(&["<annotation>", "</annotation>", "<object>", "</object>", "<name>", "</name>", "<bndbox>", "</bndbox>", "<xmin>", "</xmin>", "<size>", "</size>", "<width>", "</width>", "a", "1", "inf", "&amp;", "&x;", "<!--", "-->", "<![CDATA[", "]]>", "\n"])) {
        let _ = voc::parse(&text, "x", &mut Findings::default());
    }

    #[test]
    fn almost_yolo(text in pieces(&["0", "1", "2", ".5", " ", " ", "\n", "nan", "inf", "-1", "1e308", "\t"])) {
        let mut findings = Findings::default();
        let objects = yolo::parse_labels(&text, (u32::MAX, u32::MAX), 2, "x", &mut findings);
        prop_assert!(objects.iter().all(|object| object.class < 2));
    }

    #[test]
    fn almost_yaml(text in pieces(&["names:", " ", "\n", "- ", "[", "]", "{", "}", "a", "0: ", "nc: 3", "&a ", "*a", "'", "\"", "#", "|", ">", "---", "? ", "train: x"])) {
        let _ = yolo::parse_data_yaml(&text, Path::new("x"), &mut Findings::default());
    }
}

/// A header with 65535 × 65535 pixels must not allocate memory for them.
#[test]
fn image_bombs_are_findings() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    // The frame header of a JPEG, with the size overwritten.
    picture(root.join("images/a.jpg"), 64, 64, 1);
    let mut bytes = std::fs::read(root.join("images/a.jpg")).unwrap();
    let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    bytes[frame + 5..frame + 9].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF]);
    put(root.join("images/a.jpg"), bytes);
    put(root.join("labels/a.txt"), "0 0.5 0.5 0.1 0.1\n");
    put(root.join("classes.txt"), "a\n");
    let before = Instant::now();
    let checked = check(root, None, &CheckOptions::default()).unwrap();
    assert!(before.elapsed() < HANG, "{:?}", before.elapsed());
    let counts = checked.report.findings.counts();
    assert_eq!(counts.get(&FindingKind::ImageUndecodable), Some(&1), "{counts:?}");
    assert_eq!(counts.get(&FindingKind::ImageHuge), Some(&1), "{counts:?}");
}
