//! ONNX files that hold the weights of one convolution in every form.

use picodet_format::protobuf::Message;

pub(crate) const WEIGHT: [f32; 6] = [0.5, -1.0, 2.0, 0.25, 1.5, -0.75];
pub(crate) const BIAS: [f32; 2] = [1.0, -3.0];

pub(crate) fn dims(shape: &[i64]) -> Message {
    shape.iter().fold(Message::default(), |message, &extent| message.integer(1, extent))
}

pub(crate) fn raw(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A tensor of raw bytes.
pub(crate) fn tensor(name: &str, shape: &[i64], dtype: i64, bytes: &[u8]) -> Message {
    dims(shape).integer(2, dtype).text(8, name).bytes(9, bytes)
}

pub(crate) fn weight() -> Message {
    tensor("w", &[2, 3, 1, 1], 1, &raw(&WEIGHT))
}

pub(crate) fn bias() -> Message {
    tensor("b", &[2], 1, &raw(&BIAS))
}

pub(crate) fn node(domain: &str, operator: &str, inputs: &[&str], output: &str) -> Message {
    let node = inputs.iter().fold(Message::default(), |node, input| node.text(1, input));
    node.text(2, output).text(3, output).text(4, operator).text(7, domain)
}

pub(crate) fn conv() -> Message {
    node("", "Conv", &["x", "w", "b"], "y")
}

/// The attribute of an operator that holds a tensor.
pub(crate) fn value(name: &str, tensor: &Message) -> Message {
    Message::default().text(1, name).message(5, tensor)
}

pub(crate) fn model(nodes: &[Message], initializers: &[Message], inputs: &[&str]) -> Vec<u8> {
    let graph = nodes.iter().fold(Message::default(), |graph, node| graph.message(1, node));
    let graph = initializers.iter().fold(graph, |graph, tensor| graph.message(5, tensor));
    let graph = inputs.iter().fold(graph, |graph, name| graph.message(11, &Message::default().text(1, name)));
    Message::default().integer(1, 8).message(7, &graph).into_bytes()
}

/// The same convolution in every form that has a name.
pub(crate) fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let bits = |value: &f32| i64::from(half::f16::from_f32(*value).to_bits());
    let f16: Vec<u8> = WEIGHT.iter().flat_map(|value| (bits(value) as u16).to_le_bytes()).collect();
    let bf16: Vec<u8> = WEIGHT.iter().flat_map(|value| half::bf16::from_f32(*value).to_le_bytes()).collect();
    let f64: Vec<u8> = WEIGHT.iter().flat_map(|value| f64::from(*value).to_le_bytes()).collect();
    let listed = WEIGHT.iter().fold(dims(&[2, 3, 1, 1]).integer(2, 1), |t, value| t.float(4, *value));
    let int32 = WEIGHT.iter().fold(dims(&[2, 3, 1, 1]).integer(2, 10), |t, value| t.integer(5, bits(value)));
    let doubles =
        WEIGHT.iter().fold(dims(&[2, 3, 1, 1]).integer(2, 11), |t, value| t.double(10, f64::from(*value)));
    let shape: Vec<u8> = [2i64, 3, -1, 1].iter().flat_map(|extent| extent.to_le_bytes()).collect();
    let quantised = [2i8, -4, 8, 1, 6, -3].map(|value| value as u8);
    let norm = |name: &str, values: [f32; 2]| tensor(name, &[2], 1, &raw(&values));
    let permutation =
        [0, 3, 1, 2].iter().fold(Message::default().text(1, "perm"), |a, &axis| a.integer(8, axis));
    let one = |weight: Message| model(&[conv()], &[weight.text(8, "w"), bias()], &["x"]);
    vec![
        ("raw f32", one(weight())),
        ("listed f32", one(listed)),
        ("raw f16", one(tensor("w", &[2, 3, 1, 1], 10, &f16))),
        ("f16 in a list of integers", one(int32)),
        ("raw bf16", one(tensor("w", &[2, 3, 1, 1], 16, &bf16))),
        ("raw f64", one(tensor("w", &[2, 3, 1, 1], 11, &f64))),
        ("listed f64", one(doubles)),
        ("initialisers that are graph inputs", model(&[conv()], &[weight(), bias()], &["x", "w", "b"])),
        (
            "Constant nodes",
            model(
                &[
                    node("", "Constant", &[], "w").message(5, &value("value", &weight())),
                    node("", "Constant", &[], "b").message(
                        5,
                        &BIAS.iter().fold(Message::default().text(1, "value_floats"), |attribute, value| {
                            attribute.float(7, *value)
                        }),
                    ),
                    conv(),
                ],
                &[],
                &["x"],
            ),
        ),
        (
            "Cast, Identity and Reshape of constants",
            model(
                &[
                    node("", "Cast", &["w0"], "w1"),
                    node("", "Identity", &["w1"], "w2"),
                    node("", "Reshape", &["w2", "shape"], "w"),
                    conv(),
                ],
                &[tensor("w0", &[6], 10, &f16), tensor("shape", &[4], 7, &shape), bias()],
                &["x"],
            ),
        ),
        (
            "a transposed constant",
            model(
                &[node("", "Transpose", &["w0"], "w").message(5, &permutation), conv()],
                &[tensor("w0", &[2, 1, 1, 3], 1, &raw(&WEIGHT)), bias()],
                &["x"],
            ),
        ),
        (
            "a quantised constant",
            model(
                &[node("", "DequantizeLinear", &["q", "scale"], "w"), conv()],
                &[tensor("q", &[2, 3, 1, 1], 3, &quantised), tensor("scale", &[], 1, &raw(&[0.25])), bias()],
                &["x"],
            ),
        ),
        (
            "a bias that is added",
            model(
                &[node("", "Conv", &["x", "w"], "y"), node("", "Add", &["y", "b"], "z")],
                &[weight(), tensor("b", &[1, 2, 1, 1], 1, &raw(&BIAS))],
                &["x"],
            ),
        ),
        (
            "a batch norm of the bias",
            model(
                &[
                    node("", "Conv", &["x", "w"], "y"),
                    node("", "BatchNormalization", &["y", "g", "b", "m", "v"], "z")
                        .message(5, &Message::default().text(1, "epsilon").float(2, 0.0)),
                ],
                &[weight(), bias(), norm("g", [1.0; 2]), norm("m", [0.0; 2]), norm("v", [1.0; 2])],
                &["x"],
            ),
        ),
        (
            "a fused activation of ONNX Runtime",
            model(
                &[node("com.microsoft", "FusedConv", &["x", "w", "b"], "y")
                    .message(5, &Message::default().text(1, "activation").text(4, "Relu"))],
                &[weight(), bias()],
                &["x"],
            ),
        ),
    ]
}
