//! The forms in which ncnn's converters write one network: 1×1 convolutions as fully connected layers, batch
//! norms, scales, constants, element types.

#[path = "forms/ncnn.rs"]
mod forms;

use forms::{PLAIN, PNNX, plain_bin};
use picodet_testing::Cases;
use picodet_weights::{ForeignNetwork, ncnn};

/// Shape, weights and bias of a convolution.
type Weights = (Vec<usize>, Vec<f32>, Option<Vec<f32>>);

/// Shape, values and bias of each convolution.
fn convolutions(network: &ForeignNetwork) -> Vec<Weights> {
    let convolutions = network.nodes.iter().filter_map(|node| node.convolution.as_ref());
    convolutions
        .map(|c| {
            (c.weight.shape.clone(), c.weight.data.clone(), c.bias.as_ref().map(|bias| bias.data.clone()))
        })
        .collect()
}

#[test]
fn every_form_has_the_same_convolutions() {
    let expected = convolutions(&ncnn::read(PLAIN.as_bytes(), &plain_bin()).expect("a plain file"));
    let mut cases = Cases::new();
    for (name, param, bin) in forms::forms() {
        let found = ncnn::read(param.as_bytes(), &bin).map(|network| convolutions(&network));
        cases.check(name, found.as_ref() == Ok(&expected));
    }
    cases.finish();
}

#[test]
fn refusals_have_a_reason() {
    let int8 = [&0x000D_4B38u32.to_le_bytes()[..], &[1; 54]].concat();
    let mut cases = Cases::new();
    for (param, bin, reason) in [
        (PNNX.replace("4=1 5=1", "4=1 8=1 5=1"), plain_bin(), "quantised"),
        (PNNX.to_owned(), int8, "quantised"),
        (PNNX.replace("14=1", "14=0"), plain_bin(), "centred"),
        (PNNX.replace("4=1 5=1", "4=-233 5=1"), plain_bin(), "centred"),
        (PNNX.replace("InnerProduct", "LSTM"), plain_bin(), "LSTM"),
        (PNNX.replace("2=4", "2=5"), plain_bin(), "5 values"),
        (PNNX.to_owned(), plain_bin()[..100].to_vec(), "ends at byte 100"),
        (PNNX.to_owned(), [plain_bin(), vec![0; 4]].concat(), "4 bytes follow"),
        (PNNX.replace("7767517", "PK"), plain_bin(), "7767517"),
    ] {
        let error = ncnn::read(param.as_bytes(), &bin).map(drop).map_err(|error| error.to_string());
        cases.check(reason, error.as_ref().is_err_and(|error| error.contains(reason)));
    }
    cases.finish();
}

#[test]
fn poolings_have_their_windows() {
    let param = PNNX.replace("0=1 4=1", "0=0 1=3 2=2 3=1 5=1");
    let pooling = |param: &str| {
        let network = ncnn::read(param.as_bytes(), &plain_bin()).expect("a sound file");
        network.nodes.iter().find_map(|node| node.pooling).expect("a pooling")
    };
    let whole = pooling(PNNX);
    assert!(whole.is_average && whole.is_global, "{whole:?}");
    let found = pooling(&param);
    assert!(!found.is_average && !found.is_global, "{found:?}");
    assert_eq!((found.kernel, found.strides, found.pads), ([3; 2], [2; 2], [1; 4]));
    let adaptive = pooling(&PNNX.replace("0=1 4=1", "0=1 7=1 8=1 18=1"));
    assert!(adaptive.is_global, "{adaptive:?}");
}
