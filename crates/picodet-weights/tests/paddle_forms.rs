//! Paddle inference models: the same network as a protocol buffer and as JSON, with parameters of every
//! element type.

#[path = "forms/paddle.rs"]
mod forms;

use forms::{BIAS, WEIGHT, json, parameters, program, tensor, weight};
use picodet_testing::Cases;
use picodet_weights::{ForeignConvolution, ForeignNetwork, paddle};

fn convolution(network: &ForeignNetwork) -> Option<&ForeignConvolution> {
    network.nodes.iter().find_map(|node| node.convolution.as_ref())
}

fn is_expected(network: &ForeignNetwork) -> bool {
    let Some(found) = convolution(network) else { return false };
    let bias = found.bias.as_ref().map(|bias| bias.data.as_slice());
    found.weight.data == WEIGHT
        && found.weight.shape == [2, 3, 1, 1]
        && bias == Some(&BIAS[..])
        && found.stride == 2
}

#[test]
fn both_programs_and_every_element_type_have_the_same_weights() {
    let mut cases = Cases::new();
    for (name, program, parameters) in forms::forms() {
        let found = paddle::read(&program, &parameters);
        cases.check(format!("{name}: {found:?}"), found.as_ref().is_ok_and(is_expected));
    }
    cases.finish();
}

#[test]
fn a_separate_bias_is_folded() {
    let json = json()
        .replace("1.batch_norm_", "1.add")
        .replace(r##""I":[{"%":7},{"%":4},{"%":1},{"%":3},{"%":5}]"##, r##""I":[{"%":7},{"%":9}]"##)
        .replace(
            r##"{"#":"1.add""##,
            r##"{"#":"1.reshape","A":[],"I":[{"%":5},{"%":10}],"O":[{"%":9}]},{"#":"1.add""##,
        );
    assert!(is_expected(&paddle::read(json.as_bytes(), &parameters(&weight())).expect("a sound model")));
}

#[test]
fn refusals_have_a_reason() {
    let sound = parameters(&weight());
    let json = json();
    let replaced = |from: &str, to: &str| json.replace(from, to).into_bytes();
    let mut cases = Cases::new();
    for (program, parameters, reason) in [
        (json.clone().into_bytes(), weight(), "1 tensors, the program has 5 parameters"),
        (json.clone().into_bytes(), sound[..sound.len() - 1].to_vec(), "truncated"),
        (json.clone().into_bytes(), parameters(&tensor(&[2, 3, 1, 1], 24, &[0; 48])), "element type 24"),
        (replaced("\"pir\"", "\"coco\""), sound.clone(), "base_code.magic"),
        (replaced("[{\"%\":6},{\"%\":2}]", "[{\"%\":6},{\"%\":20}]"), sound.clone(), "quantised"),
        (replaced("1.conv2d", "1.fused_conv2d"), sound.clone(), "fused"),
        (b"{".to_vec(), sound.clone(), "JSON"),
        (b"no program".to_vec(), sound.clone(), "not a Paddle inference model"),
        (b"\x20\x01".to_vec(), sound.clone(), "no block"),
    ] {
        let found = paddle::read(&program, &parameters).map_err(|error| error.to_string());
        cases.check(format!("{reason}: {found:?}"), found.is_err_and(|error| error.contains(reason)));
    }
    cases.finish();
}

#[test]
fn every_prefix_is_refused() {
    let (program, stream) = (program(), parameters(&weight()));
    let cut_stream = (0..stream.len()).filter(|&cut| paddle::read(&program, &stream[..cut]).is_ok()).count();
    let cut_program =
        (0..program.len()).filter(|&cut| paddle::read(&program[..cut], &stream).is_ok()).count();
    assert_eq!((cut_stream, cut_program), (0, 0));
}
