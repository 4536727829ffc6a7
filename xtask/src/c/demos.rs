//! The demo programs: compiled as C and C++, run plain, under valgrind and under the address sanitiser, and compared with the
//! command.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::place::{Place, check};
use crate::pictures::{Difference, Results, SMALL, collect, compare, of_command, parse_lines};

/// Warnings that are errors.
pub(super) const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];
/// The demo programs.
const DEMOS: [&str; 3] = ["detect_file.c", "camera.c", "detect_folder.cpp"];
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
    let names = collect(&pictures)?;
    let expected = of_command(&pictures, &[])?;
    let one = place.work.join("picture");
    std::fs::create_dir_all(&one)?;
    std::fs::copy(pictures.join(SMALL), one.join(SMALL))?;
    let expected_of_one: Results = expected.iter().filter(|(name, _)| name == SMALL).cloned().collect();
    for (name, mut command) in demos.commands("detect_folder") {
        // Under valgrind, AVX-512 is not available: the sums of AVX2 differ in their last bits.
        let (folder, expected, tolerance) = match name.ends_with("(valgrind)") {
            true => (&one, &expected_of_one, Difference::ROUNDING),
            false => (&pictures, &expected, Difference::NONE),
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
