//! Bytes of a LabelMe annotation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use picodet_data::Findings;

fuzz_target!(|bytes: &[u8]| {
    let _ = picodet_data::labelme::parse(bytes, "annotation.json", &mut Findings::default());
});
