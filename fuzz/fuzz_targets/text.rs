//! Bytes of a text file, as decoded at once and as a stream.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use picodet_format::text::{Utf8Reader, decode, decode_xml};

fuzz_target!(|bytes: &[u8]| {
    let _ = decode(bytes.to_vec());
    let _ = decode_xml(bytes.to_vec());
    let mut streamed = Vec::new();
    let _ = Utf8Reader::new(bytes).read_to_end(&mut streamed);
});
