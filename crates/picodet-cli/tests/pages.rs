//! The commands on the pages of the documentation run, and print what the pages show.
//!
//! All ```` ```sh ```` blocks of a page run in order in one new folder, which has `photo.jpg`, `page.png`, a folder `photos` and a
//! dataset `cells`. A ```` ```text ```` block that directly follows one shows lines of its output, with `…` for any text. Comments before a block
//! change that: `<!-- not run: REASON -->` skips it, `<!-- run with: OLD => NEW -->` replaces text for the test.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::Command;

use picodet::crates::image::{Image, encode_png};
use picodet_testing::Cases;

/// Pages with commands; each has a translation that shows the same commands.
const PAGES: [&str; 7] =
    ["first-steps", "own-data", "results", "small-machines", "quantise", "troubleshooting", "licences"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A block of commands.
#[derive(Debug, Default, PartialEq)]
struct Block {
    /// 1-based line of its first command.
    line: usize,
    commands: String,
    /// Why the test does not run it.
    skipped: Option<String>,
    /// Text that the test replaces.
    replaced: Vec<(String, String)>,
    /// Lines of its output.
    output: Vec<String>,
}

/// The blocks of commands of a page.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut next = Block::default();
    // Whether a block of commands ended, followed by empty lines only.
    let mut ended = false;
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let comment = |start: &str| line.strip_prefix(start).and_then(|rest| rest.strip_suffix("-->"));
        if let Some(reason) = comment("<!-- not run:") {
            next.skipped = Some(reason.trim().to_owned());
        } else if let Some((old, new)) = comment("<!-- run with:").and_then(|rest| rest.split_once("=>")) {
            next.replaced.push((old.trim().to_owned(), new.trim().to_owned()));
        } else if let Some(language) = line.strip_prefix("```") {
            let body: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| !line.starts_with("```")).collect();
            match language {
                "sh" => {
                    next.line = number + 2;
                    next.commands = body.join("\n");
                    blocks.push(std::mem::take(&mut next));
                    ended = true;
                    continue;
                }
                "text" if ended => {
                    let block = blocks.last_mut().expect("a block of commands");
                    block.output = body.into_iter().map(str::to_owned).collect();
                }
                _ => {}
            }
        } else if line.is_empty() {
            continue;
        }
        ended = false;
    }
    blocks
}

/// Whether a line of output is `pattern`, in which `…` stands for any text.
fn matches(pattern: &str, line: &str) -> bool {
    let parts: Vec<&str> = pattern.split('…').collect();
    let [first, middle @ .., last] = &parts[..] else { return pattern == line };
    let Some(rest) = line.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else { return false };
    let found = middle.iter().try_fold(rest, |rest, part| rest.find(part).map(|at| &rest[at + part.len()..]));
    found.is_some()
}

/// Twelve pictures of bright squares on grey, as a COCO dataset without splits.
fn dataset(folder: &Path) {
    const SIDE: usize = 96;
    std::fs::create_dir_all(folder.join("images")).expect("a folder");
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    for number in 0..12usize {
        let mut image = Image::filled(SIDE, SIDE, [90 + number as u8; 3]);
        let (left, top) = (4 + 4 * number, 60 - 3 * number);
        for at in 0..32 * 32 {
            image.set_pixel(left + at % 32, top + at / 32, [220, 200, 40 + 10 * number as u8]);
        }
        let file = format!("{number:03}.png");
        std::fs::write(folder.join("images").join(&file), encode_png(&image)).expect("a picture");
        images.push(serde_json::json!({"id": number, "file_name": file, "width": SIDE, "height": SIDE}));
        annotations.push(serde_json::json!({
            "id": number + 1, "image_id": number, "category_id": 1, "bbox": [left, top, 32, 32], "area": 1024,
            "iscrowd": 0,
        }));
    }
    let text = serde_json::json!({
        "images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cell"}],
    });
    std::fs::write(folder.join("annotations.json"), text.to_string()).expect("annotations");
}

