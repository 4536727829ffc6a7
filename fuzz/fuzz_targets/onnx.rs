//! Bytes of an `.onnx` file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(network) = picodet_weights::onnx::read(bytes) {
        let sites = picodet_weights::sites_of_foreign(&network);
        let _ = picodet_weights::align(&sites, &sites);
    }
});
