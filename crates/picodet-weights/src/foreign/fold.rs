//! Folds scales and shifts per channel (batch norms, biases that are separate nodes) into the convolutions
//! before them.

use std::collections::HashMap;
use std::rc::Rc;

use picodet_graph::Tensor;

use super::{ForeignConvolution, ForeignFlow, ForeignNetwork};

/// Largest number of nodes that are folded into one convolution, which bounds the work on a hostile file.
const MAX_FOLDS: usize = 8;

/// One value per channel.
pub(crate) type Channels = Rc<[f32]>;

/// A node that scales and shifts each channel of its input by constants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Affine {
    /// Name of the value that is scaled and shifted.
    pub(crate) input: String,
    /// The constants.
    pub(crate) transform: Transform,
}

/// The part of a node that folding needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Foldable {
    /// Its scale and shift, if it only has these.
    pub(crate) affine: Option<Affine>,
    /// Whether an activation is part of the convolution, which rules out folding later nodes into it.
    pub(crate) has_activation: bool,
}

/// A function of the value `x` of a channel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Transform {
    /// `x + shift`.
    Shift(Channels),
    /// `x * scale`.
    Scale(Channels),
    /// `x * scale + shift`.
    ScaleShift(Channels, Channels),
    /// `(x - mean) / sqrt(variance + epsilon) * gamma + beta`.
    BatchNorm {
        /// The constants in the order of the formula's operands in ONNX.
        gamma: Channels,
        beta: Channels,
        mean: Channels,
        variance: Channels,
        epsilon: f32,
    },
}

impl Transform {
    /// Returns scale and shift of each channel; `None` unless all constants have one value for each of
    /// `channels`.
    fn scale_and_shift(&self, channels: usize) -> Option<(Vec<f64>, Vec<f64>)> {
        let widen = |values: &Channels| -> Option<Vec<f64>> {
            (values.len() == channels).then(|| values.iter().copied().map(f64::from).collect())
        };
        Some(match self {
            Self::Shift(shift) => (vec![1.0; channels], widen(shift)?),
            Self::Scale(scale) => (widen(scale)?, vec![0.0; channels]),
            Self::ScaleShift(scale, shift) => (widen(scale)?, widen(shift)?),
            Self::BatchNorm { gamma, beta, mean, variance, epsilon } => {
                let (mut scale, mut shift) = (widen(gamma)?, widen(beta)?);
                let (mean, variance) = (widen(mean)?, widen(variance)?);
                for c in 0..channels {
                    scale[c] /= (variance[c] + f64::from(*epsilon)).sqrt();
                    shift[c] -= mean[c] * scale[c];
                }
                (scale, shift)
            }
        })
    }
}

/// Folds each affine node into the convolution that computes its input, if no other node reads that input.
///
/// `foldable` has one entry per node. A folded node becomes an identity, so that later nodes find the
/// convolution through it.
pub(crate) fn fold(network: &mut ForeignNetwork, foldable: &[Foldable]) {
    let mut readers: HashMap<String, usize> = HashMap::new();
    for input in network.nodes.iter().flat_map(|node| &node.inputs) {
        *readers.entry(input.clone()).or_default() += 1;
    }
    let mut producers: HashMap<String, usize> = HashMap::new();
    let mut folds: HashMap<usize, usize> = HashMap::new();
    for (index, Foldable { affine, .. }) in foldable.iter().enumerate().take(network.nodes.len()) {
        let producer = affine.as_ref().and_then(|affine| {
            let producer = *producers.get(&affine.input)?;
            let convolution = network.nodes[producer].convolution.as_mut()?;
            let is_foldable = !foldable[producer].has_activation
                && readers.get(&affine.input) == Some(&1)
                && folds.get(&producer).is_none_or(|&count| count < MAX_FOLDS);
            (is_foldable && apply(convolution, &affine.transform)).then_some(producer)
        });
        if let Some(producer) = producer {
            *folds.entry(producer).or_default() += 1;
            let output = network.nodes[producer].outputs.first().cloned().unwrap_or_default();
            let node = &mut network.nodes[index];
            node.kind = "Identity".to_owned();
            node.inputs = vec![output];
            node.flow = ForeignFlow::SAME;
            producers.insert(node.outputs.first().cloned().unwrap_or_default(), producer);
        } else {
            for output in &network.nodes[index].outputs {
                producers.insert(output.clone(), index);
            }
        }
    }
}