/// The files that pages use.
fn prepare(folder: &Path) {
    let examples = root().join("examples");
    let copy = |from: &str, to: &str| {
        std::fs::copy(examples.join(from), folder.join(to)).expect("an example");
    };
    copy("page.png", "page.png");
    copy("coffee.jpg", "photo.jpg");
    std::fs::create_dir(folder.join("photos")).expect("a folder");
    copy("coffee.jpg", "photos/one.jpg");
    copy("coffee.jpg", "photos/two.jpg");
    dataset(&folder.join("cells"));
}

/// Runs the blocks of a page, and adds what fails to `cases`.
fn run(page: &str, cases: &mut Cases) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    prepare(folder.path());
    let program = Path::new(env!("CARGO_BIN_EXE_picodet")).parent().expect("a folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let text = std::fs::read_to_string(root().join(format!("docs/{page}.md"))).expect("a page");
    for block in blocks(&text).iter().filter(|block| block.skipped.is_none()) {
        let replaced = |text: String, (old, new): &(String, String)| {
            cases.check(format!("{page}.md:{}: `{old}` is there", block.line), text.contains(old.as_str()));
            text.replace(old.as_str(), new)
        };
        let commands = block.replaced.iter().fold(block.commands.clone(), replaced);
        let run = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &commands])
            .current_dir(folder.path())
            .env("PATH", &path)
            .env("PICODET_CACHE", folder.path().join("cache"))
            .output()
            .expect("bash");
        let output =
            [run.stdout, run.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        let name = format!("{page}.md:{}", block.line);
        if !run.status.success() {
            cases.fail(format!("{name}: {}\n{commands}\n{output}", run.status));
        }
        for line in &block.output {
            let found = output.lines().any(|found| matches(line, found));
            cases.check(format!("{name}: `{line}` is printed:\n{output}"), found);
        }
    }
}

#[test]
fn commands_run_and_print_what_the_pages_show() {
    let mut cases = Cases::new();
    PAGES.iter().for_each(|page| run(page, &mut cases));
    cases.finish();
}

#[test]
fn translations_have_the_same_commands() {
    let mut cases = Cases::new();
    for page in PAGES {
        let [original, translated] = ["md", "zh-CN.md"].map(|extension| {
            let path = root().join(format!("docs/{page}.{extension}"));
            let text = std::fs::read_to_string(&path).expect("a page");
            let mut blocks = blocks(&text);
            blocks.iter_mut().for_each(|block| {
                (block.line, block.skipped) = (0, block.skipped.take().map(|_| String::new()))
            });
            blocks
        });
        cases.check(format!("{page} has commands"), !original.is_empty());
        cases.equal(page, translated, original);
    }
    cases.finish();
}

#[test]
fn pages_are_read_as_written() {
    let page = "```sh\na\nb\n```\n\n```text\nx … z\n```\n<!-- not run: slow -->\n```sh\nc\n```\ntext\n```text\nno\n```\n<!-- run with: d 1 => d 0 -->\n```sh\nd 1\n```\n";
    let found = blocks(page);
    let block = |line, commands: &str| Block { line, commands: commands.to_owned(), ..Block::default() };
    let expected = [
        Block { output: vec!["x … z".to_owned()], ..block(2, "a\nb") },
        Block { skipped: Some("slow".to_owned()), ..block(11, "c") },
        Block { replaced: vec![("d 1".to_owned(), "d 0".to_owned())], ..block(19, "d 1") },
    ];
    assert_eq!(found, expected);
    let cases = [
        ("a", "a", true),
        ("a", "ab", false),
        ("a…", "ab", true),
        ("a…c", "abc", true),
        ("a…c", "abcd", false),
        ("…b…", "abc", true),
        ("a…d", "abc", false),
    ];
    for (pattern, line, expected) in cases {
        assert_eq!(matches(pattern, line), expected, "{pattern} and {line}");
    }
}
