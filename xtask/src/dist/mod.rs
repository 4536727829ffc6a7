//! The files of a release: `cargo xtask dist` builds them in `target/dist`, `cargo xtask dist-test` opens and uses each.

mod archive;
mod build;
mod first;
mod found;
mod sbom;
mod test;
mod wheel;

use std::path::PathBuf;

use anyhow::{Result, bail};

/// The parts of a release.
const PARTS: [&str; 6] = ["programs", "wheels", "npm", "android", "c", "sbom"];

/// Builds the parts that the arguments name, by default all; `--profile NAME` builds programs and libraries by another
/// profile than `release`.
///
/// # Errors
/// When a tool is missing or something does not build.
pub(crate) fn build(arguments: &[String]) -> Result<()> {
    let mut profile = "release".to_owned();
    let mut parts: Vec<&str> = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--profile" => match arguments.next() {
                Some(name) => profile.clone_from(name),
                None => bail!("--profile needs a name"),
            },
            part if PARTS.contains(&part) => parts.push(part),
            other => bail!("unknown part `{other}`; expected: {}", PARTS.join(", ")),
        }
    }
    if parts.is_empty() {
        parts = PARTS.to_vec();
    }
    let release = build::Release::new(folder()?, profile)?;
    for part in parts {
        match part {
            "programs" => release.programs()?,
            "wheels" => release.wheels()?,
            "npm" => release.npm()?,
            "android" => release.android()?,
            "c" => release.c()?,
            _ => sbom::write(&release.file("cdx.json"))?,
        }
    }
    archive::write_checksums(&folder()?)
}

/// Tests the files that [`build()`] has written.
///
/// # Errors
/// When a file is damaged or does not work.
pub(crate) fn test() -> Result<()> {
    test::run(&folder()?)
}

/// Prints the time from the files that [`build()`] has written to the first detection of several kinds of users.
///
/// # Errors
/// When a file is missing or does not work.
pub(crate) fn first() -> Result<()> {
    first::run(&folder()?)
}

fn folder() -> Result<PathBuf> {
    Ok(crate::build::target_folder()?.join("dist"))
}
