//! Bytes of COCO results, and of COCO annotations as the evaluation reads them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use picodet_eval::{read_annotations, read_results};

fuzz_target!(|bytes: &[u8]| {
    let _ = read_results(bytes, 1 << 20);
    let _ = read_annotations(bytes, 1 << 20);
});
