//! The pictures in which all interfaces must find what the command finds, and the comparison.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A small picture of the examples, for interfaces that are slow under a tool.
pub(crate) const SMALL: &str = "coffee.jpg";
/// Pictures of the reference data, odd ones among them.
const REFERENCE: [&str; 19] = [
    "photos/000000014439.jpg",
    "photos/000000570688.jpg",
    "photos/bus.jpg",
    "photos/car.jpg",
    "photos/document_layout_zh.jpg",
    "photos/dog.jpg",
    "photos/road554.png",
    "odd_images/exif/Landscape_3.jpg",
    "odd_images/exif/Landscape_6.jpg",
    "odd_images/exif/Landscape_8.jpg",
    "odd_images/png16/basn2c16.png",
    "odd_images/png16/basi0g16.png",
    "odd_images/jpeg_ref/mjpeg.jpg",
    "odd_images/jpeg_ref/progressive3.jpg",
    "odd_images/jpeg_ref/mozilla/jpg-cmyk-1.jpg",
    "odd_images/jpeg_ref/mozilla/jpg-gray.jpg",
    "odd_images/jpeg_ref/mozilla/jpg-size-1x1.jpg",
    "odd_images/webp/extended_images/lossy_alpha.webp",
    "odd_images/webp/lossy_images/simple-gray.webp",
];

/// The detections of each picture: its name, and objects with `class`, `name`, `score` and `box`.
pub(crate) type Results = Vec<(String, Vec<Value>)>;

/// The largest difference that a comparison allows, or has found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Difference {
    /// Of the sides of boxes in pixels.
    pub(crate) pixels: f32,
    /// Of scores.
    pub(crate) score: f32,
}

impl Difference {
    /// None: bitwise identical numbers.
    pub(crate) const NONE: Self = Self { pixels: 0.0, score: 0.0 };
    /// That of sums in another order.
    pub(crate) const ROUNDING: Self = Self { pixels: 1e-3, score: 1e-4 };
}

/// Copies the examples, and the pictures of the reference data if it exists, into one folder and returns their names.
///
/// # Errors
/// When a file cannot be copied.
pub(crate) fn collect(folder: &Path) -> Result<Vec<String>> {
    std::fs::create_dir_all(folder)?;
    let mut names = vec![SMALL.to_owned(), "page.png".to_owned()];
    for name in &names {
        let picture = Path::new("examples").join(name);
        std::fs::copy(&picture, folder.join(name)).with_context(|| picture.display().to_string())?;
    }
    for picture in REFERENCE {
        let Some(path) = picodet_testing::shared_path(&format!("data/{picture}")) else { continue };
        let name = picture.replace('/', "-");
        std::fs::copy(path, folder.join(&name))?;
        names.push(name);
    }
    Ok(names)
}

/// Returns the detections of the command in the pictures of a folder; those that it refuses are left out. `emulator` is the
/// program and its arguments that run the command, if any.
///
/// # Errors
/// When the command does not run, or finds no object in any picture.
pub(crate) fn of_command(pictures: &Path, emulator: &[String]) -> Result<Results> {
    crate::build::cargo(&["build", "--quiet", "--locked", "--package", "picodet-cli"])?;
    let program = crate::build::target_folder()?.join("debug/picodet").display().to_string();
    let mut words = emulator.iter().chain([&program]);
    let mut command = Command::new(words.next().unwrap_or(&program));
    command.args(words).args(["detect", "--format", "json"]).arg(pictures);
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let mut results = Results::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let image: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let file = image["file"].as_str().unwrap_or_default();
        let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy().into_owned();
        results.push((name, image["detections"].as_array().cloned().unwrap_or_default()));
    }
    results.sort_by(|a, b| a.0.cmp(&b.0));
    if results.iter().all(|(_, found)| found.is_empty()) {
        bail!("the command has no detection in any picture\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(results)
}

/// Parses lines of a name, a tabulator and an array.
///
/// # Errors
/// When a line has another form.
pub(crate) fn parse_lines(text: &str) -> Result<Results> {
    let mut results = Results::new();
    for line in text.lines() {
        let (name, json) = line.split_once('\t').with_context(|| line.to_owned())?;
        results.push((name.to_owned(), serde_json::from_str(json)?));
    }
    results.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(results)
}

/// Compares detections and returns the largest difference: names, classes and counts are equal, numbers as f32 nearly.
///
/// # Errors
/// When they differ by more than `allowed`.
pub(crate) fn compare(
    interface: &str,
    found: &Results,
    expected: &Results,
    allowed: Difference,
) -> Result<Difference> {
    let names = |results: &Results| results.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    if names(found) != names(expected) {
        bail!("{interface} has read {:?}, the command {:?}", names(found), names(expected));
    }
    let mut largest = Difference::NONE;
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        let problem = || format!("{interface} finds {found:?} in {name}, the command {expected:?}");
        if found.len() != expected.len() {
            bail!("{}", problem());
        }
        for (a, b) in found.iter().zip(expected) {
            let is_same = a["class"] == b["class"] && a["name"] == b["name"];
            let difference = difference(a, b).with_context(problem)?;
            let is_near = difference.pixels <= allowed.pixels && difference.score <= allowed.score;
            if !is_same || !is_near {
                bail!("{}", problem());
            }
            largest.pixels = largest.pixels.max(difference.pixels);
            largest.score = largest.score.max(difference.score);
        }
    }
    Ok(largest)
}

/// Returns the difference of two detections, `None` where numbers are missing.
fn difference(a: &Value, b: &Value) -> Option<Difference> {
    let number = |value: &Value| value.as_f64().map(|number| number as f32);
    let difference = |a: &Value, b: &Value| Some((number(a)? - number(b)?).abs());
    let (corners_a, corners_b) = (a["box"].as_array()?, b["box"].as_array()?);
    let mut pixels: f32 = 0.0;
    for corner in 0..4 {
        pixels = pixels.max(difference(corners_a.get(corner)?, corners_b.get(corner)?)?);
    }
    Some(Difference { pixels, score: difference(&a["score"], &b["score"])? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(left: f32, score: f32) -> Results {
        let line = format!(
            "a.jpg\t[{{\"class\":1,\"name\":\"cup\",\"score\":{score},\"box\":[{left},2.0,3.0,4.0]}}]"
        );
        parse_lines(&line).expect("a line")
    }

    #[test]
    fn differences_are_found_and_limited() {
        let compare = |found: Results, allowed| compare("x", &found, &results(1.0, 0.5), allowed);
        let none = compare(results(1.0, 0.5), Difference::NONE).expect("equal");
        assert_eq!((none.pixels, none.score), (0.0, 0.0));
        let small = compare(results(1.0005, 0.5), Difference::ROUNDING).expect("nearly equal");
        assert!(small.pixels > 4e-4 && small.score == 0.0);
        assert!(compare(results(1.0005, 0.5), Difference::NONE).is_err());
        assert!(compare(results(1.0, 0.5002), Difference::ROUNDING).is_err());
        assert!(compare(Results::new(), Difference::ROUNDING).is_err());
        assert!(compare(parse_lines("a.jpg\t[]").expect("a line"), Difference::ROUNDING).is_err());
    }
}
