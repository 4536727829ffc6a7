//! The code blocks of the pages in `docs/`.

use std::fmt::Write;

/// A code block: its language and its text.
#[derive(PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) text: String,
}

/// Returns the file that the first line of a block names.
pub(crate) fn named_file(text: &str) -> Option<&str> {
    let line = text.lines().next()?;
    let name = line.strip_prefix("/* ").and_then(|line| line.strip_suffix(" */"));
    let name = name.or_else(|| line.strip_prefix("// ")).or_else(|| line.strip_prefix("# "))?;
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '.' || letter == '_';
    (name.contains('.') && name.chars().all(is_name)).then_some(name)
}

/// Returns the code blocks of a page.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
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
