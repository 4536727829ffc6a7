//! Stochastic gradient descent with momentum and weight decay (SPEC §7.1), and its adaptive form (Adam).

use std::collections::BTreeMap;

use picodet_graph::{Graph, Role, Weights};

/// Least root of a mean square.
const SMALLEST_ROOT: f32 = 1e-12;

/// The optimiser with its velocities.
#[derive(Clone, Debug, PartialEq)]
pub struct Momentum {
    /// Momentum; 0.9.
    pub momentum: f32,
    /// Weight decay of the parameters that have one; 4e-5.
    pub weight_decay: f32,
    /// Decay of the mean square of each gradient, by the root of which steps are divided (Adam); `None` for plain steps.
    pub square_decay: Option<f32>,
    /// Factors of the learning rate: of weights, of biases, and of scales.
    pub factors: [f32; 3],
    pub(crate) velocity: BTreeMap<String, Vec<f32>>,
    pub(crate) squares: BTreeMap<String, Vec<f32>>,
    /// Updates with mean squares.
    pub(crate) steps: usize,
}

impl Default for Momentum {
    fn default() -> Self {
        Self {
            momentum: 0.9,
            weight_decay: 4e-5,
            square_decay: None,
            factors: [1.0; 3],
            velocity: BTreeMap::new(),
            squares: BTreeMap::new(),
            steps: 0,
        }
    }
}

impl Momentum {
    /// Updates the learned parameters of `graph`; parameters without a gradient do not change.
    pub fn step(&mut self, graph: &Graph, weights: &mut Weights, gradients: &Weights, rate: f32) {
        self.steps += usize::from(self.square_decay.is_some());
        for param in graph.params.iter().filter(|param| param.role.is_learned()) {
            let (Some(weight), Some(gradient)) = (weights.get_mut(&param.name), gradients.get(&param.name))
            else {
                continue;
            };
            let rate = rate * factor(self.factors, param.role);
            if let Some(square_decay) = self.square_decay {
                let state = [&mut self.velocity, &mut self.squares];
                let zeros = || vec![0.0; gradient.data.len()];
                let means = state.map(|state| state.entry(param.name.clone()).or_insert_with(zeros));
                let decays = [self.momentum, square_decay];
                adapt(&mut weight.data, &gradient.data, rate, decays, means, self.steps);
                continue;
            }
            let decay = if param.decays { self.weight_decay } else { 0.0 };
            let velocity =
                self.velocity.entry(param.name.clone()).or_insert_with(|| vec![0.0; gradient.data.len()]);
            for ((value, gradient), velocity) in weight.data.iter_mut().zip(&gradient.data).zip(velocity) {
                *velocity = self.momentum * *velocity + (gradient + decay * *value);
                *value -= rate * *velocity;
            }
        }
    }
}

/// The factor of the learning rate of a parameter.
fn factor([weights, biases, scales]: [f32; 3], role: Role) -> f32 {
    match role {
        Role::Weight => weights,
        Role::Bias | Role::Beta => biases,
        Role::Gamma | Role::RunningMean | Role::RunningVariance => scales,
    }
}

/// Moves values by `rate` times the mean of their gradients over the root of the mean square of these, after `steps` updates
/// of the means, which begin with zeros.
fn adapt(
    values: &mut [f32],
    gradient: &[f32],
    rate: f32,
    decays: [f32; 2],
    [mean, square]: [&mut Vec<f32>; 2],
    steps: usize,
) {
    let [correction, square_correction] =
        decays.map(|decay| (1.0 - f64::from(decay).powi(steps.max(1) as i32)) as f32);
    let rate = rate / correction;
    for (((value, gradient), mean), square) in values.iter_mut().zip(gradient).zip(mean).zip(square) {
        *mean += (1.0 - decays[0]) * (gradient - *mean);
        *square += (1.0 - decays[1]) * (gradient * gradient - *square);
        *value -= rate * *mean / ((*square / square_correction).sqrt() + SMALLEST_ROOT);
    }
}

/// Scales all gradients so that their common norm is at most `limit`, and returns the norm before. Weight decay is not
/// included.
pub fn clip_to_norm(gradients: &mut Weights, limit: f64) -> f64 {
    let squares = gradients.values().flat_map(|tensor| &tensor.data).map(|&value| f64::from(value).powi(2));
    let norm = squares.sum::<f64>().sqrt();
    if norm.is_nan() || norm <= limit {
        return norm;
    }
    let scale = (limit / norm) as f32;
    gradients.values_mut().flat_map(|tensor| &mut tensor.data).for_each(|value| *value *= scale);
    norm
}
