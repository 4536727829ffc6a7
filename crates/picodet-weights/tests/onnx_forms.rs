//! The forms in which ONNX files hold the weights of one convolution.

#[path = "forms/onnx.rs"]
mod forms;

use forms::{BIAS, WEIGHT, bias, conv, dims, model, node, raw, tensor, weight};
use picodet_format::protobuf::Message;
use picodet_testing::Cases;
use picodet_weights::{ForeignConvolution, ReadError, onnx};

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
    let mut cases = Cases::new();
    for (name, file) in forms::forms() {
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
    // No values, but extents whose product before the extent of 0 overflows.
    let order = [1, 2, 0, 3].iter().fold(Message::default().text(1, "perm"), |a, &axis| a.integer(8, axis));
    let axis = Message::default().text(1, "axis").integer(8, 3);
    let huge = model(
        &[
            node("", "Transpose", &["q0"], "q").message(5, &order),
            node("", "DequantizeLinear", &["q", "scale"], "w").message(5, &axis),
            conv(),
        ],
        &[tensor("q0", &[0, 1 << 40, 1 << 40, 2], 3, &[]), tensor("scale", &[2], 1, &raw(&[0.5; 2])), bias()],
        &["x"],
    );
    let inner = Message::default().text(1, "then_branch").message(6, &Message::default().message(1, &conv()));
    let branches =
        model(&[node("", "If", &["condition"], "y").message(5, &inner)], &[weight(), bias()], &["x"]);
    let function = Message::default().text(1, "Block").message(7, &conv());
    let functions = [
        model(&[node("local", "Block", &["x"], "y")], &[weight(), bias()], &["x"]),
        Message::default().message(25, &function).into_bytes(),
    ]
    .concat();
    let mut cases = Cases::new();
    for (file, reason) in [
        (branches, "its convolutions are in an inner graph of the operator `If`"),
        (functions, "its convolutions are in functions"),
        (huge, "only square"),
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

#[test]
fn poolings_have_their_windows() {
    let list = |name: &str, values: &[i64]| {
        values.iter().fold(Message::default().text(1, name), |attribute, &value| attribute.integer(8, value))
    };
    let pool = node("", "MaxPool", &["x"], "p")
        .message(5, &list("kernel_shape", &[3, 3]))
        .message(5, &list("strides", &[2, 2]))
        .message(5, &list("pads", &[1, 1, 1, 1]));
    let network = onnx::read(&model(&[pool, node("", "GlobalAveragePool", &["p"], "g")], &[], &["x"]));
    let nodes = network.expect("a sound model").nodes;
    let found = nodes[0].pooling.expect("a pooling");
    assert!(!found.is_average && !found.is_global, "{found:?}");
    assert_eq!((found.kernel, found.strides, found.pads), ([3; 2], [2; 2], [1; 4]));
    assert!(nodes[1].pooling.is_some_and(|found| found.is_average && found.is_global));
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
