//! The first detection in a web page: the page of docs/web.md in headless Chromium.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::step::{OBJECT, Step, block, step};
use crate::cross;
use crate::dist::found::text;
use crate::dist::test::MODEL;

/// Serves the page, opens it and chooses the photo.
const SCRIPT: &str = "xtask/src/dist/first/page.mjs";

/// Installs the package and detects; `None` where the tools are missing.
pub(super) fn steps(package: &Path, folder: &Path) -> Result<Option<Vec<Step>>> {
    // `cargo xtask web-test` installs the driver of the browser.
    let driver = crate::build::target_folder()?.join("web/tools");
    let (npm, node) = (cross::program(&["npm"]), cross::program(&["node"]));
    let browser = cross::program(&["chromium", "google-chrome"]);
    let (Some(npm), Some(node), Some(_)) = (npm, node, browser) else { return Ok(None) };
    if !driver.join("node_modules/playwright-core").is_dir() {
        return Ok(None);
    }
    std::fs::write(folder.join("index.html"), block("docs/web.md", |language, _| language == "html")?)?;
    let demo = folder.join("demo");
    std::fs::create_dir_all(&demo)?;
    std::fs::copy(MODEL, demo.join("model.safetensors")).context(MODEL)?;
    let install = step("`npm install` of the package", || {
        let mut command = Command::new(npm);
        command.args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"]).arg(folder);
        cross::run(command.arg(package))
    })?;
    std::fs::rename(folder.join("node_modules/picodet"), folder.join("package"))?;
    let mut command = Command::new(node);
    command.arg(SCRIPT).arg(folder).arg(OBJECT).env("PICODET_NODE_MODULES", driver);
    let seconds = text(&mut command)?.trim().parse().context("the script prints seconds")?;
    let action = "open the page in Chromium, choose the photo".to_owned();
    Ok(Some(vec![install, Step { action, seconds }]))
}
