//! The native library for one kind of processor, built without an NDK: clang compiles the unwinder of the Rust sources and
//! stubs of the system's libraries, and Rust's own linker links.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::symbols::{self, Symbol};
use crate::cross;

/// The oldest supported API level.
pub(super) const MIN_API: u32 = 24;
/// Profile of downloads: only the crates that compute are optimised for speed.
const PROFILE: &str = "web";
/// Headers of the C library, for any processor: only declarations are used.
const HEADERS: &str = "/usr/aarch64-linux-gnu/include";
/// Segments for devices with pages of 16 KB; no undefined symbols but those of the stubs; a table that is there since API 23; equal
/// functions are stored once.
const LINKER_OPTIONS: [&str; 4] = ["-zmax-page-size=16384", "-zdefs", "--hash-style=gnu", "--icf=all"];

/// A kind of processor.
pub(super) struct Abi {
    /// Android's name.
    pub(super) name: &'static str,
    /// Rust's target.
    pub(super) target: &'static str,
    /// The target of clang, without the API level.
    clang: &'static str,
    /// Flags of rustc.
    flags: &'static str,
    /// Largest size of the library in bytes.
    pub(super) max_size: u64,
}

/// The kinds of processors of an AAR.
pub(super) const ABIS: [Abi; 3] = [
    Abi {
        name: "arm64-v8a",
        target: "aarch64-linux-android",
        clang: "aarch64-linux-android",
        flags: "",
        max_size: 2_200_000,
    },
    Abi {
        name: "armeabi-v7a",
        target: "armv7-linux-androideabi",
        clang: "armv7a-linux-androideabi",
        // All devices of this API level that have this ABI have it, and compilers of the NDK use it.
        flags: "-C target-feature=+neon",
        max_size: 2_200_000,
    },
    Abi {
        name: "x86_64",
        target: "x86_64-linux-android",
        clang: "x86_64-linux-android",
        flags: "",
        // Kernels with and without AVX2.
        max_size: 2_600_000,
    },
];

impl Abi {
    /// Builds the library and returns its path.
    pub(super) fn build(&self, work: &Path) -> Result<PathBuf> {
        if !cross::has_target(self.target) {
            bail!("the target is not installed; run `rustup target add {}`", self.target);
        }
        let libraries = work.join("libraries").join(self.name);
        std::fs::create_dir_all(&libraries)?;
        self.build_unwinder(&libraries)?;
        self.build_stubs(&libraries)?;

        let variable = self.target.to_uppercase().replace('-', "_");
        let build = work.join("build");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["rustc", "--locked", "--package", "picodet-android", "--lib", "--crate-type", "cdylib"]);
        cargo.args(["--profile", PROFILE, "--target", self.target, "--target-dir"]).arg(&build);
        cargo.env(format!("CARGO_TARGET_{variable}_RUSTFLAGS"), self.flags);
        cargo.env(format!("CARGO_TARGET_{variable}_LINKER"), "rust-lld");
        cargo.args(["--", "-C", "linker-flavor=ld.lld", "-L"]).arg(format!("native={}", libraries.display()));
        for option in LINKER_OPTIONS {
            cargo.arg("-C").arg(format!("link-arg={option}"));
        }
        cross::run(&mut cargo)?;
        Ok(build.join(self.target).join(PROFILE).join("libpicodet_android.so"))
    }

    /// Compiles libunwind from the sources of Rust's standard library.
    fn build_unwinder(&self, folder: &Path) -> Result<()> {
        let source = cross::sysroot()?.join("lib/rustlib/src/rust/src/llvm-project/libunwind");
        if !source.is_dir() {
            bail!("the sources of the standard library are missing; run `rustup component add rust-src`");
        }
        let mut objects = Vec::new();
        for (file, is_cpp) in [
            ("libunwind.cpp", true),
            ("Unwind-EHABI.cpp", true),
            ("UnwindLevel1.c", false),
            ("UnwindLevel1-gcc-ext.c", false),
            ("UnwindRegistersRestore.S", false),
            ("UnwindRegistersSave.S", false),
        ] {
            let object = folder.join(format!("{file}.o"));
            let mut clang = self.clang();
            clang.args(["-c", "-Os", "-fPIC", "-fvisibility=hidden", "-ffunction-sections"]);
            clang.args(["-funwind-tables", "-D_LIBUNWIND_IS_NATIVE_ONLY", "-DNDEBUG"]);
            // The name of Android's C library instead of that in the headers.
            clang.arg("-D__errno_location=__errno");
            if is_cpp {
                clang.args(["-std=c++17", "-fno-exceptions", "-fno-rtti", "-nostdinc++"]);
            }
            clang.arg("-I").arg(source.join("include")).args(["-isystem", HEADERS]);
            cross::run(clang.arg(source.join("src").join(file)).arg("-o").arg(&object))?;
            objects.push(object);
        }
        let archive = folder.join("libunwind.a");
        let _ = std::fs::remove_file(&archive);
        cross::run(Command::new("ar").arg("crs").arg(archive).args(objects))
    }

    /// Links libraries that have only the names and symbols of Android's.
    fn build_stubs(&self, folder: &Path) -> Result<()> {
        let symbols = symbols::list()?;
        let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let linker = cross::sysroot()?.join("lib/rustlib").join(host).join("bin/gcc-ld/ld.lld");
        for library in ["c", "dl", "m", "log"] {
            let source = folder.join(format!("lib{library}.s"));
            let symbols = symbols.iter().filter(|symbol| symbol.library == library);
            std::fs::write(&source, symbols.map(Symbol::definition).collect::<String>())?;
            let mut clang = self.clang();
            clang.args(["-nostdlib", "-shared"]).arg(format!("--ld-path={}", linker.display()));
            clang.arg(format!("-Wl,-soname,lib{library}.so")).arg(source);
            cross::run(clang.arg("-o").arg(folder.join(format!("lib{library}.so"))))?;
        }
        Ok(())
    }

    fn clang(&self) -> Command {
        let mut clang = Command::new("clang");
        clang.arg(format!("--target={}{MIN_API}", self.clang));
        clang
    }
}
