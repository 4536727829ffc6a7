//! The demo programs: compiled as C and C++, run plain, under valgrind and under the address sanitiser, and compared with the
//! command.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::place::{Place, check};

/// Warnings that are errors.
pub(super) const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];
/// The demo programs.
const DEMOS: [&str; 3] = ["detect_file.c", "camera.c", "detect_folder.cpp"];
/// A small picture of the examples: under valgrind, a detection takes minutes.
const SMALL: &str = "coffee.jpg";
/// Pictures of the reference data that the demos detect in, odd ones among them.
const PICTURES: [&str; 19] = [
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

/// The folders of compiled demo programs.
pub(super) struct Demos {
    /// One per compiler and language.
    plain: Vec<PathBuf>,
    /// With the address and undefined-behaviour sanitisers.
    sanitised: PathBuf,
}

impl Demos {
    /// Returns the ways to run a demo: each build, the first one under valgrind too.
    pub(super) fn commands(&self, demo: &str) -> Vec<(String, Command)> {
        let mut commands: Vec<(String, Command)> = Vec::new();
        for folder in self.plain.iter().chain([&self.sanitised]) {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let mut command = Command::new(folder.join(demo));
            command.env("ASAN_OPTIONS", "detect_leaks=1:strict_string_checks=1");
            commands.push((format!("{demo} ({name})"), command));
        }
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--quiet", "--error-exitcode=99", "--leak-check=full"]);
        valgrind.args(["--errors-for-leak-kinds=definite,indirect,possible", "--track-fds=no"]);
        valgrind.arg(self.plain[0].join(demo));
        commands.push((format!("{demo} (valgrind)"), valgrind));
        commands
    }
}

/// Returns the compilers of this machine: gcc, and clang if it is installed.
pub(super) fn compilers() -> Vec<&'static str> {
    let is_there = |compiler: &&str| Command::new(compiler).arg("--version").output().is_ok();
    ["gcc", "clang"].into_iter().filter(is_there).collect()
}

/// Compiles all demos.
pub(super) fn build(place: &Place) -> Result<Demos> {
    let mut plain = Vec::new();
    for compiler in compilers() {
        for standard in ["c11", "c++17"] {
            plain.push(compile(place, compiler, standard, &[])?);
        }
    }
    if plain.is_empty() {
        bail!("gcc or clang is needed");
    }
    let sanitisers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"];
    let sanitised = compile(place, "gcc", "c++17", &sanitisers)?;
    println!("{} demos compile in {} ways", DEMOS.len(), plain.len() + 1);
    Ok(Demos { plain, sanitised })
}

/// Compiles the demos; those in C by a standard of C or C++, the others by C++17.
fn compile(place: &Place, compiler: &str, standard: &str, options: &[&str]) -> Result<PathBuf> {
    let kind = if options.is_empty() { "plain" } else { "sanitised" };
    let folder = place.work.join(format!("{compiler}-{standard}-{kind}"));
    std::fs::create_dir_all(&folder)?;
    for demo in DEMOS {
        let source = Path::new("bindings/c/examples").join(demo);
        let is_cpp = demo.ends_with(".cpp");
        let standard = if is_cpp { "c++17" } else { standard };
        let language = if standard.starts_with("c++") { "c++" } else { "c" };
        let mut command = Command::new(compiler);
        command.args(["-x", language, &format!("-std={standard}"), "-O1", "-g"]).args(WARNINGS).args(options);
        command.arg(&source).args(["-x", "none"]).args(place.compiler_arguments());
        command.arg("-o").arg(folder.join(source.file_stem().unwrap_or_default()));
        if language == "c++" {
            command.arg("-lstdc++");
        }
        check(command.arg("-lm"), &format!("{compiler}: {demo} as {standard}"))?;
    }
    Ok(folder)
}

