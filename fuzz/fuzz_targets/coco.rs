//! Bytes of COCO annotations.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = picodet_data::coco::parse(bytes, "annotations.json");
});
