//! The definition of each operation, for all executors that compute one node after the other.

use picodet_graph::{Graph, Op, ResizeFactor, Tensor4};

use super::{convolution, elementwise, resample};
use crate::Real;

/// Computes an operation; `params` are its parameters in their order. `None` for the input.
pub(super) fn step<T: Real>(op: Op, params: &[&[T]], inputs: &[&Tensor4<T>]) -> Option<Tensor4<T>> {
    Some(match op {
        Op::Input => return None,
        Op::Convolution(op) => {
            convolution::convolution(inputs[0], params[0], op.bias.then(|| params[1]), &op)
        }
        Op::BatchNorm => elementwise::batch_norm(inputs[0], [params[0], params[1], params[2], params[3]]),
        Op::Activation(activation) => elementwise::activation(inputs[0], activation),
        Op::MaxPool => resample::max_pool(inputs[0]),
        Op::AveragePool => resample::average_pool(inputs[0]),
        Op::GlobalAveragePool => resample::global_average_pool(inputs[0]),
        Op::Add => elementwise::add(inputs[0], inputs[1]),
        Op::Scale => elementwise::scale(inputs[0], inputs[1]),
        Op::Concat => elementwise::concat(inputs),
        Op::Slice { start, len } => elementwise::slice(inputs[0], start, len),
        Op::ChannelShuffle => elementwise::channel_shuffle(inputs[0]),
        Op::UpsampleNearest => resample::upsample_nearest(inputs[0]),
        Op::ResizeBilinear(ResizeFactor::Double) => resample::resize_bilinear(inputs[0], |e| e * 2),
        Op::ResizeBilinear(ResizeFactor::Half) => resample::resize_bilinear(inputs[0], |e| e.div_ceil(2)),
        Op::Linear { out_features } => convolution::linear(inputs[0], params[0], params[1], out_features),
        Op::Dropout { rate } => elementwise::map(inputs[0], |x| x * T::from_f64(1.0 - f64::from(rate))),
        Op::GeometricMean { epsilon } => elementwise::geometric_mean(inputs[0], inputs[1], epsilon),
    })
}

/// The number of readers of each node; outputs have one more.
pub(super) fn remaining_readers(graph: &Graph) -> Vec<usize> {
    let mut remaining: Vec<usize> = graph.readers().iter().map(Vec::len).collect();
    graph.outputs.iter().for_each(|output| remaining[output.node.0] += 1);
    remaining
}
