//! `cargo xtask arm-cycles`: products a cycle of the inner loops on 64-bit ARM, by static analysis with llvm-mca, and the
//! time of a network that follows from them.

mod assembly;
mod predict;
mod rate;
mod simulate;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::cross;
use assembly::{Assembly, Loop};
use rate::{Precision, Rate, Role};
use simulate::{Core, Simulator};

const TARGET: &str = "aarch64-unknown-linux-gnu";

/// A loop to analyse.
struct Kernel {
    name: &'static str,
    /// Parts of the demangled name of its function, all of which occur.
    function: &'static [&'static str],
    /// The use of it in a prediction.
    role: Option<(Precision, Role)>,
}

const fn kernel(name: &'static str, function: &'static [&'static str]) -> Kernel {
    Kernel { name, function, role: None }
}

const fn used(
    name: &'static str,
    precision: Precision,
    role: Role,
    function: &'static [&'static str],
) -> Kernel {
    Kernel { name, function, role: Some((precision, role)) }
}

/// Kernels with the tile that most of a map is computed in.
const KERNELS: [Kernel; 20] = [
    used(
        "pointwise f32, 12 x 2 vectors",
        Precision::F32,
        Role::Pointwise,
        &["gemm::tile::Tile", "DotF32", "Activate", "Packed, 12, 2>"],
    ),
    kernel("pointwise f32, 8 x 3 vectors", &["gemm::tile::Tile", "DotF32", "Activate", "Packed, 8, 3>"]),
    used(
        "pointwise f16, 12 x 2 vectors",
        Precision::F16,
        Role::Pointwise,
        &["gemm::tile::Tile", "DotF16", "Packed, 12, 2>"],
    ),
    kernel("pointwise f16, 8 x 3 vectors", &["gemm::tile::Tile", "DotF16", "Packed, 8, 3>"]),
    used(
        "pointwise int8, 12 x 2 vectors",
        Precision::Int8,
        Role::Pointwise,
        &["gemm::tile::Tile", "DotSigned", "NeonDotProd", "Packed, 12, 2>"],
    ),
    kernel(
        "pointwise int8, 8 x 3 vectors",
        &["gemm::tile::Tile", "DotSigned", "NeonDotProd", "Packed, 8, 3>"],
    ),
    kernel(
        "pointwise int8 without dot product instructions, 4 x 2 vectors",
        &["gemm::tile::Tile", "DotSigned", "neon::Neon>", "Packed, 12, 2>"],
    ),
    used("stem f32", Precision::F32, Role::Stem, &["stem::Row", "neon::Neon,"]),
    used(
        "depthwise f32 3x3/1",
        Precision::F32,
        Role::Depthwise(3, 1),
        &["depthwise::direct::Tile", "neon::Neon,", "3, 1, 8,"],
    ),
    used(
        "depthwise f32 3x3/2",
        Precision::F32,
        Role::Depthwise(3, 2),
        &["depthwise::direct::Tile", "neon::Neon,", "3, 2, 8,"],
    ),
    used(
        "depthwise f32 5x5/1",
        Precision::F32,
        Role::Depthwise(5, 1),
        &["depthwise::direct::Tile", "neon::Neon,", "5, 1, 8,"],
    ),
    used(
        "depthwise f32 5x5/2",
        Precision::F32,
        Role::Depthwise(5, 2),
        &["depthwise::direct::Tile", "neon::Neon,", "5, 2, 8,"],
    ),
    used(
        "depthwise f16 3x3/1",
        Precision::F16,
        Role::Depthwise(3, 1),
        &["depthwise::f16::Tile", "NeonF16", "3, 1, 8,"],
    ),
    used(
        "depthwise f16 3x3/2",
        Precision::F16,
        Role::Depthwise(3, 2),
        &["depthwise::f16::Tile", "NeonF16", "3, 2, 8,"],
    ),
    used(
        "depthwise f16 5x5/1",
        Precision::F16,
        Role::Depthwise(5, 1),
        &["depthwise::f16::Tile", "NeonF16", "5, 1, 8,"],
    ),
    used(
        "depthwise f16 5x5/2",
        Precision::F16,
        Role::Depthwise(5, 2),
        &["depthwise::f16::Tile", "NeonF16", "5, 2, 8,"],
    ),
    used(
        "depthwise int8 3x3/1",
        Precision::Int8,
        Role::Depthwise(3, 1),
        &["depthwise::int8::Rows", "NeonDotProd", "3, 1, 1, 13>"],
    ),
    used(
        "depthwise int8 3x3/2",
        Precision::Int8,
        Role::Depthwise(3, 2),
        &["depthwise::int8::Rows", "NeonDotProd", "3, 2, 2, 13>"],
    ),
    used(
        "depthwise int8 5x5/1",
        Precision::Int8,
        Role::Depthwise(5, 1),
        &["depthwise::int8::Rows", "NeonDotProd", "5, 1, 3, 13>"],
    ),
    used(
        "depthwise int8 5x5/2",
        Precision::Int8,
        Role::Depthwise(5, 2),
        &["depthwise::int8::Rows", "NeonDotProd", "5, 2, 4, 13>"],
    ),
];

