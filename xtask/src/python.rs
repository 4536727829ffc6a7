//! `cargo xtask python-test`: builds the wheel in the development profile, installs it into a virtual environment, and runs the type
//! checkers and the tests of the Python package.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Packages that every run needs: the build, the checkers, and numpy.
const PACKAGES: [&str; 4] = ["maturin", "mypy", "pytest", "numpy"];
/// Libraries that most users have. Some do not exist for a free-threaded Python.
const LIBRARIES: [&str; 4] = ["Pillow", "opencv-python-headless", "supervision", "pyarrow"];
/// Large packages, whose tests are skipped without them.
const LARGE_PACKAGES: [&str; 4] = ["fiftyone", "pandas", "pyspark", "ray[data]"];
/// The folder of the package.
const PACKAGE: &str = "bindings/python";

/// Builds and tests; `all` installs the large packages too.
///
/// # Errors
/// When a program is missing, or a check or a test fails.
pub(crate) fn test(all: bool) -> Result<()> {
    let environment = Environment::create(&crate::build::target_folder()?.join(folder_name()))?;
    environment.install(&PACKAGES)?;
    if environment.is_free_threaded()? {
        // Building OpenCV from its sources would take an hour.
        environment.install_available(&["--only-binary=:all:"], &LIBRARIES);
    } else {
        environment.install(&LIBRARIES)?;
    }
    if all {
        environment.install_available(&[], &LARGE_PACKAGES);
    }
    let package = crate::build::root()?.join(PACKAGE);
    environment.install_wheel(&package)?;
    let at = |command: &mut Command| run(command.current_dir(&package));
    at(environment.module("mypy").args(["--package", "picodet"]))?;
    at(environment.module("mypy").arg("tests"))?;
    at(environment.module("mypy.stubtest").args([
        "picodet",
        "--mypy-config-file",
        "pyproject.toml",
        "--allowlist",
        "stubtest.txt",
    ]))?;
    at(&mut environment.module("pytest"))
}

/// The folder of the environment: each chosen Python has its own.
fn folder_name() -> String {
    let chosen = std::env::var_os("PICODET_PYTHON").map(PathBuf::from);
    let name = chosen.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    name.map_or_else(|| "python".to_owned(), |name| format!("python-{name}"))
}

/// A virtual environment.
pub(crate) struct Environment {
    folder: PathBuf,
    python: PathBuf,
}

impl Environment {
    /// Creates the environment with the Python of `PICODET_PYTHON`, by default `python3`, or opens an earlier one.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        Self::create_with(folder, &std::env::var_os("PICODET_PYTHON").unwrap_or_else(|| "python3".into()))
    }

    /// Creates the environment with this Python, or opens an earlier one.
    pub(crate) fn create_with(folder: &Path, system: &OsStr) -> Result<Self> {
        let python = folder.join(if cfg!(windows) { "venv/Scripts/python.exe" } else { "venv/bin/python" });
        if !python.exists() {
            run(Command::new(system).args(["-m", "venv"]).arg(folder.join("venv")))?;
        }
        Ok(Self { folder: folder.to_owned(), python })
    }

    /// Returns a command that runs Python.
    pub(crate) fn command(&self) -> Command {
        Command::new(&self.python)
    }

    /// Returns a command that runs a module.
    pub(crate) fn module(&self, name: &str) -> Command {
        let mut command = self.command();
        command.args(["-m", name]);
        command
    }

    /// Returns a command that runs an installed program, which finds the environment's Python.
    pub(crate) fn program(&self, name: &str) -> Command {
        let folder = self.python.parent().unwrap_or(&self.folder);
        let mut command = Command::new(folder.join(name));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(folders).unwrap_or_default());
        command
    }

    /// Installs packages of PyPI that are not there.
    pub(crate) fn install(&self, packages: &[&str]) -> Result<()> {
        run(self.module("pip").args(["install", "--quiet", "--disable-pip-version-check"]).args(packages))
    }

    /// Installs those packages that exist for this version of Python; the tests of the others are skipped.
    fn install_available(&self, options: &[&str], packages: &[&str]) {
        for package in packages {
            if self.install(&[options, &[package]].concat()).is_err() {
                println!("{package} cannot be installed");
            }
        }
    }

    /// Whether threads of this Python run without a global lock.
    fn is_free_threaded(&self) -> Result<bool> {
        let program = "import sysconfig; print(sysconfig.get_config_var('Py_GIL_DISABLED'))";
        let output = self.command().args(["-c", program]).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim() == "1")
    }

    /// Builds the wheel of the package in `source` and installs it.
    fn install_wheel(&self, source: &Path) -> Result<()> {
        let wheels = self.folder.join("wheels");
        let _ = std::fs::remove_dir_all(&wheels);
        let mut build = self.module("maturin");
        // A free-threaded Python has wheels of its own.
        build.arg("build").arg("--interpreter").arg(&self.python).arg("--out").arg(&wheels);
        run(build.current_dir(source))?;
        let wheel = std::fs::read_dir(&wheels)?.next().context("maturin has written no wheel")??.path();
        let arguments =
            ["install", "--quiet", "--disable-pip-version-check", "--force-reinstall", "--no-deps"];
        run(self.module("pip").args(arguments).arg(wheel))
    }
}

/// Runs a command.
fn run(command: &mut Command) -> Result<()> {
    let name = || {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    };
    let name = name();
    let status = command.status().with_context(|| name.clone())?;
    if !status.success() {
        bail!("{name} failed");
    }
    Ok(())
}
