//! The symbols of Android's system libraries that the native library may use, and checks of the built library.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Where the list is.
const LIST: &str = "bindings/android/symbols.txt";
/// Sizes of pages of current devices in bytes.
const PAGE: u64 = 16_384;

/// A symbol of a system library.
pub(super) struct Symbol {
    /// The library: `c`, `dl`, `m`.
    pub(super) library: String,
    name: String,
    /// `function`, `variable`, or `weak`: a function that may be absent.
    kind: String,
}

impl Symbol {
    /// Returns the assembly that defines the symbol in a stub.
    pub(super) fn definition(&self) -> String {
        let Self { name, kind, .. } = self;
        match kind.as_str() {
            "variable" => {
                format!(".data\n.globl {name}\n.type {name},%object\n.size {name},8\n{name}: .quad 0\n")
            }
            "weak" => String::new(),
            _ => format!(".text\n.globl {name}\n.type {name},%function\n{name}: .long 0\n"),
        }
    }
}

/// Reads the list.
pub(super) fn list() -> Result<Vec<Symbol>> {
    let text = std::fs::read_to_string(LIST).context(LIST)?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let symbols = lines.map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        [library, name, kind] => {
            Ok(Symbol { library: library.to_owned(), name: name.to_owned(), kind: kind.to_owned() })
        }
        _ => bail!("{LIST}: `{line}`: expected library, symbol and kind"),
    });
    symbols.collect()
}

/// Checks a library: undefined symbols, libraries, exported symbols and the alignment of its segments.
pub(super) fn check(library: &Path) -> Result<()> {
    let symbols = list()?;
    let output = run(Command::new("readelf").args(["--dyn-syms", "-W"]).arg(library))?;
    for line in output.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, _, binding, _, section, name, ..] = fields[..] else { continue };
        let name = name.split('@').next().unwrap_or(name);
        let known = symbols.iter().find(|symbol| symbol.name == name);
        match (section, known) {
            ("UND", Some(symbol)) if symbol.kind != "weak" || binding == "WEAK" => {}
            ("UND", _) => bail!("{}: `{name}` ({binding}) is not in {LIST}", library.display()),
            ("Ndx", _) => {}
            _ if name.starts_with("Java_dev_picodet_Native_") => {}
            _ => bail!("{} exports `{name}`", library.display()),
        }
    }
    let output = run(Command::new("readelf").args(["-d", "-W"]).arg(library))?;
    let mut needed: Vec<&str> = Vec::new();
    for line in output.lines().filter(|line| line.contains("(NEEDED)")) {
        needed.extend(line.split(['[', ']']).nth(1));
    }
    if needed.is_empty() || needed.iter().any(|name| !["libc.so", "libdl.so", "libm.so"].contains(name)) {
        bail!("{} needs {needed:?}", library.display());
    }
    let output = run(Command::new("readelf").args(["-l", "-W"]).arg(library))?;
    for line in output.lines().filter(|line| line.trim_start().starts_with("LOAD")) {
        let alignment = line.split_whitespace().last().and_then(|text| text.strip_prefix("0x"));
        let alignment = alignment.and_then(|text| u64::from_str_radix(text, 16).ok());
        if alignment != Some(PAGE) {
            bail!("{}: a segment is not aligned to {PAGE} bytes: {line}", library.display());
        }
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{command:?} failed");
    }
    Ok(String::from_utf8(output.stdout)?)
}
