//! The code blocks of docs/c.md, compiled and run in an empty folder, in their order.
//!
//! A block whose first line names a file in a comment (`/* first.c */`, `// first.cpp`, `# CMakeLists.txt`) is that file; blocks of
//! `sh` are run.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::place::{Place, check};
use crate::blocks::{blocks, named_file};

/// The picture that is `photo.jpg` on the page.
const PHOTO: &str = "examples/coffee.jpg";

/// Runs the English page; the blocks of the Chinese page are the same.
pub(super) fn run(place: &Place) -> Result<()> {
    let blocks = blocks(&std::fs::read_to_string("docs/c.md").context("docs/c.md")?);
    let translated =
        crate::blocks::blocks(&std::fs::read_to_string("docs/c.zh-CN.md").context("docs/c.zh-CN.md")?);
    if blocks != translated {
        bail!("the code blocks of docs/c.md and docs/c.zh-CN.md differ");
    }
    let folder = place.work.join("page");
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(PHOTO, folder.join("photo.jpg"))?;
    let tools = place.work.join("tools");
    std::fs::create_dir_all(&tools)?;
    // The page builds for speed; the test uses what has been built.
    let (cargo, root) = (env!("CARGO"), place.repository.display());
    script(&tools.join("cargo"), &format!("cd '{root}' && exec '{cargo}' \"$@\" --profile dev"))?;
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());

    let mut run = 0;
    for block in &blocks {
        match (block.language.as_str(), named_file(&block.text)) {
            (_, Some(file)) => std::fs::write(folder.join(file), &block.text)?,
            ("sh", None) => {
                let mut shell = Command::new("sh");
                shell.args(["-eu", "-c", &block.text]).current_dir(&folder);
                shell.env("PATH", &path).env("PREFIX", &place.prefix);
                // Exported by a block of the page, for the later ones.
                shell.env("PKG_CONFIG_PATH", place.prefix.join("lib/pkgconfig"));
                check(&mut shell, "docs/c.md")?;
                run += 1;
            }
            (language, None) => bail!("docs/c.md: a block of `{language}` names no file:\n{}", block.text),
        }
    }
    println!("{} blocks of docs/c.md, of which {run} are commands", blocks.len());
    Ok(())
}

/// Writes an executable script.
fn script(path: &Path, command: &str) -> Result<()> {
    std::fs::write(path, format!("#!/bin/sh\n{command}\n"))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
