//! The interfaces, and how each is run over a folder of pictures.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::instructions::instructions;
use crate::android::{self, Java};
use crate::cross;
use crate::pictures::{Results, of_command, parse_lines};

/// The model of all interfaces that do not contain it.
const MODEL: &str = "crates/picodet/models/coco_s_416.safetensors";

/// Detects in all pictures.
type Run<'a> = Box<dyn FnOnce() -> Result<Results> + 'a>;

/// An interface.
pub(super) struct Interface<'a> {
    pub(super) name: String,
    /// The instructions, if they differ from those of the command.
    pub(super) instructions: Option<String>,
    /// The extension of pictures that it leaves to another decoder.
    pub(super) leaves: Option<&'static str>,
    /// How to run it, if it has been built.
    pub(super) found: Option<Run<'a>>,
}

/// Returns all interfaces.
pub(super) fn all<'a>(target: &'a Path, pictures: &'a Path) -> Vec<Interface<'a>> {
    let interface = |name: &str, instructions: Option<&str>, found: Option<Run<'a>>| Interface {
        name: name.to_owned(),
        instructions: instructions.map(str::to_owned),
        leaves: None,
        found,
    };
    let c = target.join("c-test/work/gcc-c11-plain/detect_file");
    let cpp = target.join("c-test/work/gcc-c++17-plain/detect_folder");
    let python = target.join("python/venv/bin/python");
    let package = target.join("web/package");
    let emulator = cross::program(&["qemu-x86_64-static", "qemu-x86_64"]);
    let node = cross::program(&["node"]).filter(|_| package.join("picodet.wasm").is_file());
    vec![
        interface("Rust", None, Some(Box::new(move || rust(target, pictures)))),
        interface("C", None, c.is_file().then(|| Box::new(move || each(&c, pictures)) as Run<'a>)),
        interface(
            "C++",
            None,
            cpp.is_file()
                .then(|| Box::new(move || lines(Command::new(cpp).arg(pictures).arg("--json"))) as Run<'a>),
        ),
        interface(
            "Python",
            None,
            python.is_file().then(|| {
                let script = "xtask/src/conformance/pictures.py";
                Box::new(move || lines(Command::new(python).arg(script).arg(pictures))) as Run<'a>
            }),
        ),
        interface("Java", None, android::detections(target, pictures, Java::Native)),
        interface(
            "Java, Android's library",
            // It has no AVX-512.
            Some(if instructions() == "AVX-512" { "AVX2" } else { instructions() }),
            android::detections(target, pictures, Java::X86),
        ),
        Interface {
            // The browser decodes it; Node does not.
            leaves: Some("webp"),
            ..interface(
                "WebAssembly",
                Some("SIMD128"),
                node.map(|node| {
                    let script = "xtask/src/conformance/pictures.mjs";
                    let arguments =
                        [Path::new(script), &package, Path::new(MODEL), pictures].map(Path::to_owned);
                    Box::new(move || lines(Command::new(node).args(arguments))) as Run<'a>
                }),
            )
        },
        interface("Java on ARM, emulated", Some("NEON"), android::detections(target, pictures, Java::Arm)),
        interface(
            "command, emulated",
            Some("AVX2"),
            emulator.map(|emulator| {
                // The emulator has no AVX-512.
                let emulator = [emulator.display().to_string(), "-cpu".to_owned(), "max".to_owned()];
                Box::new(move || of_command(pictures, &emulator)) as Run<'a>
            }),
        ),
    ]
}

/// Runs the library's example.
fn rust(target: &Path, pictures: &Path) -> Result<Results> {
    // Together with the command, so that its features do not build the library again.
    let arguments = ["build", "--quiet", "--locked", "-p", "picodet", "-p", "picodet-cli"];
    crate::build::cargo(&[&arguments[..], &["--example", "pictures"]].concat())?;
    lines(Command::new(target.join("debug/examples/pictures")).arg(pictures))
}

/// Runs a program for each picture; it prints an array, or fails where the file is not an image.
fn each(program: &Path, pictures: &Path) -> Result<Results> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(pictures)? {
        files.push(entry?.path());
    }
    files.sort();
    let mut results = Results::new();
    for file in files {
        let output = Command::new(program).arg(&file).arg("--json").output()?;
        if output.status.success() {
            let text = String::from_utf8(output.stdout)?;
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            results.push((name, serde_json::from_str(&text).with_context(|| text.clone())?));
        }
    }
    Ok(results)
}

/// Runs a program that prints a line per picture.
fn lines(command: &mut Command) -> Result<Results> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed\n{}", String::from_utf8_lossy(&output.stderr));
    }
    parse_lines(&String::from_utf8(output.stdout)?)
}
