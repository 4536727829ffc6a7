//! Names for the conditions under which code of an instruction set is compiled.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |key: &str| env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    let (arch, is_android) = (target("ARCH"), target("OS") == "android");
    // The module for browsers has WebAssembly's vectors only.
    let is_simd128_only = env::var_os("CARGO_CFG_PICODET_SIMD128_ONLY").is_some();
    // Android's library is part of every application's download: it has no code for processors of servers, and no precisions,
    // which its interface does not have. All processors of its 64-bit ARM have NEON.
    let conditions = [
        ("has_avx512", arch == "x86_64" && !is_android),
        ("has_bf16", !is_simd128_only && !is_android),
        ("has_f16", arch == "aarch64" && !is_android || env::var_os("CARGO_FEATURE_PORTABLE_F16").is_some()),
        ("has_portable", !(is_simd128_only || arch == "aarch64" && is_android)),
    ];
    for (name, holds) in conditions {
        println!("cargo::rustc-check-cfg=cfg({name})");
        if holds {
            println!("cargo::rustc-cfg={name}");
        }
    }
}
