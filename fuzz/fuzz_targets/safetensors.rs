//! Bytes of a safetensors file, ours or not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use picodet_weights::{Storage, read, read_tensors, stored_types, write};

fuzz_target!(|bytes: &[u8]| {
    let _ = read_tensors(bytes);
    let _ = stored_types(bytes);
    if let Ok(model) = read(bytes) {
        for storage in [Storage::F32, Storage::F16, Storage::Int8Rows] {
            let again = read(&write(&model, storage)).expect("our own file");
            assert_eq!(again.metadata, model.metadata);
            assert!(again.weights.keys().eq(model.weights.keys()));
        }
    }
});
