//! A Paddle inference model as a protocol buffer and as JSON, with parameters of every element type.

use picodet_format::protobuf::Message;

pub(crate) const WEIGHT: [f32; 6] = [0.5, -1.0, 2.0, 0.25, 1.5, -0.75];
pub(crate) const BIAS: [f32; 2] = [1.0, -3.0];
/// `FP32` of Paddle's element types.
pub(crate) const F32: i64 = 5;

/// One tensor of a stream, with an element type and its bytes.
pub(crate) fn tensor(shape: &[i64], dtype: i64, bytes: &[u8]) -> Vec<u8> {
    let description =
        shape.iter().fold(Message::default().integer(1, dtype), |m, &extent| m.integer(2, extent));
    let description = description.into_bytes();
    let length = (description.len() as u32).to_le_bytes();
    [&0u32.to_le_bytes()[..], &0u64.to_le_bytes(), &0u32.to_le_bytes(), &length, &description, bytes].concat()
}

pub(crate) fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The parameters in the order of their names: `c.w` (the weight), then `n.b`, `n.m`, `n.s`, `n.v` of the
/// batch norm.
pub(crate) fn parameters(weight: &[u8]) -> Vec<u8> {
    let vector = |values: [f32; 2]| tensor(&[2], F32, &floats(&values));
    [weight.to_vec(), vector(BIAS), vector([0.0; 2]), vector([1.0; 2]), vector([1.0; 2])].concat()
}

pub(crate) fn weight() -> Vec<u8> {
    tensor(&[2, 3, 1, 1], F32, &floats(&WEIGHT))
}

pub(crate) fn slot(name: &str, variable: &str) -> Message {
    Message::default().text(1, name).text(2, variable)
}

pub(crate) fn variable(name: &str, kind: i64, persistable: bool) -> Message {
    let kind = Message::default().integer(1, kind);
    Message::default().text(1, name).message(2, &kind).integer(3, i64::from(persistable))
}

/// A convolution and a batch norm; slots are not in the order of the operands, and `x` is overwritten.
pub(crate) fn program() -> Vec<u8> {
    let attribute = |name: &str, kind: i64| Message::default().text(1, name).integer(2, kind);
    let convolution = Message::default()
        .message(1, &slot("Filter", "c.w"))
        .message(1, &slot("Input", "x"))
        .message(2, &slot("Output", "x"))
        .text(3, "conv2d")
        .message(4, &attribute("strides", 3).integer(6, 2).integer(6, 2))
        .message(4, &attribute("paddings", 3).integer(6, 0).integer(6, 0))
        .message(4, &attribute("groups", 0).integer(3, 1))
        .message(4, &attribute("padding_algorithm", 2).text(5, "EXPLICIT"));
    let norm = ["Bias:n.b", "Mean:n.m", "Scale:n.s", "Variance:n.v", "X:x"];
    let norm = norm.iter().fold(Message::default(), |operation, input| {
        let (name, variable) = input.split_once(':').expect("a slot");
        operation.message(1, &slot(name, variable))
    });
    let norm = norm
        .message(2, &slot("MeanOut", "n.m"))
        .message(2, &slot("Y", "y"))
        .text(3, "batch_norm")
        .message(4, &attribute("epsilon", 1).float(4, 0.0));
    let feed = Message::default().message(2, &slot("Out", "x")).text(3, "feed");
    let block = [("feed", 9, true), ("x", 7, false), ("n.v", 7, true), ("n.s", 7, true), ("n.m", 7, true)];
    let block =
        block.iter().fold(Message::default().integer(1, 0).integer(2, -1), |block, &(name, kind, kept)| {
            block.message(3, &variable(name, kind, kept))
        });
    let block = block.message(3, &variable("n.b", 7, true)).message(3, &variable("c.w", 7, true));
    let block = block.message(4, &feed).message(4, &convolution).message(4, &norm);
    Message::default().message(1, &block).into_bytes()
}

/// The same network as JSON.
pub(crate) fn json() -> String {
    let parameter =
        |value: usize, name: &str| format!(r##"{{"#":"p","A":[0,1,1,"{name}"],"O":{{"%":{value}}}}}"##);
    let integers = |name: &str, value: i64| {
        format!(
            r##"{{"N":"{name}","AT":{{"#":"0.a_array","D":[{{"#":"0.a_i32","D":{value}}},{{"#":"0.a_i32","D":{value}}}]}}}}"##
        )
    };
    let parameters = [(1, "n.v"), (2, "c.w"), (3, "n.s"), (4, "n.m"), (5, "n.b")];
    let mut operations: Vec<String> =
        parameters.iter().map(|&(value, name)| parameter(value, name)).collect();
    operations.push(r##"{"#":"1.data","I":[],"O":[{"%":6}]}"##.to_owned());
    operations.push(format!(
        r##"{{"#":"1.conv2d","A":[{},{},{{"N":"groups","AT":{{"#":"0.a_i32","D":1}}}}],"I":[{{"%":6}},{{"%":2}}],"O":[{{"%":7}}]}}"##,
        integers("strides", 2),
        integers("paddings", 0),
    ));
    operations.push(
        r##"{"#":"1.batch_norm_","A":[{"N":"epsilon","AT":{"#":"0.a_f32","D":0.0}}],"I":[{"%":7},{"%":4},{"%":1},{"%":3},{"%":5}],"O":[{"%":8}]}"##
            .to_owned(),
    );
    format!(
        r##"{{"base_code":{{"magic":"pir","version":1}},"program":{{"regions":[{{"#":"region_0","blocks":[{{"#":"block_0","args":[],"ops":[{}]}}]}}]}}}}"##,
        operations.join(",")
    )
}

/// The program as a protocol buffer and as JSON, with weights of every element type.
pub(crate) fn forms() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let f16: Vec<u8> = WEIGHT.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()).collect();
    let bf16: Vec<u8> = WEIGHT.iter().flat_map(|value| half::bf16::from_f32(*value).to_le_bytes()).collect();
    let f64: Vec<u8> = WEIGHT.iter().flat_map(|value| f64::from(*value).to_le_bytes()).collect();
    let shape = [2, 3, 1, 1];
    let weights = [
        ("f32", weight()),
        ("f16", tensor(&shape, 4, &f16)),
        ("bf16", tensor(&shape, 22, &bf16)),
        ("f64", tensor(&shape, 6, &f64)),
    ];
    let mut forms = Vec::new();
    for (element, weight) in &weights {
        for (form, program) in [("protocol buffer", program()), ("JSON", json().into_bytes())] {
            forms.push((format!("{element}, {form}"), program, parameters(weight)));
        }
    }
    forms
}
