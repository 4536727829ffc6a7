//! Image files of every kind: detect, check, eval and train read or refuse the same ones.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use picodet::Image;
use picodet::crates::image::{encode_jpeg, encode_png};

/// Exit code, standard output, standard error.
fn run<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("picodet").expect("the command is built");
    let output =
        command.args(arguments).env("PICODET_CACHE", "/nonexistent").output().expect("the command runs");
    let words = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().unwrap_or(-1), words(output.stdout), words(output.stderr))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

fn picture(width: usize, height: usize, seed: usize) -> Image {
    let value = |at: usize| ((at * 7 + at / (3 * width) * 5 + seed * 31) % 256) as u8;
    Image::new(width, height, (0..3 * width * height).map(value).collect()).expect("a picture")
}

fn jpeg(seed: usize) -> Vec<u8> {
    encode_jpeg(&picture(96, 64, seed), 80)
}

/// A COCO dataset of these files, 96 × 64 pixels each, with one object in each.
fn dataset(root: &Path, files: &[(&str, Vec<u8>)]) {
    for split in ["train", "val"] {
        fs::create_dir_all(root.join(split)).expect("a folder");
        fs::create_dir_all(root.join("annotations")).expect("a folder");
        let mut images = Vec::new();
        let mut annotations = Vec::new();
        for (index, (name, bytes)) in files.iter().enumerate() {
            let name = format!("{split}_{name}");
            let mut bytes = bytes.clone();
            // The splits do not share content; the last byte of a comment differs.
            if bytes.starts_with(&[0xff, 0xd8]) {
                bytes.splice(2..2, [0xff, 0xfe, 0, 3, split.as_bytes()[0]]);
            }
            fs::write(root.join(split).join(&name), &bytes).expect("a file");
            let id = index + 1;
            images.push(format!(r#"{{"id":{id},"file_name":"{name}","width":96,"height":64}}"#));
            annotations.push(format!(
                r#"{{"id":{id},"image_id":{id},"category_id":{},"bbox":[8,8,60,40],"area":2400,"iscrowd":0}}"#,
                index % 2 + 1
            ));
        }
        let json = format!(
            r#"{{"images":[{}],"annotations":[{}],"categories":[{{"id":1,"name":"table"}},{{"id":2,"name":"figure"}}]}}"#,
            images.join(","),
            annotations.join(",")
        );
        fs::write(root.join(format!("annotations/instances_{split}.json")), json).expect("a file");
    }
}

fn train(data: &Path, more: &[&str]) -> (i32, String) {
    let output = data.with_extension("run");
    let arguments =
        ["train", "legacy_s_320", "--data", text(data), "--output", text(&output), "--epochs", "1"];
    let (code, _, err) = run(&[&arguments[..], &["--batch", "2", "--sizes", "64x64"], more].concat());
    assert!(code == 0 || !output.exists(), "the run had begun: {err}");
    (code, err)
}

#[test]
fn a_folder_is_read_by_extension_and_content_and_the_rest_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let images = ["a.jpg", "b.JPG", "c.jfif", "d.jpe", "e.mpo", "f.pjpeg", "no_extension", "日本 é.jpeg"];
    for (seed, name) in images.iter().enumerate() {
        fs::write(at(name), jpeg(seed)).expect("a file");
    }
    for name in ["._a.jpg", ".DS_Store", "Thumbs.db", "desktop.ini"] {
        fs::write(at(name), "no picture").expect("a file");
    }
    fs::create_dir(at("__MACOSX")).expect("a folder");
    for name in ["photo.heic", "scan.tif", "other.tif", "README"] {
        fs::write(at(name), "no picture").expect("a file");
    }
    fs::create_dir(at("more")).expect("a folder");
    #[cfg(unix)]
    for name in ["loop.jpg", "loop2.jpg"] {
        std::os::unix::fs::symlink(at(if name == "loop.jpg" { "loop2.jpg" } else { "loop.jpg" }), at(name))
            .expect("a link");
    }
    let (code, out, err) = run(&["detect", text(folder.path()), "--format", "json"]);
    assert_eq!((code, out.lines().count()), (0, images.len()), "{err}");
    let expected = "passed over: 4 files (.tif 2, without extension 1, .heic 1), 1 folder";
    assert!(err.contains(expected) && err.lines().count() == 1, "{err}");

    let (code, _, err) = run(&["detect", text(&at("more"))]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("no images in this folder"), "{err}");
}

#[cfg(target_os = "linux")]
#[test]
fn patterns_leave_out_what_folders_do_and_read_a_folder_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    for name in ["a.jpg", "below/b.jpg", "below/deep/c.jpg"] {
        let path = root.join("photos").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, jpeg(1)).expect("a file");
    }
    for name in ["photos/._a.jpg", "photos/below/.hidden.jpg"] {
        fs::write(root.join(name), b"no picture").expect("a file");
    }
    #[cfg(unix)]
    for link in ["self", "again"] {
        std::os::unix::fs::symlink(".", root.join("photos").join(link)).expect("a link");
        std::os::unix::fs::symlink("..", root.join("photos/below").join(link)).expect("a link");
    }
    let found = |pattern: &str| {
        let pattern = root.join(pattern);
        let (code, out, error) = run(&["detect", text(&pattern), "--format", "json"]);
        assert_eq!((code, error.contains("no picture")), (0, false), "{error}");
        let names = ["a.jpg", "b.jpg", "c.jpg"].map(|name| out.matches(&format!("{name}\"")).count());
        (out.lines().count(), names)
    };
    assert_eq!(found("photos/**/*.jpg"), (3, [1, 1, 1]));
    assert_eq!(found("photos/**"), (3, [1, 1, 1]));
    assert_eq!(found("photos/*.jpg"), (1, [1, 0, 0]));
    assert_eq!(found("photos/*/*.jpg"), (1, [0, 1, 0]));
    assert_eq!(found("ph?tos/below/[bc].jpg"), (1, [0, 1, 0]));
    let (code, _, error) = run(&["detect", text(&root.join("photos/*.png"))]);
    assert!(code == 2 && error.contains("matches no files"), "{code} {error}");
}