/// The matrix product of processors with products of matrices of bytes, which the two cores of the table have not got.
const MATRICES: Kernel = kernel(
    "pointwise int8, products of matrices, 8 x 2 vectors",
    &["gemm::tile::Tile", "DotMatrix", "Packed, 8, 2>"],
);

/// Builds, simulates and prints.
///
/// # Errors
/// When the library does not build, a loop is not understood, or a matrix product is slower than it should be.
pub(crate) fn run() -> Result<()> {
    let Some(simulator) = Simulator::find() else {
        println!("SKIPPED: no llvm-mca of version 16 or later (the package llvm-19 of Debian has it)");
        return Ok(());
    };
    let Some(file) = build()? else {
        println!("SKIPPED: no standard library for {TARGET} (rustup target add {TARGET})");
        return Ok(());
    };
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let assembly = Assembly::parse(&text);
    println!("{}, inner loops of {}\n", simulator.version(), file.display());
    println!(
        "| inner loop | products | instructions | Neoverse N1: MAC a cycle | of the limit | Cortex-A55: MAC a cycle | of the limit |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let mut rates = Vec::new();
    for kernel in &KERNELS {
        let Some(inner) = assembly.inner_loop(kernel.function) else {
            println!("| {} | not compiled | | | | | |", kernel.name);
            continue;
        };
        rates.extend(row(&simulator, kernel, &inner, &Core::ALL)?);
    }
    if let Some(inner) = assembly.inner_loop(MATRICES.function) {
        println!("\n| inner loop | products | instructions | Neoverse N2: MAC a cycle | of the limit |");
        println!("| --- | --- | --- | --- | --- |");
        row(&simulator, &MATRICES, &inner, &[Core::NeoverseN2])?;
    }
    println!("\n{}", simulate::NOTES);
    predict::print(&rates)?;
    let slow = |rate: &&Rate| {
        matches!(rate.role, Some((_, Role::Pointwise))) && rate.of_limit < rate.core.least_of_limit()
    };
    match rates.iter().find(slow) {
        Some(rate) => bail!("a matrix product takes only {:.0} % of {:?}", 100.0 * rate.of_limit, rate.core),
        None => Ok(()),
    }
}

/// Prints the row of a kernel and returns its rates.
fn row(simulator: &Simulator, kernel: &Kernel, inner: &Loop<'_>, cores: &[Core]) -> Result<Vec<Rate>> {
    let mut cells =
        vec![kernel.name.to_owned(), inner.products.to_string(), inner.instructions.len().to_string()];
    let mut rates = Vec::new();
    for &core in cores {
        let cycles = simulator.cycles(core, inner)?;
        let per_cycle = inner.macs as f64 / cycles;
        let limit = core.products_per_cycle() * inner.macs as f64 / inner.products as f64;
        cells.push(format!("{per_cycle:.1}"));
        cells.push(format!("{:.0} %", 100.0 * per_cycle / limit));
        rates.push(Rate { role: kernel.role, core, per_cycle, of_limit: per_cycle / limit });
    }
    println!("| {} |", cells.join(" | "));
    Ok(rates)
}

/// Compiles the kernels to assembly; `None` if there is no standard library for the target.
fn build() -> Result<Option<PathBuf>> {
    let arguments = [
        "rustc",
        "--package",
        "picodet-kernel",
        "--lib",
        "--release",
        "--config",
        "profile.release.lto=false",
        "--config",
        "profile.release.strip=false",
    ];
    let emit = ["--", "--emit", "asm", "-C", "symbol-mangling-version=v0"];
    let native = cfg!(all(target_arch = "aarch64", target_os = "linux"));
    let (mut command, folder) = if native || cross::has_target(TARGET) {
        let mut command = Command::new(env!("CARGO"));
        command.args(arguments).args(["--target", TARGET]).args(emit);
        (command, target_folder())
    } else if let Some(script) = cross::script() {
        let mut command = Command::new("bash");
        command.arg(script).arg("arm").args(arguments).args(emit);
        (
            command,
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target/arm"), PathBuf::from),
        )
    } else {
        return Ok(None);
    };
    cross::run(&mut command)?;
    let folder = folder.join(TARGET).join("release/deps");
    newest(&folder).with_context(|| format!("no assembly in {}", folder.display())).map(Some)
}

fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

/// The last assembly file that was written.
fn newest(folder: &Path) -> Result<PathBuf> {
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("picodet_kernel-") && name.ends_with(".s") {
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    files.sort();
    match files.pop() {
        Some((_, path)) => Ok(path),
        None => bail!("rustc wrote none"),
    }
}
