//! The Java classes and the AAR.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::abi::{ABIS, MIN_API};
use super::symbols;
use crate::cross;

/// The model that the AAR contains, in its assets.
pub(super) const MODEL: &str = "crates/picodet/models/coco_s_416.safetensors";
/// The path of the model among the assets.
pub(super) const ASSET: &str = "picodet/coco_s_416.safetensors";
/// The date of all entries, so that the same input gives the same bytes.
const DATE: &str = "--date=2020-01-01T00:00:00+00:00";

/// Compiles the Java sources of these folders into a folder of classes; `path` holds classes that they use.
pub(super) fn compile(sources: &[&Path], path: &[&Path], classes: &Path) -> Result<()> {
    if classes.exists() {
        std::fs::remove_dir_all(classes)?;
    }
    std::fs::create_dir_all(classes)?;
    let mut files = Vec::new();
    for source in sources {
        let is_java = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "java");
        files.extend(cross::files(source)?.into_iter().filter(is_java));
    }
    let javac = cross::program(&["javac"]).context("javac is not installed")?;
    let mut command = Command::new(javac);
    // The language of all Android versions; a later JDK warns that it is old.
    command.args(["--release", "8", "-Xlint:all", "-Xlint:-options", "-Werror", "-encoding", "UTF-8", "-d"]);
    command.arg(classes).arg("-cp").arg(std::env::join_paths(path)?);
    cross::run(command.args(files))
}

/// Compiles the stubs of Android's classes and the package, and returns the folders of both.
pub(super) fn classes(work: &Path) -> Result<(PathBuf, PathBuf)> {
    let (stubs, package) = (work.join("stubs"), work.join("classes"));
    compile(&[Path::new("bindings/android/stubs")], &[], &stubs)?;
    compile(&[Path::new("bindings/android/java")], &[&stubs], &package)?;
    Ok((stubs, package))
}

/// Builds the libraries and the AAR, and returns its path.
pub(super) fn build(work: &Path) -> Result<PathBuf> {
    let (_, classes) = classes(work)?;
    let mut libraries = Vec::new();
    for abi in &ABIS {
        let library = abi.build(work)?;
        symbols::check(&library)?;
        libraries.push(library);
    }
    pack(work, &classes, &libraries)
}

/// Writes the AAR with these libraries, one per ABI, and returns its path.
fn pack(work: &Path, classes: &Path, libraries: &[PathBuf]) -> Result<PathBuf> {
    let content = work.join("aar");
    if content.exists() {
        std::fs::remove_dir_all(&content)?;
    }
    let put = |path: &str, bytes: &[u8]| -> Result<()> {
        let path = content.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(&content))?;
        std::fs::write(&path, bytes).with_context(|| path.display().to_string())
    };
    for (abi, library) in ABIS.iter().zip(libraries) {
        let bytes = std::fs::read(library).with_context(|| library.display().to_string())?;
        println!("{}: {} bytes", abi.name, bytes.len());
        if bytes.len() as u64 > abi.max_size {
            bail!("the library for {} has more than {} bytes", abi.name, abi.max_size);
        }
        put(&format!("jni/{}/libpicodet.so", abi.name), &bytes)?;
    }
    let manifest = format!(
        "<manifest xmlns:android=\"http://schemas.android.com/apk/res/android\" package=\"dev.picodet\">\n    \
         <uses-sdk android:minSdkVersion=\"{MIN_API}\" />\n</manifest>\n"
    );
    put("AndroidManifest.xml", manifest.as_bytes())?;
    put("R.txt", b"")?;
    put("proguard.txt", &std::fs::read("bindings/android/proguard.txt")?)?;
    put(&format!("assets/{ASSET}"), &std::fs::read(MODEL).context(MODEL)?)?;
    for text in ["LICENSE", "NOTICE"] {
        put(text, &std::fs::read(text)?)?;
    }
    jar(&content.join("classes.jar"), classes)?;
    let file = work.join(format!("picodet-{}.aar", env!("CARGO_PKG_VERSION")));
    jar(&file, &content)?;
    println!("{}: {} bytes", file.display(), std::fs::metadata(&file)?.len());
    Ok(file)
}

/// Writes a folder's content as an archive.
pub(super) fn jar(file: &Path, folder: &Path) -> Result<()> {
    let jar = cross::program(&["jar"]).context("the JDK's `jar` is not installed")?;
    let _ = std::fs::remove_file(file);
    let mut command = Command::new(jar);
    command.args(["--create", "--no-manifest", DATE, "--file"]).arg(file).arg("-C").arg(folder).arg(".");
    cross::run(&mut command)
}

/// Unpacks an archive into a new folder.
pub(super) fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    let jar = cross::program(&["jar"]).context("the JDK's `jar` is not installed")?;
    cross::run(Command::new(jar).arg("--extract").arg("--file").arg(archive).current_dir(folder))
}