#[test]
fn names_that_are_not_utf8_are_read() {
    use std::os::unix::ffi::OsStrExt;

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9.jpg"));
    fs::write(&path, jpeg(1)).expect("a file");
    for argument in [folder.path().as_os_str(), path.as_os_str()] {
        let (code, out, err) = run(&["detect".as_ref(), argument, "--format".as_ref(), "json".as_ref()]);
        assert_eq!((code, out.lines().count()), (0, 1), "{err}");
    }
}

#[test]
fn files_that_are_no_pictures_are_named_and_counted_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let files: [(&str, &[u8], &str); 5] = [
        ("a.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC picture; convert it"),
        ("b.jpg", b"<!DOCTYPE html><html></html>", "an HTML page; download"),
        ("c.jpg", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("d.jpg", b"", "the file is empty"),
        ("e.jpg", b"II*\0\x08\0\0\0\0\0", "a TIFF picture; convert it"),
    ];
    for (name, bytes, _) in files {
        fs::write(folder.path().join(name), bytes).expect("a file");
    }
    fs::write(folder.path().join("good.jpg"), jpeg(1)).expect("a file");
    let (code, out, err) = run(&["detect", text(folder.path()), "--format", "json"]);
    assert_eq!((code, out.lines().count()), (1, 1), "{err}");
    for (name, _, message) in files {
        let lines: Vec<&str> = err.lines().filter(|line| line.contains(name)).collect();
        assert!(lines.len() == 1 && lines[0].contains(message), "{err}");
    }
    assert!(err.contains("5 of 6 inputs failed") && err.lines().count() == 6, "{err}");
}

#[test]
fn every_command_judges_a_picture_by_its_own_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let trailer = [&b"\0\0\0\x18ftypmp42\xff\xda"[..], &[1; 500]].concat();
    let whole = [("motion.jpg", [jpeg(1), trailer].concat()), ("two.jpg", [jpeg(2), jpeg(3)].concat())];
    let data = folder.path().join("whole");
    dataset(&data, &whole);
    let (code, out, err) = run(&["check", text(&data), "--format", "json"]);
    assert!(!out.contains("image-undecodable"), "{code} {out} {err}");
    let (code, _, err) = run(&["detect", text(&data.join("train"))]);
    assert_eq!(code, 0, "{err}");

    let half = jpeg(1)[..jpeg(1).len() * 2 / 3].to_vec();
    let cut_png = encode_png(&picture(96, 64, 5));
    let cut_png = cut_png[..cut_png.len() / 2].to_vec();
    for (name, bytes) in [("half.jpg", half), ("half.png", cut_png)] {
        let data = folder.path().join(format!("cut-{name}"));
        dataset(&data, &[("good.jpg", jpeg(7)), (name, bytes)]);
        let (code, out, err) = run(&["check", text(&data)]);
        assert_eq!(code, 2, "{out} {err}");
        assert!(out.contains("is incomplete: rows "), "{out}");
        let (code, _, err) = run(&["detect", text(&data.join("train"))]);
        assert!(code == 1 && err.contains("is incomplete: rows ") && err.contains("of 64"), "{code} {err}");
        let model = picodet::LAYOUT_MODEL;
        let (code, _, err) = run(&["eval", model, text(&data), "--split", "val"]);
        assert!(code == 1 && err.contains("is incomplete: rows "), "{code} {err}");
        assert!(err.contains("1 of 2 images failed"), "{err}");
        let (code, err) = train(&data, &[]);
        assert!(code == 2 && err.contains("is incomplete: rows "), "{code} {err}");
    }
}

