//! `cargo xtask c-dist FOLDER`: the C library with its headers, pkg-config and CMake files.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use cargo_metadata::Message;

/// Names of the libraries on a system.
struct Names {
    /// The shared library: cargo's name, and the installed path from the root of the installation.
    shared: (&'static str, &'static str),
    /// The static library.
    archive: (&'static str, &'static str),
    /// A symbolic link to the shared library, for the linker.
    link: Option<&'static str>,
    /// The import library of Windows.
    import: Option<(&'static str, &'static str)>,
    /// Libraries of the system that the static library needs.
    system: &'static str,
}

const NAMES: Names = if cfg!(target_os = "windows") {
    Names {
        shared: ("picodet_c.dll", "bin/picodet_c.dll"),
        archive: ("picodet_c.lib", "lib/picodet_static.lib"),
        link: None,
        import: Some(("picodet_c.dll.lib", "lib/picodet.lib")),
        system: "-lkernel32 -lntdll -luserenv -lws2_32 -ldbghelp",
    }
} else if cfg!(target_os = "macos") {
    Names {
        shared: ("libpicodet_c.dylib", "lib/libpicodet.1.dylib"),
        archive: ("libpicodet_c.a", "lib/libpicodet.a"),
        link: Some("lib/libpicodet.dylib"),
        import: None,
        system: "-lSystem -lc -lm",
    }
} else {
    Names {
        shared: ("libpicodet_c.so", "lib/libpicodet.so.1"),
        archive: ("libpicodet_c.a", "lib/libpicodet.a"),
        link: Some("lib/libpicodet.so"),
        import: None,
        system: "-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc",
    }
};

/// Builds the libraries and installs them with their headers into a folder.
///
/// # Errors
/// If the build fails or a file cannot be written.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (folder, profile) = match arguments {
        [folder] => (folder, "release"),
        [folder, option, profile] if option == "--profile" => (folder, profile.as_str()),
        _ => bail!("usage: cargo xtask c-dist FOLDER [--profile PROFILE]"),
    };
    install(Path::new(folder), profile)?;
    println!("{folder}: libpicodet {}", env!("CARGO_PKG_VERSION"));
    Ok(())
}

/// Installs into a folder.
///
/// # Errors
/// As [`run`].
pub(super) fn install(folder: &Path, profile: &str) -> Result<()> {
    let built = build(profile)?;
    let find = |name: &str| {
        let found = built.iter().find(|path| path.file_name().is_some_and(|file| file == name));
        found.with_context(|| format!("cargo has built no {name}"))
    };
    for (from, to) in [Some(NAMES.shared), Some(NAMES.archive), NAMES.import].into_iter().flatten() {
        copy(find(from)?, &folder.join(to))?;
    }
    #[cfg(unix)]
    if let Some(link) = NAMES.link {
        let link = folder.join(link);
        let _ = std::fs::remove_file(&link);
        let target = Path::new(NAMES.shared.1).file_name().unwrap_or_default();
        std::os::unix::fs::symlink(target, &link).with_context(|| link.display().to_string())?;
    }
    let source = Path::new("bindings/c");
    for header in ["picodet.h", "picodet.hpp"] {
        copy(&source.join("include").join(header), &folder.join("include").join(header))?;
    }
    for text in ["LICENSE", "NOTICE"] {
        copy(Path::new(text), &folder.join("share/licenses/picodet").join(text))?;
    }
    let templates = [
        ("picodet.pc", "lib/pkgconfig"),
        ("picodetConfig.cmake", "lib/cmake/picodet"),
        ("picodetConfigVersion.cmake", "lib/cmake/picodet"),
    ];
    for (name, to) in templates {
        let template = source.join("dist").join(format!("{name}.in"));
        let text = std::fs::read_to_string(&template).with_context(|| template.display().to_string())?;
        let to = folder.join(to).join(name);
        std::fs::create_dir_all(to.parent().unwrap_or(folder))?;
        std::fs::write(&to, filled(&text)).with_context(|| to.display().to_string())?;
    }
    Ok(())
}

/// Replaces the placeholders of a template.
fn filled(template: &str) -> String {
    let values = [
        ("@VERSION@", env!("CARGO_PKG_VERSION")),
        ("@SHARED_LIBRARY@", NAMES.shared.1),
        ("@STATIC_LIBRARY@", NAMES.archive.1),
        ("@IMPORT_LIBRARY@", NAMES.import.map_or("", |(_, installed)| installed)),
        ("@STATIC_LIBRARIES@", NAMES.system),
    ];
    values.into_iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// Builds the shared and the static library and returns their paths.
fn build(profile: &str) -> Result<Vec<PathBuf>> {
    // Without a Rust library among the kinds, link-time optimisation applies.
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["rustc", "--locked", "--package", "picodet-c", "--lib", "--crate-type", "cdylib,staticlib"])
        .args(["--profile", profile, "--message-format", "json-render-diagnostics"])
        .stdout(Stdio::piped());
    let output = cargo.spawn()?.wait_with_output()?;
    if !output.status.success() {
        bail!("the C library does not build");
    }
    let mut files = Vec::new();
    for message in Message::parse_stream(output.stdout.as_slice()) {
        if let Message::CompilerArtifact(artifact) = message?
            && artifact.target.name == "picodet_c"
        {
            files.extend(artifact.filenames.into_iter().map(PathBuf::from));
        }
    }
    Ok(files)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to.parent().unwrap_or(to))?;
    // A library that a running program has mapped must not be overwritten in place.
    let _ = std::fs::remove_file(to);
    std::fs::copy(from, to).with_context(|| format!("{} -> {}", from.display(), to.display()))?;
    Ok(())
}
