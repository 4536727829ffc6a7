//! The code blocks of docs/c.md, compiled and run in an empty folder, in their order.
//!
//! A block whose first line names a file in a comment (`/* first.c */`, `// first.cpp`, `# CMakeLists.txt`) is that file; blocks of
//! `sh` are run.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::place::{Place, check};

/// The picture that is `photo.jpg` on the page.
const PHOTO: &str = "examples/coffee.jpg";

/// A code block: its language and its text.
#[derive(PartialEq, Eq)]
struct Block {
    language: String,
    text: String,
}

/// Runs the English page; the blocks of the Chinese page are the same.
pub(super) fn run(place: &Place) -> Result<()> {
    let blocks = blocks(&std::fs::read_to_string("docs/c.md").context("docs/c.md")?);
    let translated = self::blocks(&std::fs::read_to_string("docs/c.zh-CN.md").context("docs/c.zh-CN.md")?);
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

/// Returns the file that the first line of a block names.
fn named_file(text: &str) -> Option<&str> {
    let line = text.lines().next()?;
    let name = line.strip_prefix("/* ").and_then(|line| line.strip_suffix(" */"));
    let name = name.or_else(|| line.strip_prefix("// ")).or_else(|| line.strip_prefix("# "))?;
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '.' || letter == '_';
    (name.contains('.') && name.chars().all(is_name)).then_some(name)
}

/// Returns the code blocks of a page.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for line in page.lines() {
        match (line.strip_prefix("```"), open) {
            (Some(language), false) => {
                blocks.push(Block { language: language.to_owned(), text: String::new() });
                open = true;
            }
            (Some(_), true) => open = false,
            (None, true) => {
                if let Some(block) = blocks.last_mut() {
                    // Writing to memory does not fail.
                    let _ = writeln!(block.text, "{line}");
                }
            }
            (None, false) => {}
        }
    }
    blocks
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_languages_and_files() {
        let page = "text\n```c\n/* a.c */\nint a;\n```\n```sh\n# comment\necho\n```\n";
        let blocks = blocks(page);
        let languages: Vec<&str> = blocks.iter().map(|block| block.language.as_str()).collect();
        assert_eq!(languages, ["c", "sh"]);
        assert_eq!(blocks[0].text, "/* a.c */\nint a;\n");
        assert_eq!(named_file(&blocks[0].text), Some("a.c"));
        assert_eq!(named_file(&blocks[1].text), None);
        assert_eq!(named_file("# CMakeLists.txt\n"), Some("CMakeLists.txt"));
    }
}
