//! Quantises one convolution with what its block computes after it.

use picodet_graph::pass::Block;
use picodet_graph::{Activation, Convolution, MapQuantisation, QuantisedConvolution};
use picodet_kernel::training::Executor;

use crate::moments::{Importance, Moments};
use crate::options::{Method, Options};
use crate::rounding::{Feedback, Row, fit, nearest};
use crate::step::{Decibels, Ranges};
use crate::stream::{Packed, Values, activate, add, convolve, max_pool};

/// The inputs, weights and operations of a block.
pub(crate) struct Site<'a> {
    pub(crate) op: Convolution,
    pub(crate) in_channels: usize,
    /// Float weights, `[out, in / groups, k, k]`.
    pub(crate) weight: &'a [f32],
    pub(crate) bias: Vec<f32>,
    /// The scale of each channel of the input.
    pub(crate) scales: Vec<f32>,
    pub(crate) activation: Option<Activation>,
    pub(crate) pools: bool,
    /// Whether the result is stored as bytes.
    pub(crate) stores: bool,
    /// The scales of the result, if they are chosen already.
    pub(crate) map: Option<MapQuantisation>,
    /// For each image the input of both networks, without zero points.
    pub(crate) inputs: Vec<Input<'a>>,
}

/// The inputs of a block for one image.
pub(crate) struct Input<'a> {
    /// Of the float network.
    pub(crate) float: &'a Values,
    /// Of the quantised network: bytes less their zero point.
    pub(crate) centred: Values,
    /// The other operand of the sum, in numbers, of the float and of the quantised network.
    pub(crate) addends: Option<(&'a Values, Values)>,
    pub(crate) importance: &'a Importance,
}

/// A quantised block and its results.
pub(crate) struct Quantised {
    pub(crate) convolution: QuantisedConvolution,
    pub(crate) map: Option<MapQuantisation>,
    /// For each image the result of the float network and that of the quantised one, in bytes if there is a map.
    pub(crate) results: Vec<(Values, Values)>,
    pub(crate) decibels: f64,
}

/// Number of separate sums, which does not depend on the number of threads.
const PARTS: usize = 8;

