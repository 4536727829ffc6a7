//! The files that people have: read in place from the shared folder next to the project.

use picodet_graph::{Graph, Weights};
use picodet_testing::shared;
use picodet_weights::{ForeignNetwork, Imported, import, ncnn, onnx, pdparams, read_tensors};

fn graph(variant: &str) -> Graph {
    let variant = picodet_zoo::variant(variant).expect("a variant of the zoo");
    variant.architecture.graph(variant.classes.len())
}

#[test]
fn pdparams_equal_the_same_weights_in_safetensors() {
    let (Some(pickle), Some(reference)) = (
        shared("golden/forward/legacy_s_320.pdparams"),
        shared("golden/forward/legacy_s_320.weights.safetensors"),
    ) else {
        return;
    };
    let found = pdparams::read(&pickle).expect("a sound file");
    let (expected, _) = read_tensors(&reference).expect("a sound file");
    let different: Vec<&String> =
        expected.keys().filter(|name| found.get(*name) != expected.get(*name)).collect();
    assert!(different.is_empty(), "{different:?}");
    assert_eq!(found.len(), expected.len());
}

fn imported(variant: &str, network: &ForeignNetwork) -> Weights {
    let Imported { graph, weights, .. } =
        import(&graph(variant), network).unwrap_or_else(|error| panic!("{variant}: {error}"));
    graph.check_weights(&weights).unwrap_or_else(|error| panic!("{variant}: {error}"));
    weights
}

#[test]
fn every_convolution_of_the_ncnn_files_finds_its_place() {
    let Some(param) = shared("data/weights/picodet_s_416_esnet_legacy.ncnn.param") else {
        return;
    };
    for size in [416, 320] {
        let Some(bin) = shared(&format!("data/weights/picodet_s_{size}_esnet_legacy.ncnn.bin")) else {
            return;
        };
        let network = ncnn::read(&param, &bin).expect("a sound file");
        let weights = imported(&format!("legacy_s_{size}"), &network);
        // The order of the file is the order of the reference's constructor; a shuffled file must give the
        // same.
        let mut shuffled = network.clone();
        shuffled.nodes.iter_mut().for_each(|node| node.name = "anonymous".to_owned());
        assert_eq!(imported(&format!("legacy_s_{size}"), &shuffled), weights);
    }
}

#[test]
fn every_convolution_of_the_onnx_file_finds_its_place() {
    let Some(bytes) = shared("data/weights/picodet_xs_320_lcnet_postprocessed.onnx") else {
        return;
    };
    let network = onnx::read(&bytes).expect("a sound file");
    imported("v2_xs_320", &network);
}

#[test]
fn another_network_is_refused_by_name() {
    let Some(bytes) = shared("data/weights/picodet_xs_320_lcnet_postprocessed.onnx") else {
        return;
    };
    let network = onnx::read(&bytes).expect("a sound file");
    let error = import(&graph("v2_s_320"), &network).expect_err("S is not XS").to_string();
    assert!(error.contains("backbone."), "{error}");
}

#[test]
fn truncated_real_files_are_refused() {
    let Some(pickle) = shared("golden/forward/legacy_s_320.pdparams") else {
        return;
    };
    let accepted: Vec<usize> = (0..40)
        .map(|cut| pickle.len() * cut / 40)
        .filter(|&cut| pdparams::read(&pickle[..cut]).is_ok())
        .collect();
    assert!(accepted.is_empty(), "cut at {accepted:?}");
}
