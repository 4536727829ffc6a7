//! Builds the files of a release on Linux. zig, from PyPI, is the C compiler and linker for other C libraries and processors.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::archive::pack;
use crate::python::Environment;
use crate::{android, c, cross, web};

/// Processors of the programs and wheels.
const PROCESSORS: [&str; 2] = ["x86_64", "aarch64"];
/// Packages of PyPI for the build.
const TOOLS: [&str; 3] = ["ziglang>=0.13,<0.18", "cargo-zigbuild", "maturin>=1.9,<2"];
/// The variable with the path of a free-threaded Python of this machine.
pub(super) const FREE_THREADED: &str = "PICODET_FREE_THREADED_PYTHON";
/// Shells with completions, and the names of their files.
pub(super) const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "picodet.bash"), ("zsh", "_picodet"), ("fish", "picodet.fish")];
/// The version of all files.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where the release is built.
pub(super) struct Release {
    folder: PathBuf,
    work: PathBuf,
    profile: String,
}

impl Release {
    /// Creates the folders.
    pub(super) fn new(folder: PathBuf, profile: String) -> Result<Self> {
        let work = folder.with_file_name("dist-build");
        for folder in [&folder, &work] {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        Ok(Self { folder, work, profile })
    }

    /// Returns the file `picodet-VERSION.KIND`.
    pub(super) fn file(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("picodet-{VERSION}.{kind}"))
    }

    /// Builds static programs, packed with their manual pages and completions.
    pub(super) fn programs(&self) -> Result<()> {
        let tools = self.tools()?;
        let manual = self.work.join("manual");
        if manual.exists() {
            std::fs::remove_dir_all(&manual)?;
        }
        write_manual(&manual)?;
        for processor in PROCESSORS {
            let target = format!("{processor}-unknown-linux-musl");
            if !cross::has_target(&target) {
                bail!("the target is not installed; run `rustup target add {target}`");
            }
            let mut command = tools.program("cargo-zigbuild");
            command.args(["zigbuild", "--locked", "--package", "picodet-cli", "--bin", "picodet"]);
            command.args(["--profile", &self.profile, "--target", &target, "--target-dir"]).arg(&self.work);
            cross::run(&mut command)?;
            let profile = if self.profile == "dev" { "debug" } else { &self.profile };
            let name = format!("picodet-{VERSION}-{processor}-linux");
            let content = self.work.join("content").join(&name);
            copy(&self.work.join(target).join(profile).join("picodet"), &content.join("picodet"))?;
            for text in [
                "LICENSE",
                "NOTICE",
                "README.md",
                "README.zh-CN.md",
                "examples/coffee.jpg",
                "examples/page.png",
            ] {
                copy(Path::new(text), &content.join(text))?;
            }
            for page in cross::files(&manual)? {
                copy(&page, &content.join(page.strip_prefix(&manual)?))?;
            }
            pack(&content, &self.folder.join(format!("{name}.tar.gz")))?;
        }
        Ok(())
    }

    /// Builds the wheels for Linux, on the oldest C library that Rust supports. A free-threaded Python cannot load them; if
    /// [`FREE_THREADED`] gives its path, a further wheel is built for it.
    pub(super) fn wheels(&self) -> Result<()> {
        let tools = self.tools()?;
        for processor in PROCESSORS {
            let target = format!("{processor}-unknown-linux-gnu");
            if !cross::has_target(&target) {
                bail!("the target is not installed; run `rustup target add {target}`");
            }
            // A program, not a module: with the PATH of the environment it finds zig.
            cross::run(&mut self.wheel(&tools, &target))?;
        }
        if let Some(python) = std::env::var_os(FREE_THREADED) {
            let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
            cross::run(self.wheel(&tools, &target).arg("--interpreter").arg(python))?;
        }
        Ok(())
    }

    /// The command that builds a wheel.
    fn wheel(&self, tools: &Environment, target: &str) -> Command {
        let mut command = tools.program("maturin");
        command.args(["build", "--zig", "--compatibility", "manylinux2014", "--locked"]);
        command.args(["--profile", &self.profile, "--target", target, "--target-dir"]).arg(&self.work);
        command.arg("--out").arg(&self.folder).current_dir("bindings/python");
        command
    }

    /// Builds the npm package.
    pub(super) fn npm(&self) -> Result<()> {
        web::build()?;
        let name = format!("picodet-{VERSION}.tgz");
        copy(&self.folder.with_file_name("web").join(&name), &self.folder.join(name))
    }

    /// Builds the Android package.
    pub(super) fn android(&self) -> Result<()> {
        copy(&android::build()?, &self.file("aar"))
    }

    /// Builds the C library for this machine.
    pub(super) fn c(&self) -> Result<()> {
        let name = format!("libpicodet-{VERSION}-{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        let content = self.work.join("content").join(&name);
        if content.exists() {
            std::fs::remove_dir_all(&content)?;
        }
        c::install(&content, &self.profile)?;
        for example in ["detect_file.c", "detect_folder.cpp", "camera.c"] {
            let source = Path::new("bindings/c/examples").join(example);
            copy(&source, &content.join("share/doc/picodet/examples").join(example))?;
        }
        pack(&content, &self.folder.join(format!("{name}.tar.gz")))
    }

    fn tools(&self) -> Result<Environment> {
        let tools = Environment::create(&self.work.join("tools"))?;
        tools.install(&TOOLS)?;
        Ok(tools)
    }
}

/// Writes manual pages and completions.
fn write_manual(folder: &Path) -> Result<()> {
    let generate = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command.args(["run", "--quiet", "--locked", "--package", "picodet-cli", "--example", "manual", "--"]);
        command.args(arguments);
        command
    };
    let pages = folder.join("share/man/man1");
    cross::run(generate(&["man"]).arg(&pages))?;
    let completions = folder.join("share/completions");
    std::fs::create_dir_all(&completions)?;
    for (shell, file) in COMPLETIONS {
        let output = generate(&["completions", shell]).output()?;
        if !output.status.success() {
            bail!("no completions for {shell}: {}", String::from_utf8_lossy(&output.stderr));
        }
        std::fs::write(completions.join(file), output.stdout)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to.parent().unwrap_or(to))?;
    std::fs::copy(from, to).with_context(|| format!("{} -> {}", from.display(), to.display()))?;
    Ok(())
}
