//! One small network in every form in which ncnn's converters write it.

/// A stem `[2, 3, 3, 3]` of stride 2, and a gate `[2, 2, 1, 1]` of its mean.
pub(crate) const PLAIN: &str = "7767517\n5 5\nInput image 0 1 image\n\
    Convolution stem 1 1 image a 0=2 1=3 11=3 3=2 13=2 4=1 14=1 5=1 6=54\n\
    Pooling gap 1 1 a b 0=1 4=1\n\
    Convolution gate 1 1 b c 0=2 1=1 5=1 6=4\n\
    BinaryOp mul 2 1 a c d 0=2\n";

/// The same as `pnnx` writes it.
pub(crate) const PNNX: &str = "7767517\n5 5\nInput in0 0 1 in0\n\
    Convolution conv_0 1 1 in0 1 0=2 1=3 11=3 12=1 13=2 14=1 2=1 3=2 4=1 5=1 6=54 9=1\n\
    Pooling gap_0 1 1 1 2 0=1 4=1\n\
    InnerProduct fcsigmoid_0 1 1 2 3 0=2 1=1 2=4 9=4\n\
    BinaryOp mul_0 2 1 1 3 out0 0=2\n";

pub(crate) fn values(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|at| ((at * 7 + seed * 3) % 11) as f32 * 0.25 - 1.0).collect()
}

pub(crate) fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub(crate) fn flagged(values: &[f32]) -> Vec<u8> {
    [vec![0; 4], floats(values)].concat()
}

/// Values after the flag of 16-bit floats, padded to a multiple of 4 bytes.
pub(crate) fn halves(values: &[f32]) -> Vec<u8> {
    let mut bytes = 0x0130_6B47u32.to_le_bytes().to_vec();
    bytes.extend(values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()));
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

pub(crate) fn plain_bin() -> Vec<u8> {
    [flagged(&values(54, 1)), floats(&values(2, 2)), flagged(&values(4, 3)), floats(&values(2, 4))].concat()
}

/// The network of [`PLAIN`] in every other form that has a name: `.param` and `.bin`.
pub(crate) fn forms() -> Vec<(&'static str, String, Vec<u8>)> {
    let halved =
        [halves(&values(54, 1)), floats(&values(2, 2)), halves(&values(4, 3)), floats(&values(2, 4))]
            .concat();
    // The bias of the stem as a constant that is added, that of the gate as a batch norm with unit variance.
    let separate = "7767517\n8 8\nInput in0 0 1 in0\n\
        Convolution conv_0 1 1 in0 1 0=2 1=3 11=3 13=2 14=1 3=2 4=1 5=0 6=54\n\
        MemoryData bias 0 1 k 0=1 1=1 2=2\n\
        BinaryOp add_0 2 1 1 k 2 0=0\n\
        Pooling gap_0 1 1 2 3 0=1 4=1\n\
        InnerProduct fc_0 1 1 3 4 0=2 1=0 2=4\n\
        BatchNorm bn_0 1 1 4 5 0=2 1=0.0\n\
        BinaryOp mul_0 2 1 2 5 out0 0=2\n";
    let separate_bin = [
        flagged(&values(54, 1)),
        floats(&values(2, 2)),
        flagged(&values(4, 3)),
        floats(&[1.0; 2]),
        floats(&[0.0; 2]),
        floats(&[1.0; 2]),
        floats(&values(2, 4)),
    ]
    .concat();
    // A scale of one half after a stem of twice the values, and constants of other layers.
    let scaled =
        PNNX.replace("5 5", "8 8").replace("in0 1 0=2", "in0 0 0=2").replace("6=54 9=1", "6=54").replace(
            "Pooling",
            "Scale scale 1 1 0 1 0=2 1=0\nPReLU p 1 1 q r 0=2\nGemm g 1 1 s t 5=1 6=1 8=1 9=8 10=4\nPooling",
        );
    let double: Vec<f32> = values(54, 1).iter().map(|value| value * 2.0).collect();
    let double_bias: Vec<f32> = values(2, 2).iter().map(|value| value * 2.0).collect();
    let scaled_bin = [
        flagged(&double),
        floats(&double_bias),
        floats(&[0.5; 2]),
        floats(&[0.1; 2]),
        flagged(&[1.0; 8]),
        flagged(&[1.0]),
        flagged(&values(4, 3)),
        floats(&values(2, 4)),
    ]
    .concat();
    let with_marks = format!("\u{feff}{}", PNNX.replace('\n', "\r\n"));
    vec![
        ("pnnx", PNNX.to_owned(), plain_bin()),
        ("pnnx with f16", PNNX.to_owned(), halved),
        ("byte order mark and CRLF", with_marks, plain_bin()),
        ("separate biases", separate.to_owned(), separate_bin),
        ("a scale, and constants of other layers", scaled, scaled_bin),
    ]
}