impl Site<'_> {
    /// Quantises the block.
    pub(crate) fn quantise(self, block: &Block, executor: &Executor, options: &Options) -> Quantised {
        debug_assert!(block.pool.is_some() == self.pools, "the pool of the block");
        let (floats, moments) = self.float_results(executor, options);
        let convolution = self.weights(moments.as_ref(), options);
        let sums = self.sums(&convolution, executor, options);
        let finish = |x: &Values| {
            let x = activate(executor, x.clone(), self.activation);
            if self.pools { max_pool(executor, &x) } else { x }
        };
        let channels = self.op.out_channels;
        let is_closed = options.method == Method::ClosedForm;
        let ranges = || {
            let ranges = picodet_parallel::map(floats.iter().zip(&sums), options.threads, |(float, sums)| {
                let result = finish(sums);
                let mut ranges = Ranges::new(channels);
                ranges.add(if is_closed { &result } else { float });
                ranges
            });
            Ranges::merge(channels, &ranges).map(options.margin)
        };
        let map = self.stores.then(|| self.map.clone().unwrap_or_else(ranges));
        let stores = map.as_ref().map(|map| map.stores(self.activation));
        let results =
            picodet_parallel::map(floats.into_iter().zip(sums), options.threads, |(float, sums)| {
                let result = match &stores {
                    Some(stores) => {
                        let bytes = sums.map_channels(|c, x| f32::from(stores[c].byte(x)));
                        if self.pools { max_pool(executor, &bytes) } else { bytes }
                    }
                    None => finish(&sums),
                };
                (float, result)
            });
        let mut decibels = Decibels::default();
        results.iter().for_each(|(float, result)| decibels.add(float, result, map.as_ref()));
        Quantised { convolution, map, results, decibels: decibels.value() }
    }

    /// The results of the float network and the moments that the method needs.
    fn float_results(&self, executor: &Executor, options: &Options) -> (Vec<Values>, Option<Moments>) {
        let packed = Packed::new(&self.op, self.in_channels, self.weight);
        let empty = match options.method {
            Method::ClosedForm => Moments::new(&self.op, self.in_channels),
            Method::MinMax => None,
        };
        let part = self.inputs.len().div_ceil(PARTS).max(1);
        let parts = picodet_parallel::map(self.inputs.chunks(part), options.threads, |inputs| {
            let mut moments = empty.clone();
            let results: Vec<Values> = inputs
                .iter()
                .map(|input| {
                    let y = convolve(executor, &self.op, input.float, &packed, Some(&self.bias));
                    if let Some(moments) = &mut moments {
                        moments.add(executor, &self.op, &input.centred, &y, input.importance);
                    }
                    let y = match &input.addends {
                        Some((float, _)) => add(executor, &y, float),
                        None => y,
                    };
                    let y = activate(executor, y, self.activation);
                    if self.pools { max_pool(executor, &y) } else { y }
                })
                .collect();
            (results, moments)
        });
        let mut all: Option<Moments> = None;
        let mut results = Vec::with_capacity(self.inputs.len());
        for (part, moments) in parts {
            results.extend(part);
            match (&mut all, moments) {
                (Some(all), Some(moments)) => all.merge(&moments),
                (all, moments) => *all = moments,
            }
        }
        (results, all)
    }

    /// The weights with the scales of the input in their columns, `[out][inputs of a group · window]`.
    fn scaled_weights(&self) -> Vec<f64> {
        let window = self.op.kernel * self.op.kernel;
        let inputs = self.in_channels / self.op.groups;
        let outputs = self.op.out_channels / self.op.groups;
        let scaled = |(index, &weight): (usize, &f32)| {
            let (o, i) = (index / (inputs * window), index / window % inputs);
            f64::from(weight) * f64::from(self.scales[o / outputs * inputs + i])
        };
        self.weight.iter().enumerate().map(scaled).collect()
    }

    fn weights(&self, moments: Option<&Moments>, options: &Options) -> QuantisedConvolution {
        let weights = self.scaled_weights();
        let length = weights.len() / self.op.out_channels;
        let Some(moments) = moments else {
            let rows: Vec<Row> = weights.chunks_exact(length).map(nearest).collect();
            return convolution(rows, self.bias.clone());
        };
        let outputs = self.op.out_channels / moments.groups;
        let groups = picodet_parallel::map(0..moments.groups, options.threads, |group| {
            let rows = &weights[group * outputs * length..][..outputs * length];
            let covariance = moments.covariance(group);
            let cross: Vec<f64> = (group * outputs..(group + 1) * outputs)
                .flat_map(|output| moments.cross_covariance(group, output))
                .collect();
            let fitted = fit(rows, &covariance, &cross, length, options.regularisation);
            let rows = fitted.as_deref().unwrap_or(rows);
            let feedback = Feedback::new(&covariance, length);
            let threads = if moments.groups == 1 { options.threads } else { 1 };
            let rounded = picodet_parallel::map(rows.chunks_exact(length), threads, |row| match &feedback {
                Some(feedback) => feedback.round(row),
                None => nearest(row),
            });
            let mean = moments.mean_x(group);
            let biases: Vec<f32> = rounded
                .iter()
                .enumerate()
                .map(|(index, row)| {
                    let sum: f64 = row.integers.iter().zip(&mean).map(|(&q, mean)| f64::from(q) * mean).sum();
                    (moments.mean_y(group * outputs + index) - f64::from(row.scale) * sum) as f32
                })
                .collect();
            (rounded, biases)
        });
        let (rows, biases): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        convolution(rows.into_iter().flatten().collect(), biases.concat())
    }

    /// The results of the quantised convolution before the activation, with the residual.
    fn sums(&self, quantised: &QuantisedConvolution, executor: &Executor, options: &Options) -> Vec<Values> {
        let integers: Vec<f32> = quantised.weight.iter().map(|&weight| f32::from(weight)).collect();
        let packed = Packed::new(&self.op, self.in_channels, &integers);
        picodet_parallel::map(&self.inputs, options.threads, |input| {
            let sums = convolve(executor, &self.op, &input.centred, &packed, None);
            let x = sums.map_channels(|o, sum| sum.mul_add(quantised.scale[o], quantised.bias[o]));
            match &input.addends {
                Some((_, quantised)) => add(executor, &x, quantised),
                None => x,
            }
        })
    }
}

fn convolution(rows: Vec<Row>, bias: Vec<f32>) -> QuantisedConvolution {
    QuantisedConvolution {
        scale: rows.iter().map(|row| row.scale).collect(),
        weight: rows.into_iter().flat_map(|row| row.integers).collect(),
        bias,
    }
}
