//! The committed header is that of the sources.

use std::path::Path;

/// The files whose items are in the header, in its order.
const FILES: [&str; 8] = ["version", "status", "model", "options", "image", "decode", "detector", "result"];

#[test]
fn the_header_is_that_of_the_sources() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).expect("cbindgen.toml");
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in FILES {
        builder = builder.with_src(folder.join("src").join(file).with_extension("rs"));
    }
    let mut header = Vec::new();
    builder.generate().expect("a header").write(&mut header);
    let header = String::from_utf8(header).expect("UTF-8");
    let path = folder.join("include/picodet.h");
    if std::env::var_os("PICODET_UPDATE").is_some() {
        std::fs::write(&path, &header).expect("picodet.h");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(header == committed, "picodet.h is not that of the sources; run this test with PICODET_UPDATE=1");
}
