//! Bytes of a `.pdparams` file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(weights) = picodet_weights::pdparams::read(bytes) {
        // The arrays never need more memory than the file justifies.
        let values: usize = weights.values().map(|tensor| tensor.data.len()).sum();
        assert!(values <= bytes.len());
    }
});
