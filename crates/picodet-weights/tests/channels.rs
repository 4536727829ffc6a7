//! The channels that convolutions of files read are followed in every form in which converters write them.

use picodet_format::protobuf::Message;
use picodet_graph::{Graph, Op};
use picodet_testing::{Cases, shared};
use picodet_weights::{
    ChannelCoverage, ForeignFlow, ForeignNetwork, Imported, compare_channels, import, ncnn, onnx,
};

fn compare(variant: &str, network: &ForeignNetwork) -> Result<(ChannelCoverage, usize), String> {
    let variant = picodet_zoo::variant(variant).expect("a variant of the zoo");
    let graph = variant.architecture.graph(variant.classes.len());
    let Imported { graph, matches, .. } = import(&graph, network).map_err(|error| error.to_string())?;
    let coverage = compare_channels(&graph, network, &matches).map_err(|error| error.to_string())?;
    Ok((coverage, convolutions(&graph)))
}

fn convolutions(graph: &Graph) -> usize {
    graph.nodes.iter().filter(|node| matches!(node.op, Op::Convolution(_))).count()
}

/// Whether the channels of every convolution were compared in every respect.
fn is_complete(found: &Result<(ChannelCoverage, usize), String>) -> bool {
    found.as_ref().is_ok_and(|(coverage, count)| coverage.exact == *count && coverage.compared == *count)
}

fn ncnn_network(param: &str) -> Option<ForeignNetwork> {
    let bin = shared("data/weights/picodet_s_416_esnet_legacy.ncnn.bin")?;
    Some(ncnn::read(param.as_bytes(), &bin).expect("a sound file"))
}

fn ncnn_text() -> Option<String> {
    let param = shared("data/weights/picodet_s_416_esnet_legacy.ncnn.param")?;
    Some(String::from_utf8(param).expect("text"))
}

#[test]
fn the_files_of_other_converters_are_followed_completely() {
    let mut cases = Cases::new();
    let Some(network) = ncnn_text().and_then(|text| ncnn_network(&text)) else { return };
    let found = compare("legacy_s_416", &network);
    cases.check(format!("ncnn: {found:?}"), is_complete(&found));
    let Some(bytes) = shared("data/weights/picodet_xs_320_lcnet_postprocessed.onnx") else { return };
    let found = compare("v2_xs_320", &onnx::read(&bytes).expect("a sound file"));
    cases.check(format!("ONNX: {found:?}"), is_complete(&found));
    cases.finish();
}

#[test]
fn changed_layers_of_ncnn_are_refused() {
    let Some(text) = ncnn_text() else { return };
    let changes = [
        (
            "batch_norm_2.tmp_4 batch_norm_5.tmp_4",
            "batch_norm_5.tmp_4 batch_norm_2.tmp_4",
            "in another order",
        ),
        ("-23300=2,48,-233", "-23300=2,47,-233", "reads 49 channels where the network has 48"),
        ("split_0.tmp_0 split_0.tmp_1 -23300", "split_0.tmp_1 split_0.tmp_0 -23300", "other channels"),
        ("reshape2_1.tmp_0 0=2 1=0", "reshape2_1.tmp_0 0=4 1=0", "other channels"),
        ("0=1 1=2.000000e+00 2=2.000000e+00", "0=1 1=4.000000e+00 2=4.000000e+00", "by another factor"),
        ("0=1 1=2.000000e+00 2=2.000000e+00", "0=2 1=2.000000e+00 2=2.000000e+00", "another interpolation"),
        ("elementwise_mul_0 0=2", "elementwise_mul_0 0=0", "a sum where the network has a product"),
    ];
    let mut cases = Cases::new();
    for (from, to, expected) in changes {
        assert!(text.contains(from), "{from}");
        let Some(network) = ncnn_network(&text.replacen(from, to, 1)) else { return };
        let found = compare("legacy_s_416", &network);
        let is_named = found
            .as_ref()
            .is_err_and(|error| error.contains(expected) && error.starts_with("the convolution `"));
        cases.check(format!("{to}: {found:?}"), is_named);
    }
    cases.finish();
}

