//! Names the library as Java loads it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    match target.as_str() {
        // The linker is called without a compiler.
        "android" => println!("cargo::rustc-cdylib-link-arg=-soname=libpicodet.so"),
        "linux" => println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libpicodet.so"),
        _ => {}
    }
}
