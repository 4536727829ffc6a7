//! `cargo xtask web` and `cargo xtask web-test`: the npm package in `target/web`, and its tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cross;

const TARGET: &str = "wasm32-unknown-unknown";
/// 128-bit vectors, and kernels for them only: engines without them cannot load the modules.
const FLAGS: &str = "-C target-feature=+simd128 --cfg picodet_simd128_only";
/// Further flag of the modules with a fused multiply-add: engines without it cannot load these.
const RELAXED: &str = "-C target-feature=+relaxed-simd";
/// Further flags of the modules with threads, whose memory is shared: `js/engine.js` creates it with these limits, and threads
/// set their own stack and variables.
const THREADS: &str = "-C target-feature=+atomics,+bulk-memory,+mutable-globals -C link-arg=--shared-memory \
    -C link-arg=--import-memory -C link-arg=--initial-memory=4194304 -C link-arg=--max-memory=1073741824 \
    -C link-arg=--export=__stack_pointer -C link-arg=--export=__wasm_init_tls -C link-arg=--export=__tls_size \
    -C link-arg=--export=__tls_align";
/// Largest size of the files that a page loads without a model, compressed, in bytes: the scripts and one of the modules.
const MAX_COMPRESSED: u64 = 500_000;
/// The modules in the package, of which a page loads the fastest that its browser runs (`js/modules.js`).
const MODULES: [Module; 4] = [
    Module { name: "picodet.wasm", threads: false, relaxed: false },
    Module { name: "picodet-relaxed.wasm", threads: false, relaxed: true },
    Module { name: "picodet-threads.wasm", threads: true, relaxed: false },
    Module { name: "picodet-threads-relaxed.wasm", threads: true, relaxed: true },
];
/// The tools of the tests, from npm.
const TOOLS: [&str; 2] = ["typescript@7.0.2", "playwright-core@1.65.1"];
/// The bundlers of `web-test --all`.
const BUNDLERS: [&str; 5] = ["vite@8.3.8", "webpack@5", "webpack-cli@6", "esbuild@0.28", "rollup@4"];

/// A WebAssembly module.
struct Module {
    name: &'static str,
    /// Whether it has shared memory.
    threads: bool,
    /// Whether it has relaxed SIMD.
    relaxed: bool,
}

impl Module {
    /// Builds the module and returns its path. Modules with threads have a standard library that is compiled for shared memory by
    /// Cargo's unstable `build-std`, which the stable toolchain allows with `RUSTC_BOOTSTRAP`.
    fn build(&self, folders: &Folders) -> Result<PathBuf> {
        let target = folders.web.with_file_name(if self.threads { "web-threads" } else { "web-build" });
        let mut command = Command::new(env!("CARGO"));
        command.args([
            "build",
            "--profile",
            "web",
            "--locked",
            "--package",
            "picodet-web",
            "--target",
            TARGET,
        ]);
        let mut flags = vec![FLAGS];
        flags.extend(self.relaxed.then_some(RELAXED));
        if self.threads {
            flags.push(THREADS);
            command.args(["-Z", "build-std=std,panic_abort"]).env("RUSTC_BOOTSTRAP", "1");
        }
        cross::run(command.arg("--target-dir").arg(&target).env("RUSTFLAGS", flags.join(" ")))?;
        Ok(target.join(TARGET).join("web/picodet_web.wasm"))
    }
}

/// The folders of the package and of its tests.
struct Folders {
    root: PathBuf,
    web: PathBuf,
}

impl Folders {
    fn new() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Ok(Self { web: target.join("web"), root })
    }

    fn package(&self) -> PathBuf {
        self.web.join("package")
    }

    fn source(&self, path: &str) -> PathBuf {
        self.root.join("bindings/web").join(path)
    }
}

/// Builds the package and prints its sizes.
///
/// # Errors
/// When the target is not installed, something does not compile, or the package is too large.
pub(crate) fn build() -> Result<()> {
    let folders = Folders::new()?;
    if !cross::has_target(TARGET) {
        bail!("the target is not installed; run `rustup target add {TARGET}`");
    }
    if !cross::sysroot()?.join("lib/rustlib/src/rust/library").is_dir() {
        bail!("the sources of the standard library are missing; run `rustup component add rust-src`");
    }
    let package = folders.package();
    if package.exists() {
        fs::remove_dir_all(&package)?;
    }
    fs::create_dir_all(&package)?;
    for entry in fs::read_dir(folders.source("js"))? {
        let entry = entry?;
        fs::copy(entry.path(), package.join(entry.file_name()))?;
    }
    for module in &MODULES {
        fs::copy(module.build(&folders)?, package.join(module.name))?;
    }
    fs::copy(folders.source("README.md"), package.join("README.md"))?;
    for file in ["LICENSE", "NOTICE"] {
        fs::copy(folders.root.join(file), package.join(file))?;
    }
    let description = fs::read_to_string(folders.source("package.json"))?;
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    fs::write(package.join("package.json"), description.replace("\"version\": \"0.0.0\"", &version))?;
    copy_demo(&folders)?;
    print_sizes(&folders)
}

