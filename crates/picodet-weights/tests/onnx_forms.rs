//! The forms in which ONNX files hold the weights of one convolution.

use picodet_format::protobuf::Message;
use picodet_testing::Cases;
use picodet_weights::{ForeignConvolution, ReadError, onnx};

const WEIGHT: [f32; 6] = [0.5, -1.0, 2.0, 0.25, 1.5, -0.75];
const BIAS: [f32; 2] = [1.0, -3.0];

fn dims(shape: &[i64]) -> Message {
    shape.iter().fold(Message::default(), |message, &extent| message.integer(1, extent))
}

fn raw(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A tensor of raw bytes.
fn tensor(name: &str, shape: &[i64], dtype: i64, bytes: &[u8]) -> Message {
    dims(shape).integer(2, dtype).text(8, name).bytes(9, bytes)
}

fn weight() -> Message {
    tensor("w", &[2, 3, 1, 1], 1, &raw(&WEIGHT))
}

fn bias() -> Message {
    tensor("b", &[2], 1, &raw(&BIAS))
}

fn node(domain: &str, operator: &str, inputs: &[&str], output: &str) -> Message {
    let node = inputs.iter().fold(Message::default(), |node, input| node.text(1, input));
    node.text(2, output).text(3, output).text(4, operator).text(7, domain)
}

fn conv() -> Message {
    node("", "Conv", &["x", "w", "b"], "y")
}

/// The attribute of an operator that holds a tensor.
fn value(name: &str, tensor: &Message) -> Message {
    Message::default().text(1, name).message(5, tensor)
}

fn model(nodes: &[Message], initializers: &[Message], inputs: &[&str]) -> Vec<u8> {
    let graph = nodes.iter().fold(Message::default(), |graph, node| graph.message(1, node));
    let graph = initializers.iter().fold(graph, |graph, tensor| graph.message(5, tensor));
    let graph = inputs.iter().fold(graph, |graph, name| graph.message(11, &Message::default().text(1, name)));
    Message::default().integer(1, 8).message(7, &graph).into_bytes()
}

fn first(network: Result<picodet_weights::ForeignNetwork, ReadError>) -> Result<ForeignConvolution, String> {
    let network = network.map_err(|error| error.to_string())?;
    network.nodes.into_iter().find_map(|node| node.convolution).ok_or_else(|| "no convolution".to_owned())
}

fn is_expected(found: &Result<ForeignConvolution, String>) -> bool {
    let Ok(found) = found else { return false };
    let bias = found.bias.as_ref().map(|bias| bias.data.as_slice());
    found.weight.shape == [2, 3, 1, 1] && found.weight.data == WEIGHT && bias == Some(&BIAS[..])
}

#[test]
fn every_form_has_the_same_weights() {
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
    let forms: Vec<(&str, Vec<u8>)> = vec![
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
    ];
    let mut cases = Cases::new();
    for (name, file) in forms {
        let found = first(onnx::read(&file));
        cases.check(format!("{name}: {found:?}"), is_expected(&found));
    }
    cases.finish();
}

#[test]
fn a_fused_sum_is_an_addition() {
    let nodes = [
        node("", "Conv", &["x", "w", "b"], "y"),
        node("com.microsoft", "FusedConv", &["x", "w", "b", "y"], "z"),
    ];
    let network = onnx::read(&model(&nodes, &[weight(), bias()], &["x"])).expect("a sound model");
    let kinds: Vec<&str> = network.nodes.iter().map(|node| node.kind.as_str()).collect();
    assert_eq!(kinds, ["Conv", "Conv", "Add"]);
    let sites = picodet_weights::sites_of_foreign(&network);
    assert!(sites[1].upstream.is_empty(), "the sum is no input of the convolution: {sites:?}");
}

#[test]
fn refusals_have_a_reason() {
    let only =
        |operator: (&str, &str)| model(&[node(operator.0, operator.1, &["x", "w"], "y")], &[weight()], &[]);
    let shared: Vec<Message> = (0..400).map(|_| conv()).collect();
    let mut cases = Cases::new();
    for (file, reason) in [
        (model(&[conv()], &[bias()], &["x", "w"]), "`w` is an input of the graph without a value"),
        (model(&[conv()], &[bias()], &["x"]), "not a constant"),
        (only(("com.microsoft.nchwc", "Conv")), "ORT_ENABLE_EXTENDED"),
        (only(("com.microsoft", "NhwcFusedConv")), "ORT_ENABLE_EXTENDED"),
        (only(("", "QLinearConv")), "quantised"),
        (only(("", "ConvInteger")), "quantised"),
        (only(("", "nn.Conv2d")), "pnnxsim"),
        (b"\x18\0\0\0ORTM\0\0".to_vec(), ".ort"),
        (model(&[conv()], &[tensor("w", &[2, 3, 1, 1], 1, &[0; 20]), bias()], &[]), "5 values"),
        (model(&shared, &[weight(), bias()], &[]), ""),
    ] {
        let found = first(onnx::read(&file));
        match reason {
            // Many nodes of one small weight are still a small network.
            "" => cases.check("shared weights", is_expected(&found)),
            reason => cases.check(reason, found.is_err_and(|error| error.contains(reason))),
        }
    }
    cases.finish();
}

/// A model whose weight is stored at `location`.
fn external(location: &str, offset: usize, length: Option<usize>) -> Vec<u8> {
    let entry = |key: &str, value: &str| Message::default().text(1, key).text(2, value);
    let weight = dims(&[2, 3, 1, 1]).integer(2, 1).text(8, "w").integer(14, 1);
    let weight =
        weight.message(13, &entry("location", location)).message(13, &entry("offset", &offset.to_string()));
    let weight = match length {
        Some(length) => weight.message(13, &entry("length", &length.to_string())),
        None => weight,
    };
    model(&[conv()], &[weight, bias()], &["x"])
}

#[test]
fn data_of_another_file_is_read_and_hostile_places_are_refused() {
    let outer = tempfile::tempdir().expect("a folder");
    let folder = outer.path().join("model");
    std::fs::create_dir_all(folder.join("parts")).expect("a folder");
    let data = [vec![7; 8], raw(&WEIGHT)].concat();
    std::fs::write(folder.join("w.data"), &data).expect("a file");
    std::fs::write(folder.join("parts/w.data"), &data).expect("a file");
    std::fs::write(outer.path().join("secret"), &data).expect("a file");
    #[cfg(unix)]
    std::os::unix::fs::symlink(outer.path().join("secret"), folder.join("link")).expect("a link");
    let read = |location: &str, offset: usize, length: Option<usize>| {
        first(onnx::read_with_external_data(&external(location, offset, length), &folder))
    };
    let mut cases = Cases::new();
    cases.check("a file next to the model", is_expected(&read("w.data", 8, Some(24))));
    cases.check("without a length", is_expected(&read("w.data", 8, None)));
    cases.check("in a folder below", is_expected(&read("./parts/w.data", 8, Some(24))));
    let secret = outer.path().join("secret");
    for (location, offset, length, reason) in [
        ("../secret", 8, None, "outside"),
        ("parts/../../secret", 8, None, "outside"),
        (secret.to_str().expect("UTF-8"), 8, None, "outside"),
        ("..\\secret", 8, None, "outside"),
        ("C:secret", 8, None, "outside"),
        ("", 0, None, "outside"),
        #[cfg(unix)]
        ("link", 8, None, "outside"),
        ("parts", 0, None, "not a regular file"),
        ("missing.data", 0, None, "next to the model"),
        ("w.data", 16, None, "truncated"),
        ("w.data", usize::MAX, None, "truncated"),
        ("w.data", 8, Some(20), "24 bytes"),
    ] {
        let found = read(location, offset, length);
        cases.check(
            format!("{location} at {offset}: {found:?}"),
            found.is_err_and(|error| error.contains(reason)),
        );
    }
    let embedded_only = first(onnx::read(&external("w.data", 8, None)));
    cases.check("bytes without a folder", embedded_only.is_err_and(|error| error.contains("another file")));
    cases.finish();
}
