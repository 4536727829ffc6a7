//! Small files of every format.
#![allow(dead_code)]

use picodet_graph::{Tensor, Weights};
use picodet_weights::{Metadata, ModelFile, Storage, write};

/// A small native file.
pub(crate) fn native() -> Vec<u8> {
    native_stored(Storage::F32)
}

/// A small native file with 8-bit rows.
pub(crate) fn native_rows() -> Vec<u8> {
    native_stored(Storage::Int8Rows)
}

fn native_stored(storage: Storage) -> Vec<u8> {
    let mut weights = Weights::new();
    weights.insert("a.weight".to_owned(), Tensor::full(&[2, 9], 0.5));
    weights.insert("b.bias".to_owned(), Tensor::full(&[4], -1.0));
    let metadata = Metadata { classes: vec!["x".into()], category_ids: vec![1], ..Metadata::default() };
    write(&ModelFile { weights, metadata, quantisation: None }, storage)
}

/// A pickle of one 1×2 array, as protocol 2 writes it.
pub(crate) fn pickle() -> Vec<u8> {
    let mut bytes = b"\x80\x02}q\x00X\x01\x00\x00\x00wq\x01".to_vec();
    bytes.extend(b"cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85q\x04");
    bytes.extend(b"c_codecs\nencode\nq\x05X\x01\x00\x00\x00bX\x06\x00\x00\x00latin1\x86q\x06R\x87q\x07R");
    bytes.extend(b"(K\x01K\x01K\x02\x86cnumpy\ndtype\nq\x08X\x02\x00\x00\x00f4K\x00K\x01\x87R");
    bytes.extend(b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89");
    bytes.extend(b"h\x05X\x08\x00\x00\x00\x00\x00\x00?\x00\x00\x00@X\x06\x00\x00\x00latin1\x86RtbsX\x00\x00\x00\x00Ns0.");
    bytes
}

pub(crate) const PARAM: &str = "7767517\n3 3\nInput image 0 1 image\n\
    Convolution c 1 1 image y 0=2 1=1 11=1 2=1 12=1 3=1 13=1 4=0 5=1 6=6\nReLU r 1 1 y z\n";

/// [`pickle`] without the entry that is popped at its end.
pub(crate) fn sound_pickle() -> Vec<u8> {
    [pickle()[..pickle().len() - 9].to_vec(), b".".to_vec()].concat()
}

/// The `.bin` of [`PARAM`]: a flag, six weights, two biases.
pub(crate) fn bin() -> Vec<u8> {
    [0u32.to_le_bytes().to_vec(), [1.0f32; 8].iter().flat_map(|v| v.to_le_bytes()).collect()].concat()
}

pub(crate) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
}

/// An ONNX model of one 1×1 convolution and a batch norm.
pub(crate) fn model() -> Vec<u8> {
    let vector = |name: &str, value: f32| {
        let raw: Vec<u8> = [value; 2].iter().flat_map(|v| v.to_le_bytes()).collect();
        [vec![0x08, 2, 0x10, 1], field(8, name.as_bytes()), field(9, &raw)].concat()
    };
    let weight =
        [vec![0x08, 2, 0x08, 1, 0x08, 1, 0x08, 1, 0x10, 1], field(8, b"w"), field(9, &[0; 8])].concat();
    let node = |kind: &str, inputs: &[&str], output: &str| {
        let inputs: Vec<u8> = inputs.iter().flat_map(|input| field(1, input.as_bytes())).collect();
        field(1, &[inputs, field(2, output.as_bytes()), field(4, kind.as_bytes())].concat())
    };
    let graph = [
        node("Conv", &["x", "w"], "y"),
        node("BatchNormalization", &["y", "g", "b", "m", "v"], "z"),
        field(5, &weight),
        ["g", "b", "m", "v"].iter().flat_map(|name| field(5, &vector(name, 1.0))).collect(),
    ]
    .concat();
    let length = [0x80 | (graph.len() & 0x7f) as u8, (graph.len() >> 7) as u8];
    [&[7 << 3 | 2], &length[..], &graph].concat()
}
