//! The channels that convolutions of files read are followed in every form in which converters write them.

use picodet_graph::{Graph, Op};
use picodet_testing::{Cases, shared};
use picodet_weights::{ChannelCoverage, ForeignNetwork, Imported, compare_channels, import, ncnn, onnx};

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
