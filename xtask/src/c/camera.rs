//! The camera demo, on files of the bytes that a device delivers.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use picodet_image::{
    Image, Interpolation, Limits, Packed, Plane, RawImage, RawPixels, decode, encode_jpeg, encode_png,
};
use picodet_testing::without_huffman_tables;

use super::demos::Demos;
use super::place::{Place, check};

/// Height and width of the pictures.
const SIZE: (usize, usize) = (480, 640);

/// Compares the demo's lines for each picture of a stream with those of `detect_file` for the same picture in a file.
pub(super) fn run(place: &Place, demos: &Demos) -> Result<()> {
    let images = images(place)?;
    let yuyv: Vec<Vec<u8>> = images.iter().map(to_yuyv).collect();
    let mut expected_yuyv = Vec::new();
    for (index, bytes) in yuyv.iter().enumerate() {
        let pixels = RawPixels::Packed(Packed::Yuyv, Plane::new(bytes, SIZE.1 * 2));
        let image = RawImage::new(SIZE.1, SIZE.0, pixels).to_image()?;
        expected_yuyv.push(lines_of_file(place, demos, &format!("{index}.png"), &encode_png(&image))?);
    }
    let mut jpegs: Vec<Vec<u8>> = images.iter().map(|image| encode_jpeg(image, 90)).collect();
    // Many cameras leave out the Huffman tables, which are always the same.
    jpegs.push(without_huffman_tables(&jpegs[0]));
    let mut expected_jpegs = Vec::new();
    for (index, jpeg) in jpegs.iter().enumerate().take(images.len()) {
        expected_jpegs.push(lines_of_file(place, demos, &format!("{index}.jpg"), jpeg)?);
    }
    expected_jpegs.push(expected_jpegs[0].clone());
    if expected_jpegs.iter().chain(&expected_yuyv).all(Vec::is_empty) {
        bail!("no picture of the camera has a detection");
    }

    let streams = [("yuyv", yuyv, expected_yuyv), ("mjpeg", jpegs, expected_jpegs)];
    for (format, pictures, expected) in &streams {
        let file = place.work.join("camera").with_extension(format);
        std::fs::write(&file, pictures.concat())?;
        for (name, mut command) in demos.commands("camera") {
            command.arg(&file).args(["--size", "640x480", "--format", format]);
            // Under valgrind, a detection takes half a minute, and sums differ in their last bits.
            let exact = !name.ends_with("(valgrind)");
            if !exact {
                command.args(["--frames", "1"]);
            }
            let output = check(&mut command, &name)?;
            let found = frames(&String::from_utf8(output.stdout)?);
            let is_same = if exact { found == *expected } else { counts(&found) == counts(&expected[..1]) };
            if !is_same {
                bail!("{name} finds in {format} {found:?}, detect_file {expected:?}");
            }
        }
    }
    let (_, pictures, expected) = &streams[0];
    device(place, demos, pictures.len(), expected)?;
    println!(
        "the camera demo reads YUYV and MJPEG, from files and from a device that a preloaded library imitates"
    );
    Ok(())
}

/// Runs the demo on an imitated device, whose pictures are those of the YUYV stream.
fn device(place: &Place, demos: &Demos, count: usize, expected: &[Vec<String>]) -> Result<()> {
    let library = place.work.join("libfake_camera.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "bindings/c/tests/fake_camera.c", "-ldl", "-o"]).arg(&library);
    check(&mut compiler, "fake_camera.c")?;
    let Some((name, mut command)) = demos.commands("camera").into_iter().next() else {
        bail!("there is no demo");
    };
    command.env("LD_PRELOAD", &library).env("FAKE_CAMERA", "/dev/video99");
    command.env("FAKE_CAMERA_FILE", place.work.join("camera.yuyv"));
    command.env("FAKE_CAMERA_SIZE", (SIZE.0 * SIZE.1 * 2).to_string());
    let output =
        check(command.args(["/dev/video99", "--size", "9x9", "--frames", &count.to_string()]), &name)?;
    let found = frames(&String::from_utf8(output.stdout)?);
    if found != expected {
        bail!("{name} finds on a device {found:?}, detect_file {expected:?}");
    }
    // After the last picture, the device fails.
    let output = command.args(["--frames", "1000"]).output()?;
    if output.status.code() != Some(1) || !output.stderr.starts_with(b"VIDIOC_DQBUF: ") {
        bail!("{name} on a device that fails: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Returns pictures of the size of the camera.
fn images(place: &Place) -> Result<Vec<Image>> {
    let mut files = vec![place.repository.join("examples/page.png")];
    files.extend(
        ["bus.jpg", "dog.jpg"]
            .iter()
            .filter_map(|name| picodet_testing::shared_path(&format!("data/photos/{name}"))),
    );
    let read = |file: PathBuf| {
        let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
        Ok(decode(&bytes, &Limits::default())?.resized(SIZE, Interpolation::Linear))
    };
    files.into_iter().map(read).collect()
}

/// Returns the pixels as YUYV of BT.601 in the limited range; chroma is that of the first pixel of each pair.
fn to_yuyv(image: &Image) -> Vec<u8> {
    let (pairs, _) = image.data().as_chunks::<6>();
    let luma = |r: f64, g: f64, b: f64| 16.0 + (65.481 * r + 128.553 * g + 24.966 * b) / 255.0;
    let convert = |&[r, g, b, r2, g2, b2]: &[u8; 6]| {
        let [r, g, b, r2, g2, b2] = [r, g, b, r2, g2, b2].map(f64::from);
        let u = 128.0 + (-37.797 * r - 74.203 * g + 112.0 * b) / 255.0;
        let v = 128.0 + (112.0 * r - 93.786 * g - 18.214 * b) / 255.0;
        [luma(r, g, b), u, luma(r2, g2, b2), v].map(|value| value.round() as u8)
    };
    pairs.iter().flat_map(convert).collect()
}

/// Returns the lines of `detect_file` for a picture.
fn lines_of_file(place: &Place, demos: &Demos, name: &str, bytes: &[u8]) -> Result<Vec<String>> {
    let file = place.work.join(name);
    std::fs::write(&file, bytes)?;
    let Some((name, mut command)) = demos.commands("detect_file").into_iter().next() else {
        bail!("there is no demo");
    };
    let output = check(command.arg(&file), &name)?;
    let prefix = format!("{}: ", file.display());
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().filter_map(|line| line.strip_prefix(&prefix));
    Ok(lines.filter(|line| *line != "nothing found").map(str::to_owned).collect())
}

/// Returns the lines of each picture of a stream.
fn frames(text: &str) -> Vec<Vec<String>> {
    let mut frames: Vec<Vec<String>> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("  "), frames.last_mut()) {
            (Some(line), Some(frame)) => frame.push(line.to_owned()),
            _ => frames.push(Vec::new()),
        }
    }
    frames
}

fn counts(frames: &[Vec<String>]) -> Vec<usize> {
    frames.iter().map(Vec::len).collect()
}
