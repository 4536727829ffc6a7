//! Weights of networks that are exported.

use picodet_graph::{Graph, Tensor, Weights};

/// Returns random weights of a graph.
pub(crate) fn weights(graph: &Graph) -> Weights {
    let mut noise = picodet_testing::Noise::new(1);
    let mut tensor = |shape: &Vec<usize>| Tensor {
        shape: shape.clone(),
        data: (0..shape.iter().product()).map(|_| noise.uniform(0.1, 1.1)).collect(),
    };
    graph.params.iter().map(|param| (param.name.clone(), tensor(&param.shape))).collect()
}
