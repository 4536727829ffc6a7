//! Weights and results of other programs, as a user has them: renamed, damaged, or in another form.

mod results;
mod weights;

use std::path::Path;

use assert_cmd::Command;

const PHOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/coffee.jpg");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/page.png");

/// Exit code, standard output, standard error.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("picodet").expect("the command is built");
    let output = command.args(arguments).current_dir(folder).output().expect("the command runs");
    let words = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().unwrap_or(-1), words(output.stdout), words(output.stderr))
}
