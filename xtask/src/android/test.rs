//! `cargo xtask android-test`: the package in Java of this machine, and the AAR's library in Java for ARM under emulation.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::archive::{self, ASSET, MODEL};
use super::run::{Machine, detections};
use crate::blocks::{Block, blocks, named_file};
use crate::cross;
use crate::pictures::{self, Difference};

/// Builds the AAR and runs all tests.
pub(super) fn run() -> Result<()> {
    let work = crate::build::target_folder()?.join("android");
    let tests = Tests::new(&work)?;
    let machine = Machine::native(&work, &native_library()?)?;
    tests.run("Java", &machine, 416, Difference::NONE)?;

    let aar = archive::build(&work)?;
    let libraries = work.join("unpacked");
    archive::unpack(&aar, &libraries)?;
    if let Some(machine) = Machine::x86_64(&work, &libraries.join("jni/x86_64/libpicodet.so"))? {
        tests.run("Java with the library for Android on x86_64", &machine, 416, Difference::ROUNDING)?;
    }
    match Machine::arm(&work, &libraries.join("jni/arm64-v8a/libpicodet.so"))? {
        // A smaller network: emulation is slow.
        Some(machine) => tests.run("Java on ARM", &machine, 160, Difference::ROUNDING)?,
        None => println!("SKIPPED: this machine cannot get Java for ARM, qemu and a compiler for ARM"),
    }
    pages(&work, &tests)?;
    super::application::test(&work, &aar, &tests.stubs)?;
    println!("the Android package passes");
    Ok(())
}

/// The compiled tests and their data.
pub(super) struct Tests {
    /// Stubs of Android's classes.
    stubs: PathBuf,
    package: PathBuf,
    classes: PathBuf,
    assets: PathBuf,
    pictures: PathBuf,
    photo: PathBuf,
}

impl Tests {
    /// Compiles the tests and copies their pictures.
    pub(super) fn new(work: &Path) -> Result<Self> {
        let (stubs, package) = archive::classes(work)?;
        let classes = work.join("tests");
        archive::compile(&[Path::new("bindings/android/test")], &[&stubs, &package], &classes)?;
        let assets = work.join("assets");
        let asset = assets.join(ASSET);
        std::fs::create_dir_all(asset.parent().unwrap_or(&assets))?;
        std::fs::copy(MODEL, asset).context(MODEL)?;
        let pictures = work.join("pictures");
        let names = pictures::collect(&pictures)?;
        println!("{} pictures", names.len());
        let photo = work.join("photo.ppm");
        write_ppm(&pictures.join(pictures::SMALL), &photo)?;
        Ok(Self { stubs, package, classes, assets, pictures, photo })
    }

    /// Returns what [`Tests::new`] has compiled, with other pictures.
    pub(super) fn built(work: &Path, pictures: &Path) -> Option<Self> {
        let tests = Self {
            stubs: work.join("stubs"),
            package: work.join("classes"),
            classes: work.join("tests"),
            assets: work.join("assets"),
            pictures: pictures.to_owned(),
            photo: work.join("photo.ppm"),
        };
        tests.classes.is_dir().then_some(tests)
    }

    /// Returns the detections of the package in the pictures.
    pub(super) fn detections(&self, machine: &Machine) -> Result<pictures::Results> {
        detections(&mut self.detect(machine, &self.pictures)?)
    }

    /// Returns a command that prints the detections in the pictures of a folder.
    pub(super) fn detect(&self, machine: &Machine, pictures: &Path) -> Result<Command> {
        let mut command = self.command(machine, "dev.picodet.Pictures")?;
        command.arg(MODEL).arg(pictures);
        Ok(command)
    }

    /// Compiles sources that use the package.
    pub(super) fn compile(&self, sources: &Path, classes: &Path) -> Result<()> {
        archive::compile(&[sources], &[&self.stubs, &self.package], classes)
    }

    /// Runs the tests, with a network input of this side, and compares the detections with the command's.
    fn run(&self, name: &str, machine: &Machine, side: usize, allowed: Difference) -> Result<()> {
        let mut command = self.command(machine, "dev.picodet.DetectorTest")?;
        cross::run(command.arg(MODEL).arg(&self.photo).arg(side.to_string()))?;
        let expected = pictures::of_command(&self.pictures, &[])?;
        let difference = pictures::compare(name, &self.detections(machine)?, &expected, allowed)?;
        let Difference { pixels, score } = difference;
        let count = expected.len();
        println!("{name}: {count} pictures, boxes within {pixels:e} pixels, scores within {score:e}");
        Ok(())
    }

    fn command(&self, machine: &Machine, class: &str) -> Result<Command> {
        machine.command(&[&self.stubs, &self.package, &self.classes], &self.assets, class)
    }
}

/// Compiles the Java programs of the pages, which are the same in both languages.
fn pages(work: &Path, tests: &Tests) -> Result<()> {
    let page = |name: &str| -> Result<Vec<Block>> {
        Ok(blocks(&std::fs::read_to_string(name).with_context(|| name.to_owned())?))
    };
    let english = page("docs/android.md")?;
    if english != page("docs/android.zh-CN.md")? {
        bail!("the code blocks of docs/android.md and docs/android.zh-CN.md differ");
    }
    let folder = work.join("page");
    std::fs::create_dir_all(&folder)?;
    let mut count = 0;
    for block in &english {
        if let Some(file) = named_file(&block.text).filter(|_| block.language == "java") {
            std::fs::write(folder.join(file), &block.text)?;
            count += 1;
        }
    }
    tests.compile(&folder, &work.join("page-classes"))?;
    println!("{count} programs of docs/android.md compile");
    Ok(())
}

/// Builds the library for this machine.
pub(super) fn native_library() -> Result<PathBuf> {
    let arguments = ["rustc", "--locked", "--package", "picodet-android", "--lib", "--crate-type", "cdylib"];
    crate::build::cargo(&arguments)?;
    Ok(crate::build::target_folder()?.join("debug/libpicodet_android.so"))
}

/// Writes a picture as PPM, which Java reads without its graphics.
fn write_ppm(picture: &Path, file: &Path) -> Result<()> {
    let bytes = std::fs::read(picture)?;
    let image = picodet_image::decode(&bytes, &picodet_image::Limits::default())?;
    let mut ppm = format!("P6\n{} {}\n255\n", image.width(), image.height()).into_bytes();
    ppm.extend_from_slice(image.data());
    std::fs::write(file, ppm).with_context(|| file.display().to_string())
}
