//! Bytes of a `.param` and, after a zero byte, of its `.bin`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let split = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (param, bin) = bytes.split_at(split);
    if let Ok(network) = picodet_weights::ncnn::read(param, bin.get(1..).unwrap_or_default()) {
        let _ = picodet_weights::sites_of_foreign(&network);
    }
});
