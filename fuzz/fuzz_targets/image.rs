//! Bytes of a picture, decoded whole and at a reduced size.
#![no_main]

use libfuzzer_sys::fuzz_target;
use picodet_image::{FileKind, Limits, decode, dimensions};

fuzz_target!(|bytes: &[u8]| {
    let _ = FileKind::of(bytes);
    // Below the second limit JPEG pictures are decoded at a reduced size.
    for limit in [1 << 20, 1 << 8] {
        let limits = Limits::new(limit);
        let header = dimensions(bytes, &limits);
        if let Ok(image) = decode(bytes, &limits) {
            assert_eq!(header.ok(), Some(image.source_size()));
            assert!((image.width() * image.height()) as u64 <= limit);
        }
    }
});
