//! `cargo xtask conformance`: compares the results of each interface with those of the command on the same pictures.
//!
//! It runs what the tests of the interfaces have built: `c-test`, `python-test`, `web-test`, `android-test`.

mod instructions;
mod interfaces;

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Result, bail};

use self::instructions::instructions;
use self::interfaces::{Interface, all};
use crate::pictures::{Difference, collect, compare, of_command};

/// Runs all interfaces and prints the table.
///
/// # Errors
/// When an interface finds something else, or none but the command has been built.
pub(crate) fn run() -> Result<()> {
    let target = crate::build::target_folder()?;
    let work = target.join("conformance");
    let pictures = work.join("pictures");
    if pictures.exists() {
        std::fs::remove_dir_all(&pictures)?;
    }
    let count = collect(&pictures)?.len();
    let expected = of_command(&pictures, &[])?;
    println!("{count} pictures, of which the command reads {}\n", expected.len());
    println!("| interface | instructions | boxes, pixels | scores |");
    println!("| --- | --- | --- | --- |");
    println!("| command | {} | reference | reference |", instructions());
    let mut compared = 0;
    for Interface { name, instructions: other, leaves, found } in all(&target, &pictures) {
        let set = other.unwrap_or_else(|| instructions().to_owned());
        match found {
            Some(found) => {
                // The same instructions give the same numbers.
                let is_same = set == instructions();
                let allowed = if is_same { Difference::NONE } else { Difference::ROUNDING };
                let mut expected = expected.clone();
                expected.retain(|(name, _)| {
                    leaves.is_none_or(|left| Path::new(name).extension() != Some(OsStr::new(left)))
                });
                let Difference { pixels, score } = compare(&name, &found()?, &expected, allowed)?;
                let number = |value: f32| match value {
                    0.0 => "identical".to_owned(),
                    value => format!("{value:.1e}"),
                };
                println!("| {name} | {set} | {} | {} |", number(pixels), number(score));
                compared += 1;
            }
            None => println!("| {name} | {set} | not built | not built |"),
        }
    }
    if compared == 0 {
        bail!("no interface has been built");
    }
    Ok(())
}
