//! Random images and weights.

#[allow(dead_code, reason = "not every test quantises")]
pub(crate) mod quantised;

use picodet_graph::{Graph, Initialiser, Role, Tensor, Tensor4, Weights};
use picodet_testing::Noise;

/// An image of the standard normal distribution.
#[allow(dead_code, reason = "not every test has images of this kind")]
pub(crate) fn image(noise: &mut Noise, shape: [usize; 4]) -> Tensor4 {
    let data = (0..shape.iter().product()).map(|_| noise.normal()).collect();
    Tensor4 { shape, data }
}

/// Weights as training would start, with batch-norm statistics that are not those of the identity.
pub(crate) fn random_weights(graph: &Graph, seed: u64) -> Weights {
    let mut random = Noise::new(seed);
    let mut weights = Weights::new();
    for param in &graph.params {
        let value = |random: &mut Noise| match param.role {
            Role::Gamma | Role::RunningVariance => 0.6 + 0.8 * random.uniform(0.0, 1.0),
            Role::Beta | Role::RunningMean | Role::Bias => 0.2 * random.normal(),
            Role::Weight => match param.initialiser {
                Initialiser::Constant(value) => value,
                Initialiser::Normal { std } => std.max(0.05) * random.normal(),
                Initialiser::Uniform { limit } => limit * (2.0 * random.uniform(0.0, 1.0) - 1.0),
            },
        };
        let data = (0..param.len()).map(|_| value(&mut random)).collect();
        weights.insert(param.name.clone(), Tensor { shape: param.shape.clone(), data });
    }
    weights
}
