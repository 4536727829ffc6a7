//! `cargo xtask c-test`: headers, exported symbols, demo programs and the pages' examples.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::camera::run as run_camera;
use super::demos::{WARNINGS, build as build_demos, compilers, run as run_demos};
use super::dist::install;
use super::pages::run as run_pages;
use super::place::{Place, check};

/// Runs all tests.
pub(super) fn run() -> Result<()> {
    let folder = crate::build::target_folder()?.join("c-test");
    let place =
        Place { repository: crate::build::root()?, prefix: folder.join("prefix"), work: folder.join("work") };
    if place.work.exists() {
        std::fs::remove_dir_all(&place.work)?;
    }
    std::fs::create_dir_all(&place.work)?;
    install(&place.prefix, "dev")?;

    crate::build::cargo(&["test", "--quiet", "--package", "picodet-c", "--test", "header"])?;
    headers(&place)?;
    symbols(&place)?;
    let demos = build_demos(&place)?;
    run_demos(&place, &demos)?;
    run_camera(&place, &demos)?;
    run_pages(&place)?;
    println!("the C library passes");
    Ok(())
}

/// Compiles each header without others, by every compiler and standard.
fn headers(place: &Place) -> Result<()> {
    let include = format!("-I{}", place.prefix.join("include").display());
    for compiler in compilers() {
        for (header, language, standard) in [
            ("picodet.h", "c", "c99"),
            ("picodet.h", "c", "c11"),
            ("picodet.h", "c", "c17"),
            ("picodet.h", "c++", "c++11"),
            ("picodet.hpp", "c++", "c++17"),
            ("picodet.hpp", "c++", "c++20"),
        ] {
            let file = place.work.join(format!("alone.{language}"));
            // Twice: the guard holds.
            std::fs::write(&file, format!("#include <{header}>\n#include <{header}>\n"))?;
            let mut command = Command::new(compiler);
            command.args(["-fsyntax-only", "-x", language, &format!("-std={standard}"), &include]);
            check(command.args(WARNINGS).arg(&file), &format!("{compiler}: {header} as {standard}"))?;
        }
    }
    println!("the headers compile alone");
    Ok(())
}

/// Compares the exported symbols with the list.
fn symbols(place: &Place) -> Result<()> {
    let library = place.prefix.join("lib/libpicodet.so");
    let output = check(Command::new("nm").args(["-D", "--defined-only"]).arg(&library), "nm")?;
    let text = String::from_utf8(output.stdout)?;
    let mut found: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().last()).collect();
    found.sort_unstable();
    let list = Path::new("bindings/c/tests/symbols.txt");
    let found = found.join("\n") + "\n";
    if std::env::var_os("PICODET_UPDATE").is_some() {
        std::fs::write(list, &found)?;
    }
    let expected = std::fs::read_to_string(list).context("bindings/c/tests/symbols.txt")?;
    if found != expected {
        bail!(
            "exported symbols:\n{found}expected (tests/symbols.txt; PICODET_UPDATE=1 writes it):\n{expected}"
        );
    }
    println!("{} symbols are exported", found.lines().count());
    Ok(())
}
