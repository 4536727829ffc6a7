//! References in the sources and links in the documentation lead somewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All files below `folder` with one of the extensions, without build folders and hidden ones.
fn files(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" {
                files(&path, extensions, found);
            }
        } else if extensions.iter().any(|extension| name.ends_with(&format!(".{extension}"))) {
            found.push(path);
        }
    }
}

/// The sections that `text` refers to: `SPEC §4.2`, `SPEC §5.2, §5.3`, `SPEC §1–3`.
fn sections(text: &str) -> Vec<String> {
    let mut sections = Vec::new();
    for reference in text.split("SPEC §").skip(1) {
        let mut rest = reference;
        loop {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            sections.push(rest[..end].trim_end_matches('.').to_owned());
            rest = &rest[end..];
            match rest.strip_prefix(", §").or_else(|| rest.strip_prefix('–')) {
                Some(next) => rest = next,
                None => break,
            }
        }
    }
    sections
}

#[test]
fn specification_references_have_a_section() {
    let page = std::fs::read_to_string(root().join("docs/spec.md")).expect("the specification");
    let headings: BTreeSet<&str> = page
        .lines()
        .filter(|line| line.starts_with("## ") || line.starts_with("### "))
        .filter_map(|line| Some(line.split_whitespace().nth(1)?.trim_end_matches('.')))
        .collect();
    let mut sources = Vec::new();
    for folder in ["crates", "xtask", "bench"] {
        files(&root().join(folder), &["rs", "toml", "py"], &mut sources);
    }
    let own = Path::new(file!()).file_name();
    let mut count = 0;
    let mut wrong = Vec::new();
    for path in sources.iter().filter(|path| path.file_name() != own) {
        let text = std::fs::read_to_string(path).expect("a source");
        for section in sections(&text) {
            count += 1;
            if !headings.contains(section.as_str()) {
                wrong.push(format!("{}: SPEC §{section}", path.display()));
            }
        }
        if text.contains("SPEC.md") {
            wrong.push(format!("{}: write `SPEC §…`, which is docs/spec.md", path.display()));
        }
    }
    assert!(wrong.is_empty(), "not in docs/spec.md:\n{}", wrong.join("\n"));
    assert!(count > 50, "only {count} references were found");
}

#[test]
fn references_are_read_as_written() {
    assert_eq!(sections("(SPEC §5.2, §5.4): of SPEC §1–3."), ["5.2", "5.4", "1", "3"]);
    assert_eq!(sections("no reference"), Vec::<String>::new());
}

#[test]
fn links_of_the_documentation_lead_to_files() {
    let mut pages: Vec<PathBuf> = std::fs::read_dir(root())
        .expect("the repository")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    files(&root().join("docs"), &["md"], &mut pages);
    let mut wrong = Vec::new();
    for page in &pages {
        let text = std::fs::read_to_string(page).expect("a page");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            if !page.parent().expect("a folder").join(target).exists() {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(pages.len() > 10 && wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}