/// Copies the demo page next to the package, so that `target/web` can be served.
fn copy_demo(folders: &Folders) -> Result<()> {
    let demo = folders.web.join("demo");
    fs::create_dir_all(&demo)?;
    for entry in fs::read_dir(folders.source("demo"))? {
        let entry = entry?;
        fs::copy(entry.path(), demo.join(entry.file_name()))?;
    }
    let model = folders.root.join("crates/picodet/models/coco_s_416.safetensors");
    fs::copy(model, demo.join("model.safetensors"))?;
    Ok(())
}

/// Packs the tarball, which is compressed with gzip, and checks the size of what a page loads of it: one of the modules.
fn print_sizes(folders: &Folders) -> Result<()> {
    let package = folders.package();
    let Some(npm) = cross::program(&["npm"]) else {
        println!("npm is not installed: no tarball");
        return Ok(());
    };
    let pack = || -> Result<u64> {
        let mut command = Command::new(&npm);
        command.args(["pack", "--silent", "--pack-destination"]).arg(&folders.web);
        cross::run(command.current_dir(&package))?;
        let tarball = folders.web.join(format!("picodet-{}.tgz", env!("CARGO_PKG_VERSION")));
        Ok(fs::metadata(&tarball).with_context(|| tarball.display().to_string())?.len())
    };
    let aside = folders.web.join("aside");
    fs::create_dir_all(&aside)?;
    let move_all = |from: &Path, to: &Path| {
        MODULES.iter().try_for_each(|module| fs::rename(from.join(module.name), to.join(module.name)))
    };
    for module in &MODULES {
        move_all(&package, &aside)?;
        fs::copy(aside.join(module.name), package.join(module.name))?;
        let size = pack();
        move_all(&aside, &package)?;
        let size = size?;
        let bytes = fs::metadata(package.join(module.name))?.len();
        println!("{}: {bytes} bytes; the package with it alone: {size} bytes compressed", module.name);
        if size > MAX_COMPRESSED {
            bail!("the package with {} alone has {size} bytes, over {MAX_COMPRESSED}", module.name);
        }
    }
    println!("the package: {} bytes compressed", pack()?);
    Ok(())
}

/// Builds the package and runs its tests: Node, types, Chromium if it is installed; with `all` also bundlers.
///
/// # Errors
/// When a tool is missing or a test fails.
pub(crate) fn test(all: bool) -> Result<()> {
    build()?;
    let folders = Folders::new()?;
    let node = cross::program(&["node"]).context("Node 20 or later is not installed")?;
    let expected = folders.web.join("expected");
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--locked", "--package", "picodet-web", "--example", "expected", "--"]);
    cross::run(command.arg(&expected))?;
    let tools = install(&folders, "tools", &TOOLS)?;
    let clip = clip(&folders)?;
    let run = |file: &str| {
        let mut command = Command::new(&node);
        command.arg("--test").arg(folders.source("test").join(file));
        command.env("PICODET_PACKAGE", folders.package()).env("PICODET_EXPECTED", &expected);
        command.env("PICODET_NODE_MODULES", &tools).env("PICODET_REPOSITORY", &folders.root);
        command.env("PICODET_CLIP", &clip);
        cross::run(&mut command)
    };
    run("core.test.mjs")?;
    run("docs.test.mjs")?;
    check_types(&folders, &tools)?;
    if cross::program(&["chromium", "google-chrome"]).is_some() {
        run("browser.test.mjs")?;
    } else {
        println!("SKIPPED: Chromium is not installed");
    }
    if all {
        install(&folders, "bundlers", &BUNDLERS)?;
        run("bundlers.test.mjs")?;
    }
    Ok(())
}

/// Installs packages from npm into a new folder and returns it.
fn install(folders: &Folders, name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = folders.web.join(name);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("package.json"), "{ \"private\": true, \"type\": \"module\" }\n")?;
    let npm = cross::program(&["npm"]).context("npm is not installed")?;
    let mut command = Command::new(npm);
    command.args(["install", "--no-audit", "--no-fund", "--silent", "--prefer-offline"]).args(packages);
    cross::run(command.arg(folders.package()).current_dir(&folder))?;
    Ok(folder)
}

/// Compiles a program that uses the types as applications do.
fn check_types(folders: &Folders, tools: &Path) -> Result<()> {
    fs::copy(folders.source("test/types.ts"), tools.join("types.ts"))?;
    let compiler = tools.join("node_modules/.bin/tsc");
    let mut command = Command::new(compiler);
    command.args(["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--types", ""]);
    cross::run(command.args(["--lib", "es2022,dom,dom.iterable", "types.ts"]).current_dir(tools))
}

/// Makes a video for the fake camera of Chromium: one of the reference data, if both it and ffmpeg are there, else from a photo.
fn clip(folders: &Folders) -> Result<PathBuf> {
    let clip = folders.web.join("clip.y4m");
    if clip.is_file() {
        return Ok(clip);
    }
    let video = picodet_testing::shared_path("data/video/pedestrians_a.mp4");
    let (Some(video), Some(ffmpeg)) = (video, cross::program(&["ffmpeg"])) else {
        crate::clip::write(&folders.root.join("examples/coffee.jpg"), &clip)?;
        return Ok(clip);
    };
    let mut command = Command::new(ffmpeg);
    command.args(["-loglevel", "error", "-y", "-i"]).arg(video);
    cross::run(command.args(["-vf", "scale=640:-2,fps=25", "-t", "6", "-pix_fmt", "yuv420p"]).arg(&clip))?;
    Ok(clip)
}
