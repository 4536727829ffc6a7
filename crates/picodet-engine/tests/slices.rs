//! A candidate with the weights that it takes from its supernet computes what the supernet computes when every weight that reads
//! a removed channel is zero.

use picodet_engine::ReferenceEngine;
use picodet_graph::pass::slice_map;
use picodet_graph::{Graph, Op, Role, Tensor4, Weights};
use picodet_testing::{Cases, Noise, emulated};
use picodet_zoo::{Architecture, ArchitectureOverrides, Backbone};

mod random;

use random::{image, random_weights};

/// The values of a channel ratio in the paper's space.
const RATIOS: [f32; 5] = [0.5, 0.625, 0.75, 0.875, 1.0];
const CLASSES: usize = 3;
const SIZE: (usize, usize) = (64, 32);

/// The architecture with the largest value of each gene, and one with random values. Towers keep their depth, which no
/// zero weights can imitate.
fn supernet_and_candidate(name: &str, noise: &mut Noise) -> [Architecture; 2] {
    let mut large = picodet_zoo::variant(name).expect("published").architecture;
    let mut small = large;
    match (&mut large.backbone, &mut small.backbone) {
        (Backbone::EsNet(large), Backbone::EsNet(small)) => {
            large.ratios = [1.0; 13];
            small.ratios = std::array::from_fn(|_| RATIOS[noise.below(RATIOS.len())]);
        }
        (_, Backbone::LcNet(lcnet)) => {
            lcnet.scale *= [0.5, 0.75, 1.0][noise.below(3)];
            lcnet.scales = lcnet.scales.map(|scale| scale * [0.5, 0.75, 1.0][noise.below(3)]);
        }
        _ => {}
    }
    let kernel = |noise: &mut Noise| Some([3, 5][noise.below(2)]);
    let overrides = ArchitectureOverrides {
        neck_channels: Some([48, 64, 80, 96][noise.below(4)]),
        neck_kernel: kernel(noise),
        tower_kernel: kernel(noise),
        ..ArchitectureOverrides::default()
    };
    [large, overrides.apply(&small).expect("values of the space")]
}

/// The supernet's weights, with zeros where a convolution or linear layer reads what `kept` does not have.
fn masked(supernet: &Graph, weights: &Weights, kept: &Weights) -> Weights {
    let mut masked = weights.clone();
    for node in &supernet.nodes {
        let mixes = matches!(node.op, Op::Convolution(_) | Op::Linear { .. });
        for param in supernet.params_of(node).filter(|param| mixes && param.role == Role::Weight) {
            masked.insert(param.name.clone(), kept[&param.name].clone());
        }
    }
    masked
}

fn run(graph: &Graph, weights: &Weights, image: &Tensor4<f64>) -> Vec<(String, Tensor4<f64>)> {
    let network = ReferenceEngine::<f64>::new().prepare(graph, weights, SIZE).expect("a network");
    network.run_exact(image).expect("its outputs")
}

#[test]
fn candidates_compute_what_the_masked_supernet_does() {
    let mut cases = Cases::new();
    let mut noise = Noise::new(29);
    let picture = image(&mut noise, [1, 3, SIZE.0, SIZE.1]).map(|&value| f64::from(value));
    let count = if emulated() { 1 } else { 20 };
    for name in ["legacy_s_320", "legacy_m_416", "legacy_l_640", "v2_s_320", "npu_s_416"] {
        for number in 0..count {
            let [supernet, candidate] = supernet_and_candidate(name, &mut noise).map(|a| a.graph(CLASSES));
            let name = format!("{name} {number}");
            let weights = random_weights(&supernet, 31 + number);
            let Some(map) = cases.succeed(&name, slice_map(&supernet, &candidate)) else { continue };
            let own = map.gather(&weights).expect("the supernet's weights");
            let mut kept = weights.clone();
            kept.values_mut().for_each(|tensor| tensor.data.fill(0.0));
            map.scatter_add(&mut kept, &own).expect("the supernet's parameters");
            let expected = run(&supernet, &masked(&supernet, &weights, &kept), &picture);
            let found = run(&candidate, &own, &picture);
            let predictions = |(output, _): &&(String, Tensor4<f64>)| {
                ["cls_logit.", "reg.", "score."].iter().any(|kind| output.starts_with(kind))
            };
            let mut compared = 0;
            for ((output, found), (_, expected)) in
                found.iter().filter(predictions).zip(expected.iter().filter(predictions))
            {
                let largest = expected.data.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
                let differs = found.shape != expected.shape
                    || found.data.iter().zip(&expected.data).any(|(a, b)| {
                        let difference = (a - b).abs();
                        difference.is_nan() || difference > 1e-12 * largest
                    });
                cases.check(format!("{name}: {output}"), !differs);
                compared += 1;
            }
            cases.check(format!("{name}: outputs"), compared >= 8);
        }
    }
    cases.finish();
}
