//! Text of a Pascal VOC annotation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use picodet_data::Findings;

fuzz_target!(|text: &str| {
    let _ = picodet_data::voc::parse(text, "annotation.xml", &mut Findings::default());
});