/// The same operations in the words of other converters and versions.
#[test]
fn other_words_of_ncnn_for_the_same_layers_are_accepted() {
    let Some(text) = ncnn_text() else { return };
    let changes = [
        ("-23300=2,48,-233 1=0", "-23300=2,-233,-233"),
        ("-23300=2,48,-233 1=0", "-23302=1,48 1=-3"),
        ("0=2 1=0", "0=2"),
        ("elementwise_mul_0 0=2", "elementwise_mul_0 0=2 1=0"),
        ("BinaryOp         Mul_3 ", "Eltwise Mul_3 "),
        ("0=1 1=2.000000e+00 2=2.000000e+00 3=0 4=0 6=0", "0=1 1=2.0 2=2.0"),
    ];
    let mut cases = Cases::new();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        let text = text.replace(from, to).replace(
            "elementwise_mul_0 0=2",
            match to {
                "Eltwise Mul_3 " => "elementwise_mul_0 0=0",
                _ => "elementwise_mul_0 0=2",
            },
        );
        let Some(network) = ncnn_network(&text) else { return };
        let found = compare("legacy_s_416", &network);
        cases.check(format!("{to}: {found:?}"), is_complete(&found));
    }
    cases.finish();
}

/// A shuffle whose shapes follow from those of its input at run time, as exports for any size have it.
#[test]
fn computed_shapes_are_followed() {
    let mut network = Message::default();
    let tensor = |name: &str, values: &[i64]| {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let shape = if values.len() == 1 {
            Message::default()
        } else {
            Message::default().integer(1, values.len() as i64)
        };
        shape.integer(2, 7).text(8, name).bytes(9, &raw)
    };
    let node = |operator: &str, inputs: &[&str], output: &str| {
        let node = inputs.iter().fold(Message::default(), |node, input| node.text(1, input));
        node.text(2, output).text(4, operator)
    };
    let concat = |inputs: &[&str], output: &str| {
        node("Concat", inputs, output).message(5, &Message::default().text(1, "axis").integer(3, 0))
    };
    let order = [0, 2, 1, 3, 4]
        .iter()
        .fold(Message::default().text(1, "perm"), |order, &axis| order.integer(8, axis));
    let nodes = [
        node("Shape", &["x"], "extents"),
        node("Gather", &["extents", "zero"], "batch"),
        node("Unsqueeze", &["batch", "zero"], "n"),
        node("Slice", &["extents", "second", "fourth", "zero"], "size"),
        concat(&["n", "split", "size"], "five"),
        node("Reshape", &["x", "five"], "halves"),
        node("Transpose", &["halves"], "pairs").message(5, &order),
        concat(&["n", "rest", "size"], "four"),
        node("Reshape", &["pairs", "four"], "y"),
    ];
    for node in &nodes {
        network = network.message(1, node);
    }
    let constants =
        [("zero", &[0][..]), ("second", &[2]), ("fourth", &[4]), ("split", &[2, -1]), ("rest", &[-1])];
    for (name, values) in constants {
        network = network.message(5, &tensor(name, values));
    }
    let network = network.message(11, &Message::default().text(1, "x"));
    let file = Message::default().integer(1, 8).message(7, &network).into_bytes();
    let flows: Vec<ForeignFlow> =
        onnx::read(&file).expect("a sound model").nodes.into_iter().map(|node| node.flow).collect();
    assert_eq!(flows[5], ForeignFlow::Reshape(vec![None, Some(2), None, None, None]));
    assert_eq!(flows[6], ForeignFlow::Transpose(vec![0, 2, 1, 3, 4]));
    assert_eq!(flows[8], ForeignFlow::Reshape(vec![None; 4]));
}

/// pnnx writes expressions of the extents of the input.
#[test]
fn expressions_of_ncnn_are_read() {
    let param = "7767517\n2 2\nInput in0 0 1 in0\nReshape r 1 1 in0 out0 12=0 13=0 6=\"1,1,//(72,0n),0n\"\n";
    let network = ncnn::read(param.as_bytes(), &[]).expect("a sound file");
    assert_eq!(network.nodes[0].flow, ForeignFlow::Image);
    assert_eq!(network.nodes[1].flow, ForeignFlow::Reshape(vec![Some(0), None, Some(1), Some(1)]));
}