/// Runs the demos of files and folders and compares their results with the command's.
pub(super) fn run(place: &Place, demos: &Demos) -> Result<()> {
    let pictures = place.work.join("pictures");
    let names = collect(place, &pictures)?;
    let expected = command_results(place, &pictures)?;
    if expected.iter().all(|(_, found)| found.is_empty()) {
        bail!("the command has no detection in any picture");
    }
    let one = place.work.join("picture");
    std::fs::create_dir_all(&one)?;
    std::fs::copy(pictures.join(SMALL), one.join(SMALL))?;
    let expected_of_one: Vec<_> = expected.iter().filter(|(name, _)| name == SMALL).cloned().collect();
    for (name, mut command) in demos.commands("detect_folder") {
        // Under valgrind, AVX-512 is not available: the sums of AVX2 differ in their last bits.
        let (folder, expected, tolerance) = match name.ends_with("(valgrind)") {
            true => (&one, &expected_of_one, 1e-3),
            false => (&pictures, &expected, 0.0),
        };
        let output = check(command.arg(folder).arg("--json"), &name)?;
        let found = parse_lines(&String::from_utf8(output.stdout)?)?;
        compare(&name, &found, expected, tolerance)?;
    }
    let picture = pictures.join(&names[0]);
    for (name, mut command) in demos.commands("detect_file") {
        let drawing = place.work.join("drawing.png");
        let _ = std::fs::remove_file(&drawing);
        check(command.arg(&picture).arg("--draw").arg(&drawing), &name)?;
        std::fs::metadata(&drawing).with_context(|| format!("{name} has not drawn a picture"))?;
    }
    for (name, mut command) in demos.commands("detect_file") {
        let output = command.arg(place.work.join("missing.jpg")).output()?;
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() != Some(1) || !message.contains("missing.jpg: ") {
            bail!("{name} on a missing file: {}\n{message}", output.status);
        }
    }
    println!("the demos find what the command finds in {} pictures", expected.len());
    Ok(())
}

/// Copies the pictures into one folder and returns their names.
fn collect(place: &Place, folder: &Path) -> Result<Vec<String>> {
    std::fs::create_dir_all(folder)?;
    let mut names = vec![SMALL.to_owned(), "page.png".to_owned()];
    for name in &names {
        std::fs::copy(place.repository.join("examples").join(name), folder.join(name))?;
    }
    for picture in PICTURES {
        let Some(path) = picodet_testing::shared_path(&format!("data/{picture}")) else { continue };
        let name = picture.replace('/', "-");
        std::fs::copy(path, folder.join(&name))?;
        names.push(name);
    }
    Ok(names)
}

/// Returns the detections of each picture by the command; those that it refuses are left out.
fn command_results(place: &Place, pictures: &Path) -> Result<Vec<(String, Vec<Value>)>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "run",
        "--quiet",
        "--locked",
        "--package",
        "picodet-cli",
        "--",
        "detect",
        "--format",
        "json",
    ]);
    let output = cargo.current_dir(&place.repository).arg(pictures).output()?;
    let mut results = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let image: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let file = image["file"].as_str().unwrap_or_default();
        let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy().into_owned();
        results.push((name, image["detections"].as_array().cloned().unwrap_or_default()));
    }
    results.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(results)
}

/// Parses lines of a name, a tabulator and an array.
fn parse_lines(text: &str) -> Result<Vec<(String, Vec<Value>)>> {
    let mut results = Vec::new();
    for line in text.lines() {
        let (name, json) = line.split_once('\t').with_context(|| line.to_owned())?;
        results.push((name.to_owned(), serde_json::from_str(json)?));
    }
    results.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(results)
}

type Results = [(String, Vec<Value>)];

/// Compares detections: names and counts are equal, numbers as f32 within the tolerance.
fn compare(demo: &str, found: &Results, expected: &Results, tolerance: f32) -> Result<()> {
    let names = |results: &Results| results.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    if names(found) != names(expected) {
        bail!("{demo} has read {:?}, the command {:?}", names(found), names(expected));
    }
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        let is_same = found.len() == expected.len()
            && found.iter().zip(expected).all(|(a, b)| {
                let same = |key: &str| a[key] == b[key];
                same("class") && same("name") && is_near(&numbers(a), &numbers(b), tolerance)
            });
        if !is_same {
            bail!("{demo} finds {found:?} in {name}, the command {expected:?}");
        }
    }
    Ok(())
}

/// Returns score and box as f32.
fn numbers(detection: &Value) -> Vec<f32> {
    let corners = detection["box"].as_array().cloned().unwrap_or_default();
    let numbers = corners.iter().chain([&detection["score"]]);
    numbers.map(|number| number.as_f64().unwrap_or(f64::NAN) as f32).collect()
}

fn is_near(a: &[f32], b: &[f32], tolerance: f32) -> bool {
    a.len() == 5 && b.len() == 5 && a.iter().zip(b).all(|(a, b)| a == b || (a - b).abs() <= tolerance)
}
