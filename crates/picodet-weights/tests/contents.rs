//! Errors name files that contain no weights.

use picodet_testing::Cases;
use picodet_weights::{ReadError, ncnn, onnx, paddle, pdparams};

/// A refusal of these bytes by each reader.
fn refusals(bytes: &[u8]) -> [(&'static str, Option<ReadError>); 6] {
    [
        ("native", picodet_weights::read(bytes).err()),
        ("safetensors", picodet_weights::read_tensors(bytes).err()),
        ("pdparams", pdparams::read(bytes).err()),
        ("onnx", onnx::read(bytes).err()),
        ("param", ncnn::read(bytes, &[]).err()),
        ("program", paddle::read(bytes, &[]).err()),
    ]
}

#[test]
fn what_is_no_weight_file_is_named() {
    let tar = [&[b'a'; 100][..], &[0; 157], b"ustar\x0000"].concat();
    let files: [(&[u8], &str); 14] = [
        (b"", "an empty file; copy or download it again"),
        (&[0; 100], "a file of zero bytes; copy or download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n", "a Git LFS pointer; fetch"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "an HTML page; copy or download it again"),
        (b"PK\x03\x04\x14\0\0\0archive/data.pkl", "a zip archive; unpack it"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "a compressed archive; unpack it"),
        (b"\x1c\0\0\0TFL3\x14\0\x20\0", "a TensorFlow Lite model; convert the original weights"),
        (b"\x89HDF\r\n\x1a\n\0", "an HDF5 file; convert the original weights"),
        (b"\x89PNG\r\n\x1a\n\0", "an image; it has no weights"),
        (b"\xff\xd8\xff\xe0\0", "an image; it has no weights"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF document; it has no weights"),
        (b"\xdd\x85\x76\0\x10\0", "the binary form of an ncnn .param; use its text form"),
        (&tar, "a tar archive; unpack it"),
        (
            b"<?xml version=\"1.0\"?>\n<net name=\"a\">",
            "an XML file, as OpenVINO writes it; convert the original weights",
        ),
    ];
    let mut cases = Cases::new();
    for (bytes, expected) in files {
        for (reader, error) in refusals(bytes) {
            let found = error.map(|error| error.to_string()).unwrap_or_default();
            cases.check(format!("{reader}: {found}; expected {expected}"), found.starts_with(expected));
        }
    }
    cases.finish();
}

#[test]
fn weights_for_another_reader_are_named_and_own_ones_keep_their_error() {
    let onnx_file = b"\x08\x08\x12\x07pytorch\x3a\xff";
    let error = |found: Option<ReadError>| found.map(|error| error.to_string()).unwrap_or_default();
    let as_model = error(picodet_weights::read(onnx_file).err());
    assert_eq!(as_model, "an ONNX model; `picodet convert` converts it");
    let own = error(onnx::read(onnx_file).err());
    assert!(own.starts_with("not an ONNX file"), "{own}");
    let pickle = b"\x80\x02}q\x00";
    assert!(error(picodet_weights::read(pickle).err()).starts_with("a pickle"));
    assert!(
        error(pdparams::read(pickle).err()).contains("truncated"),
        "{}",
        error(pdparams::read(pickle).err())
    );
    let text = b"image_id,score\n1,0.5\n";
    assert!(error(picodet_weights::read(text).err()).starts_with("a text file; it has no weights"));
    assert!(error(ncnn::read(text, &[]).err()).contains("`7767517` expected"));
    assert!(error(onnx::read(b"[1, 2]").err()).starts_with("a JSON text; it has no weights"));
    assert!(
        error(picodet_weights::read(b"7767517\n3 3\n").err()).starts_with("the network of an ncnn model")
    );
}

/// A safetensors file of two tensors, with the element type of the second.
fn safetensors(dtype: &str, width: usize, name: &str, shape: &str) -> Vec<u8> {
    let end = 8 + 2 * width;
    let header = format!(
        r#"{{"a":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}},"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[8,{end}]}}}}"#
    );
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; end]].concat()
}

#[test]
fn a_cut_safetensors_file_is_named_with_both_sizes() {
    let sound = safetensors("F32", 4, "b", "[2]");
    let size = sound.len();
    assert!(picodet_weights::read_weights(&sound).is_ok());
    let error = |bytes: &[u8]| picodet_weights::read_weights(bytes).map(drop).unwrap_err().to_string();
    let mut cases = Cases::new();
    for cut in [size - 1, size - 16] {
        let expected = format!(
            "the file has {cut} bytes, its header gives {size}; it is cut: copy or download it again"
        );
        let found = error(&sound[..cut]);
        cases.check(format!("{cut}: {found}"), found == expected);
    }
    let in_header = error(&sound[..60]);
    let expected = format!("the file has 60 bytes, its header gives {}; it is cut", size - 16);
    cases.check(format!("in the header: {in_header}"), in_header.starts_with(&expected));
    let longer = error(&[&sound[..], b"abc"].concat());
    let expected = format!("the file has {} bytes, its header gives {size}; copy", size + 3);
    cases.check(format!("longer: {longer}"), longer.starts_with(&expected));
    cases.finish();
}

#[test]
fn integers_without_scales_are_no_weights() {
    let read = |dtype: &str, width: usize, name: &str, shape: &str| {
        let bytes = safetensors(dtype, width, name, shape);
        picodet_weights::read_weights(&bytes).map(drop).map_err(|error| error.to_string())
    };
    let mut cases = Cases::new();
    for (dtype, width) in [("I8", 1), ("U8", 1), ("I16", 2), ("I32", 4), ("I64", 8), ("BOOL", 1)] {
        let found = read(dtype, width, "conv.weight", "[2]");
        let expected = "tensor `conv.weight`: its elements are integers (`";
        cases.check(format!("{dtype}: {found:?}"), found.is_err_and(|error| error.starts_with(expected)));
    }
    for (dtype, width) in [("F32", 4), ("F16", 2), ("BF16", 2), ("F64", 8)] {
        cases.check(dtype, read(dtype, width, "conv.weight", "[2]").is_ok());
    }
    let counter = read("I32", 2, "bn.num_batches_tracked", "[]");
    cases.check(format!("counter: {counter:?}"), counter.is_ok());
    cases.finish();
}
