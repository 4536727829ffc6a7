//! Candidates of a supernet on one tape: their gradients are those of the masked supernet, and the tape's memory and history do
//! not change them.

use picodet_gradient::Tape;
use picodet_graph::pass::slice_map;
use picodet_graph::{Activation, Graph, Initialiser, Op, Param, Role, Tensor, Tensor4, Weights};
use picodet_testing::{Cases, Noise, emulated};
use picodet_zoo::{Backbone, Neck, variant};

const SHAPE: [usize; 4] = [4, 3, 128, 96];
const CLASSES: usize = 3;

/// The paper's S with these channel ratios and neck width. Its activations are smooth: at a kink, gradients would depend on a
/// rounding.
fn network(ratios: [f32; 13], width: usize) -> Graph {
    let mut architecture = variant("legacy_s_320").expect("published").architecture;
    let Backbone::EsNet(backbone) = &mut architecture.backbone else { panic!("another backbone") };
    backbone.ratios = ratios;
    let Neck::CspPan { channels, .. } = &mut architecture.neck else { panic!("another neck") };
    *channels = width;
    let mut graph = architecture.graph(CLASSES);
    for node in &mut graph.nodes {
        if let Op::Activation(activation) = &mut node.op {
            *activation = Activation::Sigmoid;
        }
    }
    graph
}

fn weights(graph: &Graph) -> Weights {
    let mut noise = Noise::new(11);
    let tensor = |param: &Param| {
        let mut value = || match param.initialiser {
            Initialiser::Constant(value) => value + 0.2 * noise.normal(),
            Initialiser::Normal { std } => std.max(0.05) * noise.normal(),
            Initialiser::Uniform { limit } => noise.uniform(-limit, limit),
        };
        let data = (0..param.len()).map(|_| value()).collect();
        (param.name.clone(), Tensor { shape: param.shape.clone(), data })
    };
    graph.params.iter().map(tensor).collect()
}

/// The predictions of a network and the gradients of its parameters for one fixed gradient of the predictions.
fn pass(tape: &mut Tape, graph: &Graph, weights: &Weights) -> (Vec<Tensor4>, Weights) {
    let mut noise = Noise::new(3);
    let image: Vec<f32> = (0..SHAPE.iter().product()).map(|_| noise.normal()).collect();
    tape.forward(weights, SHAPE, &image).expect("runs");
    let names = graph.outputs.iter().map(|output| output.name.as_str());
    let names: Vec<&str> =
        names.filter(|name| name.starts_with("cls_logit.") || name.starts_with("reg.")).collect();
    let outputs: Vec<Tensor4> =
        names.iter().map(|name| tape.output(name).expect("an output").to_tensor()).collect();
    let gradient = |(name, output): (&&str, &Tensor4)| ((*name).to_owned(), output.map(|_| noise.normal()));
    let gradients: Vec<(String, Tensor4)> = names.iter().zip(&outputs).map(gradient).collect();
    (outputs, tape.backward(&gradients).expect("differentiates"))
}

/// The norm of the difference relative to the larger of the norm and `floor`.
fn difference(found: &[f32], expected: &[f32], floor: f64) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let size = norm(&mut expected.iter().map(|&value| f64::from(value))).max(floor);
    norm(&mut found.iter().zip(expected).map(|(&a, &b)| f64::from(a) - f64::from(b))) / size
}

#[test]
fn gradients_of_a_candidate_are_those_of_the_masked_supernet() {
    let mut cases = Cases::new();
    let mut noise = Noise::new(41);
    let supernet = network([1.0; 13], 96);
    let all = weights(&supernet);
    let mut tape = Tape::new(&supernet, 2).expect("a tape");
    for number in 0..if emulated() { 1 } else { 6 } {
        let ratios = std::array::from_fn(|_| [0.5, 0.625, 0.75, 0.875, 1.0][noise.below(5)]);
        let candidate = network(ratios, [48, 64, 80, 96][noise.below(4)]);
        let map = slice_map(&supernet, &candidate).expect("a slice");
        let own = map.gather(&all).expect("all weights");
        let mut masked = all.clone();
        for node in
            supernet.nodes.iter().filter(|node| matches!(node.op, Op::Convolution(op) if op.groups == 1))
        {
            for param in supernet.params_of(node).filter(|param| param.role == Role::Weight) {
                masked.get_mut(&param.name).expect("a weight").data.fill(0.0);
                let slice = map.params.iter().find(|slice| slice.source() == param.name).expect("its slice");
                slice.scatter_add(
                    &own[&param.name].data,
                    &mut masked.get_mut(&param.name).expect("a weight").data,
                );
            }
        }
        tape.set_graph(&supernet).expect("the supernet");
        let (expected_outputs, expected) = pass(&mut tape, &supernet, &masked);
        tape.set_graph(&candidate).expect("the candidate");
        let (outputs, gradients) = pass(&mut tape, &candidate, &own);
        for (index, (found, expected)) in outputs.iter().zip(&expected_outputs).enumerate() {
            let off = difference(&found.data, &expected.data, 1e-3);
            cases.check(format!("candidate {number}: prediction {index} differs by {off:.1e}"), off <= 1e-4);
        }
        // Gradients of the supernet at the places that the candidate keeps.
        let expected = map.gather(&with_states(&supernet, expected)).expect("all gradients");
        let whole = gradients
            .values()
            .flat_map(|tensor| &tensor.data)
            .map(|&value| f64::from(value).powi(2))
            .sum::<f64>()
            .sqrt();
        for (name, found) in &gradients {
            let off = difference(&found.data, &expected[name].data, 1e-4 * whole);
            cases.check(format!("candidate {number}: gradient of {name} differs by {off:.1e}"), off <= 1e-3);
        }
    }
    cases.finish();
}

/// Adds zeros for the parameters without gradient.
fn with_states(graph: &Graph, mut gradients: Weights) -> Weights {
    for param in &graph.params {
        gradients.entry(param.name.clone()).or_insert_with(|| Tensor::full(&param.shape, 0.0));
    }
    gradients
}

#[test]
fn a_tape_that_ran_other_graphs_gives_the_bits_of_a_new_one() {
    let graphs = [network([1.0; 13], 96), network([0.5; 13], 48), network([0.75; 13], 64)];
    let fresh = |graph: &Graph| pass(&mut Tape::new(graph, 2).expect("a tape"), graph, &weights(graph));
    let mut tape = Tape::new(&graphs[0], 2).expect("a tape");
    for index in [0, 1, 0, 2, 1] {
        tape.set_graph(&graphs[index]).expect("a graph");
        assert!(
            pass(&mut tape, &graphs[index], &weights(&graphs[index])) == fresh(&graphs[index]),
            "graph {index}"
        );
    }
    let broken = Graph { outputs: Vec::new(), params: Vec::new(), ..graphs[1].clone() };
    assert!(tape.set_graph(&broken).is_err());
    assert!(pass(&mut tape, &graphs[1], &weights(&graphs[1])) == fresh(&graphs[1]), "after an error");
}
