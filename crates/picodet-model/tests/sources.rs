//! Errors about the files of a conversion.

use picodet_model::{ConvertOptions, convert};
use picodet_testing::Cases;
use picodet_zoo::variant;

#[test]
fn missing_weights_and_newer_models_have_a_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let variant = variant("v2_xs_320").expect("a variant");
    let problem = |name: &str, contents: &[u8], options: &ConvertOptions| {
        let path = folder.path().join(name);
        std::fs::write(&path, contents).expect("a file");
        convert(&path, variant, options).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let header = r#"{"__metadata__":{"picodet.format":"7"}}"#;
    let native = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    let other = ConvertOptions { bin: Some(folder.path().join("other.bin")), ..ConvertOptions::default() };
    let mut cases = Cases::new();
    for (name, contents, options, expected) in [
        (
            "m.param",
            &b"7767517\n0 0\n"[..],
            &ConvertOptions::default(),
            "m.bin`, are missing; give their file with `--bin FILE`",
        ),
        ("m.param", b"7767517\n0 0\n", &other, "other.bin: "),
        (
            "m.safetensors",
            &native,
            &ConvertOptions::default(),
            "of format version 7, which is newer than version 1",
        ),
    ] {
        let found = problem(name, contents, options);
        cases.check(
            format!("{name}: {found}"),
            found.contains(expected) && !found.contains("not a picodet model"),
        );
    }
    cases.finish();
}
