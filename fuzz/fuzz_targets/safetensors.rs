//! Bytes of a safetensors file, ours or not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use picodet_weights::{Storage, read, read_tensors, write};

fuzz_target!(|bytes: &[u8]| {
    let _ = read_tensors(bytes);
    if let Ok(model) = read(bytes) {
        let again = read(&write(&model, Storage::F32)).expect("our own file");
        assert_eq!(again.metadata, model.metadata);
    }
});