#[test]
fn one_limit_holds_for_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("large");
    dataset(&data, &[("good.jpg", jpeg(1)), ("large.png", encode_png(&picture(96, 64, 2)))]);
    let limit = ["--max-pixels", "6000"];
    let message = "an image of 96 x 64 pixels exceeds the limit of 6000 pixels";
    for more in [&[][..], &["--fast"]] {
        let (code, out, _) = run(&[&["check", text(&data)], &limit[..], more].concat());
        assert!(code == 2 && out.contains(message), "{code} {out}");
        assert!(!out.contains("good.jpg: an image"), "{out}");
    }
    let (code, out, err) =
        run(&[&["detect", text(&data.join("val")), "--format", "json"], &limit[..]].concat());
    assert!(code == 1 && err.contains(message), "{code} {err}");
    // The JPEG picture is decoded at half its sides; sizes and boxes are of the whole picture.
    assert!(out.contains(r#""width":96"#) && out.contains(r#""height":64"#), "{out}");
    let (code, _, err) =
        run(&[&["eval", picodet::LAYOUT_MODEL, text(&data), "--split", "val"], &limit[..]].concat());
    assert!(code == 1 && err.contains(message), "{code} {err}");
    for more in [&limit[..], &["--max-pixels", "6000", "--unchecked"]] {
        let (code, err) = train(&data, more);
        assert!(code == 2 && err.contains(message), "{code} {err}");
    }
    let (code, out, _) = run(&["check", text(&data), "--max-pixels", "6144"]);
    assert!(!out.contains("exceeds"), "{code} {out}");
    let (code, _, err) = run(&["detect", text(&data), "--max-pixels", "0"]);
    assert!(code == 2 && err.contains("--max-pixels"), "{code} {err}");
}

#[test]
fn reduced_pictures_have_the_boxes_of_the_whole() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/page.png");
    let page = picodet::open_image(page).expect("the page");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("page.jpg");
    fs::write(&path, encode_jpeg(&page, 95)).expect("a file");
    let boxes = |more: &[&str]| -> Vec<(String, Vec<f64>)> {
        let drawn = folder.path().join("drawn");
        let arguments = [
            "detect",
            text(&path),
            "--model",
            "layout_cdla",
            "--format",
            "json",
            "--score",
            "0.8",
            "--output",
            text(&drawn),
        ];
        let (code, out, err) = run(&[&arguments[..], more].concat());
        assert_eq!(code, 0, "{err}");
        let value: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(value["width"], page.width());
        let list = value["detections"].as_array().expect("a list").iter();
        let corners = |found: &serde_json::Value| {
            found["box"].as_array().expect("a box").iter().filter_map(serde_json::Value::as_f64).collect()
        };
        let mut list: Vec<_> = list
            .map(|found| (found["name"].as_str().unwrap_or_default().to_owned(), corners(found)))
            .collect();
        list.sort_by(|a: &(String, Vec<f64>), b| (&a.0, a.1[1] as i64).cmp(&(&b.0, b.1[1] as i64)));
        list
    };
    let (whole, reduced) = (boxes(&[]), boxes(&["--max-pixels", "600000"]));
    assert!(whole.len() > 3 && whole.len() == reduced.len(), "{whole:?}\n{reduced:?}");
    for (whole, reduced) in whole.iter().zip(&reduced) {
        assert_eq!(whole.0, reduced.0);
        let difference = whole.1.iter().zip(&reduced.1).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(difference < 12.0, "{whole:?} {reduced:?}");
    }
    let drawn = picodet::open_image(folder.path().join("drawn/page.jpg")).expect("a drawing");
    assert_eq!(drawn.width(), page.width().div_ceil(2));
}
