//! Lowers the operations without products of channels: pools, resizes, sums, activations.

use picodet_graph::{Op, ResizeFactor};

use super::{Lowering, channel_ranges};
use crate::cpu::schedule::{Elementwise, Operation, View};

impl Lowering<'_> {
    pub(super) fn global_average_pool(&mut self, index: usize) -> View {
        let from = self.value(self.graph.nodes[index].inputs[0]);
        let order = from.by_column();
        let channels = order.len();
        let sums = self.scratch(self.workers * channels.next_multiple_of(16));
        let size = (from.height, from.width);
        let ranges = channel_ranges(&order, &from.columns, None, 0);
        self.push(index, Operation::SumCells { from: from.buffer, ranges, to: sums }, size, size, 0);
        let column = self.append_columns(index, channels);
        let to = self.buffer_of[index];
        let cells = size.0 * size.1;
        self.push(index, Operation::Mean { sums, channels, cells, to, column }, size, (1, 1), 0);
        let mut columns = vec![0; channels];
        order.iter().enumerate().for_each(|(i, &channel)| columns[channel] = column + i);
        View { buffer: to, columns, height: 1, width: 1 }
    }

    /// Lowers an operation that the elementwise kernel computes, whose result has one channel per input channel.
    pub(super) fn elementwise(&mut self, index: usize) -> View {
        let node = &self.graph.nodes[index];
        let [channels, height, width] = node.shape.resolve(self.input_size);
        let from = self.value(node.inputs[0]);
        let second = node.inputs.get(1).map(|&id| self.value(id));
        let order = from.by_column();
        let identity: Vec<usize> = (0..channels).collect();
        let mut with: Option<Vec<usize>> = None;
        let kind = match node.op {
            Op::Activation(act) => Elementwise::Activate(Some(act)),
            Op::Add => {
                with = second.as_ref().map(|view| view.columns.clone());
                Elementwise::Add(None)
            }
            Op::Scale => {
                with = second.as_ref().map(|view| view.columns.clone());
                Elementwise::Scale
            }
            Op::GeometricMean { epsilon } => {
                let column = second.as_ref().map_or(0, |view| view.columns[0]);
                Elementwise::GeometricMean { column, epsilon }
            }
            Op::Dropout { rate } => {
                with = Some(identity);
                let factor = (1.0 - f64::from(rate)) as f32;
                Elementwise::Affine(vec![factor; channels], vec![0.0; channels])
            }
            Op::BatchNorm => {
                with = Some(identity);
                let [gamma, beta, mean, variance] = [0, 1, 2, 3].map(|param| self.data(index, param));
                let epsilon = picodet_graph::BATCH_NORM_EPSILON;
                let factor: Vec<f64> = (0..channels)
                    .map(|c| f64::from(gamma[c]) / (f64::from(variance[c]) + epsilon).sqrt())
                    .collect();
                let addend = |c: usize| (f64::from(beta[c]) - f64::from(mean[c]) * factor[c]) as f32;
                let addend = (0..channels).map(addend).collect();
                Elementwise::Affine(factor.iter().map(|&factor| factor as f32).collect(), addend)
            }
            Op::MaxPool => Elementwise::MaxPool,
            Op::UpsampleNearest => Elementwise::Upsample,
            Op::AveragePool => {
                // A window at the border reads the last row or column twice, which gives the mean of the pixels inside.
                let table = |extent: usize, out: usize| {
                    (0..out).map(|i| (2 * i, (2 * i + 1).min(extent - 1), 0.5)).collect()
                };
                Elementwise::Blend { rows: table(from.height, height), columns: table(from.width, width) }
            }
            Op::ResizeBilinear(ResizeFactor::Double | ResizeFactor::Half) => Elementwise::Blend {
                rows: bilinear(from.height, height),
                columns: bilinear(from.width, width),
            },
            _ => Elementwise::Activate(None),
        };
        let first = self.append_columns(index, channels);
        let ranges = channel_ranges(&order, &from.columns, with.as_deref(), first);
        let to = self.buffer_of[index];
        let other = second.map(|view| view.buffer);
        let operation = Operation::Elementwise { kind, from: from.buffer, other, to, ranges };
        self.push(index, operation, (from.height, from.width), (height, width), 0);
        let mut columns = vec![0; channels];
        order.iter().enumerate().for_each(|(i, &channel)| columns[channel] = first + i);
        View { buffer: to, columns, height, width }
    }
}

/// For each position of the result, the two source positions around it and the weight of the second.
fn bilinear(extent: usize, out: usize) -> Vec<(usize, usize, f32)> {
    let at = |i: usize| {
        let position = ((i as f64 + 0.5) * extent as f64 / out as f64 - 0.5).max(0.0);
        let first = (position as usize).min(extent - 1);
        (first, (first + 1).min(extent - 1), (position - first as f64) as f32)
    };
    (0..out).map(at).collect()
}
