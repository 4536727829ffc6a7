//! `cargo xtask first`: the seconds from the files of a release to the first detection for five kinds of users, each in an empty
//! folder with the program of their page in `docs/`.

mod step;
mod web;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use self::step::{OBJECT, Step, block, step};
use super::archive::{files, unpack};
use super::found::found;
use super::test::pkg_config_flags;
use crate::blocks::named_file;
use crate::python::Environment;
use crate::{android, cross};

/// The photo of all users.
const PHOTO: &str = "examples/coffee.jpg";

/// Measures all users and prints a table.
pub(super) fn run(release: &Path) -> Result<()> {
    let work = release.with_file_name("first");
    if work.exists() {
        std::fs::remove_dir_all(&work)?;
    }
    std::fs::create_dir_all(&work)?;
    let folder = |name: &str| -> Result<PathBuf> {
        let folder = work.join(name);
        std::fs::create_dir_all(&folder)?;
        std::fs::copy(PHOTO, folder.join("photo.jpg")).context(PHOTO)?;
        Ok(folder)
    };
    println!("| user | steps | seconds |");
    println!("| --- | --- | --- |");
    let architecture = std::env::consts::ARCH;
    let program = format!("-{architecture}-linux.tar.gz");
    let wheel = format!("_{architecture}.whl");
    let row = |user: &str, name: &str, starts: &str, ends: &str, steps: Steps| -> Result<()> {
        let is_wanted = |file: &str| file.starts_with(starts) && file.ends_with(ends);
        match one(release, is_wanted)? {
            Some(file) => match steps(&file, &folder(name)?)? {
                Some(steps) => print(user, &steps),
                None => println!("| {user} | tools are missing | |"),
            },
            None => println!("| {user} | not built | |"),
        }
        Ok(())
    };
    row("terminal", "terminal", "picodet-", &program, terminal)?;
    row("Python", "python", "picodet-", &wheel, python)?;
    row("C", "c", "libpicodet-", ".tar.gz", c)?;
    row("web page", "web", "picodet-", ".tgz", web::steps)?;
    row("Android", "android", "picodet-", ".aar", java)
}

/// Performs the steps of a user with a file of the release in an empty folder; `None` where tools are missing.
type Steps = fn(&Path, &Path) -> Result<Option<Vec<Step>>>;

/// Prints a row of the table.
fn print(user: &str, steps: &[Step]) {
    let actions: Vec<String> =
        steps.iter().map(|step| format!("{} ({:.2})", step.action, step.seconds)).collect();
    println!(
        "| {user} | {} | {:.2} |",
        actions.join("; "),
        steps.iter().map(|step| step.seconds).sum::<f64>()
    );
}

/// Returns the file of a release whose name a condition accepts, if it has been built.
fn one(release: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Option<PathBuf>> {
    let name = |file: &Path| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(files(release)?.into_iter().find(|file| is_wanted(&name(file))))
}

fn terminal(archive: &Path, folder: &Path) -> Result<Option<Vec<Step>>> {
    let mut program = PathBuf::new();
    Ok(Some(vec![
        step("unpack", || {
            program = unpack(archive, &folder.join("unpacked"))?.join("picodet");
            Ok(())
        })?,
        step("`picodet detect photo.jpg`", || {
            found(Command::new(&program).args(["detect", "photo.jpg"]).current_dir(folder), OBJECT)
        })?,
    ]))
}

fn python(wheel: &Path, folder: &Path) -> Result<Option<Vec<Step>>> {
    let program =
        block("docs/python.md", |language, text| language == "python" && text.contains("street.jpg"))?;
    std::fs::write(folder.join("first.py"), program.replace("street.jpg", "photo.jpg"))?;
    let mut environment = None;
    let mut steps = vec![step("`python3 -m venv`", || {
        environment = Some(Environment::create(folder)?);
        Ok(())
    })?];
    let environment = environment.context("no environment")?;
    let wheel = wheel.display().to_string();
    steps.push(step("`pip install picodet` with numpy from PyPI", || environment.install(&[&wheel]))?);
    steps.push(step("`python first.py`", || {
        found(environment.command().arg("first.py").current_dir(folder), OBJECT)
    })?);
    Ok(Some(steps))
}

fn c(archive: &Path, folder: &Path) -> Result<Option<Vec<Step>>> {
    if cross::program(&["pkg-config"]).is_none() {
        return Ok(None);
    }
    let program = block("docs/c.md", |_, text| named_file(text) == Some("first.c"))?;
    std::fs::write(folder.join("first.c"), program)?;
    let mut prefix = PathBuf::new();
    Ok(Some(vec![
        step("unpack", || {
            prefix = unpack(archive, &folder.join("unpacked"))?;
            Ok(())
        })?,
        step("`cc first.c`", || {
            let flags = pkg_config_flags(&prefix)?.context("pkg-config is not installed")?;
            let mut command = Command::new("cc");
            command.arg("first.c").args(flags).args(["-o", "first"]).current_dir(folder);
            cross::run(&mut command)
        })?,
        step("`./first photo.jpg`", || {
            let mut command = Command::new(folder.join("first"));
            command.arg("photo.jpg").current_dir(folder).env("LD_LIBRARY_PATH", prefix.join("lib"));
            found(&mut command, OBJECT)
        })?,
    ]))
}

/// The program of the page is compiled; a test program detects with the library of the AAR for x86_64.
fn java(aar: &Path, folder: &Path) -> Result<Option<Vec<Step>>> {
    let program = block("docs/android.md", |_, text| named_file(text) == Some("FirstDetection.java"))?;
    let source = folder.join("source");
    std::fs::create_dir_all(&source)?;
    std::fs::write(source.join("FirstDetection.java"), program)?;
    let Some(application) = android::Application::new(&folder.join("work"), aar)? else { return Ok(None) };
    Ok(Some(vec![
        step("`javac FirstDetection.java`", || application.compile(&source))?,
        step("Java on this machine, without a device", || {
            found(&mut application.detect(Path::new(PHOTO))?, OBJECT)
        })?,
    ]))
}
