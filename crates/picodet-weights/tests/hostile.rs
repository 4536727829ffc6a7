//! Truncated, damaged and arbitrary bytes of every format: a typed error or a value, without panic and in
//! bounded memory.

mod common;

use common::{PARAM, bin, model, native, pickle, sound_pickle};
use picodet_weights::{ncnn, onnx, pdparams, read, read_tensors};
use proptest::prelude::*;

/// All readers on the same bytes.
fn read_everything(bytes: &[u8]) {
    let _ = read(bytes);
    let _ = read_tensors(bytes);
    let _ = pdparams::read(bytes);
    let _ = onnx::read(bytes);
    let _ = ncnn::read(bytes, &bin());
    let _ = ncnn::read(PARAM.as_bytes(), bytes);
}

#[test]
fn the_small_files_are_sound() {
    assert!(read(&native()).is_ok());
    assert_eq!(pdparams::read(&sound_pickle()).map(|weights| weights["w"].data.clone()), Ok(vec![0.5, 2.0]));
    assert!(ncnn::read(PARAM.as_bytes(), &bin()).is_ok());
    let network = onnx::read(&model()).expect("a sound model");
    let folded = network.nodes[0].convolution.as_ref().and_then(|c| c.bias.clone()).expect("a folded bias");
    assert!(folded.data.iter().all(|value| (value - 5e-6).abs() < 1e-6), "{folded:?}");
}

/// Every file cut at every byte is refused, except where only trailing white space is missing.
#[test]
fn every_prefix_is_refused() {
    type Reads = fn(&[u8]) -> bool;
    let files: [(&str, Vec<u8>, Reads); 6] = [
        ("safetensors", native(), |bytes| read(bytes).is_ok()),
        ("safetensors of others", native(), |bytes| read_tensors(bytes).is_ok()),
        ("pdparams", sound_pickle(), |bytes| pdparams::read(bytes).is_ok()),
        ("ONNX", model(), |bytes| onnx::read(bytes).is_ok()),
        ("ncnn .param", PARAM.trim_ascii_end().as_bytes().to_vec(), |bytes| {
            ncnn::read(bytes, &bin()).is_ok()
        }),
        ("ncnn .bin", bin(), |bytes| ncnn::read(PARAM.as_bytes(), bytes).is_ok()),
    ];
    let mut accepted = Vec::new();
    for (name, bytes, is_accepted) in files {
        assert!(is_accepted(&bytes), "{name}");
        let cuts = (0..bytes.len()).filter(|&cut| is_accepted(&bytes[..cut]));
        accepted.extend(cuts.map(|cut| format!("{name} cut at {cut}")));
    }
    assert!(accepted.is_empty(), "{}", accepted.join("\n"));
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    for wrap in [&b"\x85"[..], b"\x85\x94", b"l"] {
        let bytes = [b"\x80\x04)".to_vec(), wrap.repeat(1_900_000), b".".to_vec()].concat();
        assert!(pdparams::read(&bytes).is_err());
    }
}

#[test]
fn a_small_file_does_not_expand_to_much_memory() {
    // The same text decoded many times.
    let mut bytes = b"\x80\x02c_codecs\nencode\nq\x00X\x00\x10\x00\x00".to_vec();
    bytes.extend([b'a'; 4096]);
    bytes.extend(b"X\x06\x00\x00\x00latin1\x86q\x01");
    bytes.extend(b"h\x00h\x01R".repeat(100_000));
    bytes.push(b'.');
    assert!(pdparams::read(&bytes).is_err());
}

#[test]
fn a_forbidden_global_is_named_in_the_error() {
    let error =
        pdparams::read(b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.").expect_err("never run").to_string();
    assert!(error.contains("os.system") && error.contains("never run"), "{error}");
}

proptest! {
    #[test]
    fn flipped_and_truncated_files_never_panic(
        which in 0usize..5,
        cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut bytes = [native(), pickle(), bin(), model(), PARAM.as_bytes().to_vec()][which].clone();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
        }
        read_everything(&bytes);
        read_everything(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_everything(&bytes);
        read_everything(&[b"\x80\x04", &bytes[..]].concat());
    }
}