/// Applies a transform to the output of a convolution; returns whether it has one constant for each channel.
fn apply(convolution: &mut ForeignConvolution, transform: &Transform) -> bool {
    let channels = convolution.weight.shape[0];
    let Some((scale, shift)) = transform.scale_and_shift(channels) else { return false };
    let row = (convolution.weight.data.len() / channels.max(1)).max(1);
    for (values, factor) in convolution.weight.data.chunks_mut(row).zip(&scale) {
        values.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
    }
    let before = convolution.bias.as_ref().map(|bias| bias.data.as_slice());
    let bias_before = |c: usize| before.map_or(0.0, |bias| f64::from(bias[c]));
    let data = (0..channels).map(|c| (bias_before(c) * scale[c] + shift[c]) as f32).collect();
    convolution.bias = Some(Tensor { shape: vec![channels], data });
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ForeignNode;

    fn node(kind: &str, input: &str, output: &str) -> ForeignNode {
        ForeignNode {
            name: output.to_owned(),
            kind: kind.to_owned(),
            inputs: vec![input.to_owned()],
            outputs: vec![output.to_owned()],
            ..ForeignNode::default()
        }
    }

    /// A convolution of two channels whose output `y` a batch norm and `others` more nodes read.
    fn network(others: usize) -> (ForeignNetwork, Vec<Foldable>) {
        let weight = Tensor { shape: vec![2, 1, 1, 1], data: vec![1.0, 2.0] };
        let bias = Some(Tensor { shape: vec![2], data: vec![0.5, 0.0] });
        let mut first = node("Conv", "x", "y");
        first.convolution = Some(ForeignConvolution { weight, bias, stride: 1, groups: 1 });
        let mut nodes = vec![first, node("BatchNormalization", "y", "z"), node("Add", "z", "w")];
        nodes.extend((0..others).map(|_| node("Relu", "y", "r")));
        let norm = Transform::BatchNorm {
            gamma: [2.0, 1.0].into(),
            beta: [1.0, 0.0].into(),
            mean: [0.5, 4.0].into(),
            variance: [3.75, 1.0].into(),
            epsilon: 0.25,
        };
        let affine = |input: &str, transform| Foldable {
            affine: Some(Affine { input: input.to_owned(), transform }),
            has_activation: false,
        };
        let shift = Transform::Shift([10.0, 20.0].into());
        let mut foldable = vec![Foldable::default(), affine("y", norm), affine("z", shift)];
        foldable.resize(nodes.len(), Foldable::default());
        (ForeignNetwork { nodes, metadata: BTreeMap::new(), inputs: Vec::new() }, foldable)
    }

    #[test]
    fn a_batch_norm_and_a_bias_are_folded_in_order() {
        let (mut network, affines) = network(0);
        fold(&mut network, &affines);
        let folded = network.nodes[0].convolution.as_ref().expect("a convolution");
        assert_eq!(folded.weight.data[0], 1.0);
        let bias = &folded.bias.as_ref().expect("a bias").data;
        assert_eq!(bias[0], 11.0);
        assert!((f64::from(bias[1]) - (20.0 - 4.0 / 1.25f64.sqrt())).abs() < 1e-6, "{bias:?}");
        assert!(network.nodes[1..].iter().all(|node| node.kind == "Identity"));
    }

    #[test]
    fn a_convolution_with_an_activation_stays_as_it_is() {
        let (mut network, mut foldable) = network(0);
        foldable[0].has_activation = true;
        let before = network.clone();
        fold(&mut network, &foldable);
        assert_eq!(network, before);
    }

    #[test]
    fn an_output_with_another_reader_is_not_folded() {
        let (mut network, affines) = network(1);
        let before = network.clone();
        fold(&mut network, &affines);
        assert_eq!(network, before);
    }
}
