//! Truncated, damaged and arbitrary bytes of every format: a typed error or a value, without panic and in
//! bounded memory.

mod common;

use common::{PARAM, bin, model, native, native_rows, pickle, sound_pickle};
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
    let files: [(&str, Vec<u8>, Reads); 7] = [
        ("8-bit rows", native_rows(), |bytes| read(bytes).is_ok()),
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

/// Sound 8-bit rows, and every way in which the integers and their scales can contradict each other.
#[test]
fn malformed_8_bit_rows_are_refused_by_name() {
    let rows = |dtype: &str, shape: &str, scale: Option<(&str, &str, &[f32])>| {
        let mut header = format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,4]}}"#);
        let mut data = vec![1, 255, 127, 128];
        if let Some((dtype, shape, values)) = scale {
            let end = 4 + 4 * values.len();
            header +=
                &format!(r#","w.scale":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[4,{end}]}}"#);
            data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        header.push('}');
        read_tensors(&[&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat())
    };
    let (weights, _) = rows("I8", "[2,2]", Some(("F32", "[2]", &[0.5, 2.0]))).expect("sound rows");
    assert_eq!(weights.len(), 1, "the scales are not a separate tensor");
    assert_eq!(weights["w"].data, [0.5, -0.5, 254.0, -256.0]);
    // Without 8-bit integers, `.scale` is a name like any other.
    let (weights, _) = rows("F32", "[1]", Some(("F32", "[1]", &[2.0]))).expect("floats");
    assert_eq!(weights.len(), 2);
    for (shape, scale, words) in [
        ("[2,2]", None, "`.scale` appended"),
        ("[2,2]", Some(("F32", "[1]", &[0.5f32][..])), "one F32 scale per row"),
        ("[2,2]", Some(("F32", "[2,1]", &[0.5; 2])), "one F32 scale per row"),
        ("[2,2]", Some(("I32", "[2]", &[0.5; 2])), "one F32 scale per row"),
        ("[2,2]", Some(("I8", "[2,4]", &[0.5; 2])), "8-bit rows"),
        ("[2,2]", Some(("F32", "[2]", &[0.5, 0.0])), "not positive"),
        ("[2,2]", Some(("F32", "[2]", &[-0.5, 0.5])), "not positive"),
        ("[2,2]", Some(("F32", "[2]", &[0.5, f32::NAN])), "NaN"),
        ("[2,2]", Some(("F32", "[2]", &[0.5, f32::INFINITY])), "too large"),
        ("[2,2]", Some(("F32", "[2]", &[0.5, f32::MAX])), "too large"),
        ("[4]", Some(("F32", "[2]", &[0.5; 2])), "one F32 scale per row"),
        ("[9,9]", Some(("F32", "[9]", &[0.5; 9])), "safetensors"),
    ] {
        let error = rows("I8", shape, scale).expect_err(words).to_string();
        assert!(error.contains(words) && error.lines().count() == 1, "{shape} {scale:?}: {error}");
    }
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
        which in 0usize..6,
        cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let files = [native(), native_rows(), pickle(), bin(), model(), PARAM.as_bytes().to_vec()];
        let mut bytes = files[which].clone();
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
