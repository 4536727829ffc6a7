//! Bytes of a picture.
#![no_main]

use libfuzzer_sys::fuzz_target;
use picodet_image::{Limits, decode, dimensions};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { pixels: 1 << 20, ..Limits::default() };
    let header = dimensions(bytes, &limits);
    if let Ok(image) = decode(bytes, &limits) {
        assert_eq!(header.ok(), Some((image.width(), image.height())));
    }
});
