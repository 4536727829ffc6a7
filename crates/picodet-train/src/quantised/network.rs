//! The quantised network as a function of what training changes: integers, scales and biases as differences from the start.

use picodet_graph::pass::{self, fuse};
use picodet_graph::quantised::{image_scales, maps_of};
use picodet_graph::{
    CheckError, Graph, Initialiser, MapQuantisation, Op, Param, Quantisation, QuantisedConvolution, Role,
    Tensor, Weights,
};

use crate::Objective;

/// Change of the logarithm of a scale for a difference of 1.
const SCALE_UNIT: f32 = 0.01;
/// Change of the bias of a prediction for a difference of 1.
const PREDICTION_UNIT: f32 = 0.05;
/// Largest difference of a weight and its integer before training.
const LARGEST_OFFSET: f32 = 0.49;
/// Largest integer of a weight.
const LARGEST: f32 = 127.0;

/// The scale of an input channel of a convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    /// A constant: the image.
    Constant(f32),
    /// A channel of a stored map, by indices.
    Map { map: usize, channel: usize },
}

/// A quantised convolution.
#[derive(Clone, Debug, PartialEq)]
struct Site {
    scope: String,
    weight: String,
    bias: String,
    /// Input channels of a group, output channels of a group, elements of a window.
    extents: [usize; 3],
    /// The scale of each input channel.
    sources: Vec<Source>,
    /// Change of each bias for a difference of 1: a step of the map that the convolution ends in.
    bias_units: Vec<f32>,
    /// The float weights less the integers, in integers, within the interval that is rounded to the integer.
    offsets: Vec<f32>,
    start: QuantisedConvolution,
}

impl Site {
    /// The output and the input channel of a weight.
    fn channels(&self, index: usize) -> (usize, usize) {
        let [inputs, outputs, window] = self.extents;
        let (o, i) = (index / (inputs * window), index / window % inputs);
        (o, o / outputs * inputs + i)
    }
}

/// A network to train with quantisation: the float network, whose results are the aim, and the quantised network that
/// training starts from.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantisedNetwork {
    /// The folded graph up to the training outputs of the head.
    pub(crate) graph: Graph,
    /// The float weights.
    pub(crate) float: Weights,
    /// The quantised network before training.
    pub(crate) start: Quantisation,
    sites: Vec<Site>,
    /// Scopes of the maps, in order.
    maps: Vec<String>,
    /// Groups of maps that have one scale for all their channels, which training keeps.
    tied: Vec<Vec<usize>>,
}

impl QuantisedNetwork {
    /// Prepares the training of `start`, the quantisation of a folded network; `weights` are those of the float network,
    /// with which the convolutions outside of `start` are computed.
    ///
    /// # Errors
    /// [`CheckError`] when weights or quantisation do not belong to the graph.
    pub fn new(graph: &Graph, weights: &Weights, start: &Quantisation) -> Result<Self, CheckError> {
        start.check(graph)?;
        // Blocks depend on the outputs, so that maps are those of the whole graph.
        let fusion = fuse(graph);
        let maps: Vec<String> = start.maps.keys().cloned().collect();
        let index = |scope: &String| maps.iter().position(|map| map == scope);
        let joined = if start.has_symmetric_maps(graph) { start.joined_maps(graph) } else { Vec::new() };
        let tied = joined.iter().map(|group| group.iter().filter_map(index).collect()).collect();
        let mut numbered = start.clone();
        let mut first = 0;
        let mut firsts = Vec::new();
        for map in numbered.maps.values_mut() {
            firsts.push(first);
            // Numbers up to 2^24 are exact.
            map.scale.iter_mut().enumerate().for_each(|(c, scale)| *scale = (first + c) as f32);
            first += map.channels();
        }
        let numbers = maps_of(graph, &fusion, &numbered);
        let source = |number: f32| {
            let map = firsts.partition_point(|&first| first <= number as usize) - 1;
            Source::Map { map, channel: number as usize - firsts[map] }
        };
        let mut sites = Vec::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            let (Op::Convolution(op), Some(convolution)) = (node.op, start.convolutions.get(&node.scope))
            else {
                continue;
            };
            let in_channels = graph.node(node.inputs[0]).shape.channels;
            let block = fusion.block(picodet_graph::NodeId(index));
            let last = block.and_then(|block| start.maps.get(&graph.node(block.last).scope));
            let param = |number: usize| graph.params_of(node).nth(number).map(|param| param.name.clone());
            let (Some(weight), Some(bias)) = (param(0), param(1)) else {
                return Err(CheckError { problems: vec![format!("{}: has no bias", node.scope)] });
            };
            sites.push(Site {
                scope: node.scope.clone(),
                weight,
                bias,
                extents: [in_channels / op.groups, op.out_channels / op.groups, op.kernel * op.kernel],
                sources: match &numbers[node.inputs[0].0] {
                    Some(map) => map.scale.iter().map(|&number| source(number)).collect(),
                    None => image_scales(start.std).map(Source::Constant).to_vec(),
                },
                bias_units: last.map_or_else(
                    || vec![PREDICTION_UNIT; op.out_channels],
                    |map: &MapQuantisation| map.scale.clone(),
                ),
                offsets: Vec::new(),
                start: convolution.clone(),
            });
        }
        let graph = Objective::graph(graph);
        let float = pass::keep_weights(&graph, weights);
        graph.check_weights(&float)?;
        // Convolutions and maps behind the training outputs do not exist.
        sites.retain(|site| float.contains_key(&site.weight));
        let mut network = Self { graph, float, start: start.clone(), sites, maps, tied };
        let offsets: Vec<Vec<f32>> = network.sites.iter().map(|site| network.offsets(site)).collect();
        network.sites.iter_mut().zip(offsets).for_each(|(site, offsets)| site.offsets = offsets);
        Ok(network)
    }

    /// The place of each float weight in the interval that is rounded to its integer.
    ///
    /// Weights that all begin in the middle would reach the next integers in the same steps.
    fn offsets(&self, site: &Site) -> Vec<f32> {
        let scales: Vec<f32> = self.input_scales(site, &self.start).collect();
        let weights = self.float[&site.weight].data.iter().zip(&site.start.weight).enumerate();
        let offset = |(index, (&weight, &q)): (usize, (&f32, &i8))| {
            let (o, i) = site.channels(index);
            (weight * scales[i] / site.start.scale[o] - f32::from(q)).clamp(-LARGEST_OFFSET, LARGEST_OFFSET)
        };
        weights.map(offset).collect()
    }

    /// Returns a graph without operations whose parameters are what training changes, and whose outputs are those of the
    /// head.
    #[must_use]
    pub fn parameter_graph(&self) -> Graph {
        let mut params = Vec::new();
        let mut add = |name: String, shape: Vec<usize>, role: Role| {
            params.push(Param { name, shape, role, initialiser: Initialiser::Constant(0.0), decays: false });
        };
        for site in &self.sites {
            let rows = vec![site.start.scale.len()];
            add(site.weight.clone(), self.float[&site.weight].shape.clone(), Role::Weight);
            add(site.bias.clone(), rows.clone(), Role::Bias);
            add(format!("{}.row_scale", site.scope), rows, Role::Gamma);
        }
        for (scope, map) in &self.start.maps {
            add(format!("{scope}.map_scale"), vec![map.channels()], Role::Gamma);
        }
        Graph { params, outputs: self.graph.outputs.clone(), ..Graph::default() }
    }

    /// Returns the names of the parameters of the float network that training does not change.
    pub(crate) fn fixed(&self) -> impl Iterator<Item = &str> {
        let changes =
            |name: &&String| self.sites.iter().any(|site| site.weight == **name || site.bias == **name);
        self.float.keys().filter(move |name| !changes(name)).map(String::as_str)
    }

    /// Moves the weights to the middle of the intervals that are rounded to their integers.
    pub(crate) fn centre(&self, parameters: &mut Weights) {
        for site in &self.sites {
            let Some(values) = parameters.get_mut(&site.weight) else { continue };
            let start = site.start.weight.iter().zip(&site.offsets);
            for (value, (&q, offset)) in values.data.iter_mut().zip(start) {
                *value = integer(q, offset + *value) - f32::from(q) - offset;
            }
        }
    }

    /// Returns the parameters before training: differences of 0.
    #[must_use]
    pub fn parameters(&self) -> Weights {
        let params = self.parameter_graph().params;
        params.into_iter().map(|param| (param.name, Tensor::full(&param.shape, 0.0))).collect()
    }

    /// Returns the quantised network of parameters: the integers, scales and biases with which it is trained and run.
    #[must_use]
    pub fn quantisation(&self, parameters: &Weights) -> Quantisation {
        let mut quantisation = self.start.clone();
        let scaled = |scales: &[f32], name: String| -> Vec<f32> {
            let differences = &parameters[&name].data;
            scales.iter().zip(differences).map(|(scale, d)| scale * (SCALE_UNIT * d).exp()).collect()
        };
        for (scope, map) in &mut quantisation.maps {
            map.scale = scaled(&map.scale, format!("{scope}.map_scale"));
        }
        for site in &self.sites {
            let (weights, biases) = (&parameters[&site.weight].data, &parameters[&site.bias].data);
            let integer = |((&q, offset), d): ((&i8, &f32), &f32)| integer(q, offset + d) as i8;
            let bias = |((b, d), unit): ((&f32, &f32), &f32)| d.mul_add(*unit, *b);
            let convolution = QuantisedConvolution {
                weight: site.start.weight.iter().zip(&site.offsets).zip(weights).map(integer).collect(),
                scale: scaled(&site.start.scale, format!("{}.row_scale", site.scope)),
                bias: site.start.bias.iter().zip(biases).zip(&site.bias_units).map(bias).collect(),
            };
            quantisation.convolutions.insert(site.scope.clone(), convolution);
        }
        quantisation
    }

    /// Returns the numbers that the integers of a quantisation stand for, as weights of the graph.
    pub(crate) fn weights(&self, quantisation: &Quantisation) -> Weights {
        let mut weights = self.float.clone();
        for site in &self.sites {
            let convolution = &quantisation.convolutions[&site.scope];
            let inverse: Vec<f32> = self.input_scales(site, quantisation).map(|scale| 1.0 / scale).collect();
            if let Some(tensor) = weights.get_mut(&site.weight) {
                for (index, (value, &q)) in tensor.data.iter_mut().zip(&convolution.weight).enumerate() {
                    let (o, i) = site.channels(index);
                    *value = f32::from(q) * convolution.scale[o] * inverse[i];
                }
            }
            if let Some(tensor) = weights.get_mut(&site.bias) {
                tensor.data.clone_from(&convolution.bias);
            }
        }
        weights
    }

    fn input_scales<'a>(
        &'a self,
        site: &'a Site,
        quantisation: &'a Quantisation,
    ) -> impl Iterator<Item = f32> + 'a {
        site.sources.iter().map(|source| match *source {
            Source::Constant(scale) => scale,
            Source::Map { map, channel } => quantisation.maps[&self.maps[map]].scale[channel],
        })
    }

    /// Returns the gradients of the parameters. `by_weight` are the gradients of [`QuantisedNetwork::weights`], `by_scale`
    /// those of the logarithms of the scales of maps where the maps are rounded.
    ///
    /// Where a map has one symmetric scale (SPEC §11.1), its channels have the sum of their gradients: 127 scales are the bound α
    /// of PACT, with the gradient of LSQ, to which the values within the bound contribute too.
    ///
    /// Rounding passes gradients unchanged. A scale also divides the columns of the weights that read its map.
    pub(crate) fn gradients<'a>(
        &self,
        parameters: &Weights,
        quantisation: &Quantisation,
        by_weight: &Weights,
        by_scale: impl Iterator<Item = (&'a str, &'a [f32])>,
    ) -> Weights {
        let mut gradients = Weights::new();
        let vector = |data: Vec<f32>| Tensor { shape: vec![data.len()], data };
        let mut maps: Vec<Vec<f32>> = self.start.maps.values().map(|map| vec![0.0; map.channels()]).collect();
        for (scope, values) in by_scale {
            if let Ok(index) = self.maps.binary_search_by(|map| map.as_str().cmp(scope)) {
                maps[index].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
        }
        for site in &self.sites {
            if let (Some(gradient), Some(unit)) = (by_weight.get(&site.bias), Some(&site.bias_units)) {
                let data = gradient.data.iter().zip(unit).map(|(gradient, unit)| gradient * unit).collect();
                gradients.insert(site.bias.clone(), vector(data));
            }
            let Some(gradient) = by_weight.get(&site.weight) else { continue };
            let convolution = &quantisation.convolutions[&site.scope];
            let scales: Vec<f32> = self.input_scales(site, quantisation).collect();
            let differences = &parameters[&site.weight].data;
            let mut rows = vec![0.0f32; convolution.scale.len()];
            let mut columns = vec![0.0f32; scales.len()];
            let mut data = Vec::with_capacity(gradient.data.len());
            for (index, gradient) in gradient.data.iter().enumerate() {
                let (o, i) = site.channels(index);
                let by_integer = gradient * convolution.scale[o] / scales[i];
                let product = by_integer * f32::from(convolution.weight[index]);
                rows[o] += product;
                columns[i] += product;
                let latent = f32::from(site.start.weight[index]) + site.offsets[index] + differences[index];
                data.push(if latent.abs() <= LARGEST { by_integer } else { 0.0 });
            }
            gradients.insert(site.weight.clone(), Tensor { shape: gradient.shape.clone(), data });
            rows.iter_mut().for_each(|row| *row *= SCALE_UNIT);
            gradients.insert(format!("{}.row_scale", site.scope), vector(rows));
            for (column, source) in columns.iter().zip(&site.sources) {
                if let Source::Map { map, channel } = *source {
                    maps[map][channel] -= column;
                }
            }
        }
        for group in &self.tied {
            let sum = group.iter().flat_map(|&map| &maps[map]).sum::<f32>();
            group.iter().for_each(|&map| maps[map].fill(sum));
        }
        for (scope, mut data) in self.maps.iter().zip(maps) {
            data.iter_mut().for_each(|value| *value *= SCALE_UNIT);
            gradients.insert(format!("{scope}.map_scale"), vector(data));
        }
        gradients
    }
}

/// The integer of a weight with a difference.
fn integer(start: i8, difference: f32) -> f32 {
    (f32::from(start) + difference).round_ties_even().clamp(-LARGEST, LARGEST)
}

#[cfg(test)]
mod tests {
    use picodet_graph::{Activation, Builder};
    use picodet_testing::noise;

    use super::*;
    use crate::quantised::QuantisedTraining;
    use crate::{Momentum, MovingAverage};

    /// image → stem → depthwise and pointwise → join → prediction.
    fn graph() -> Graph {
        let mut g = Builder::new();
        let image = g.input();
        let x = g.scope("stem", |g| g.pointwise_with_bias(image, 6, 0.0));
        let x = g.activation(x, Activation::HardSwish);
        let y = g.scope("side", |g| g.pointwise_with_bias(x, 4, 0.0));
        let joined = g.scope("join", |g| g.concat(&[x, y]));
        let z = g.scope("last", |g| g.pointwise_with_bias(joined, 5, 0.0));
        g.output("cls_logit.0", z);
        g.finish()
    }

    /// Noise of the shapes of `weights`.
    fn slopes(weights: &Weights, seed: u64) -> Weights {
        let slope = |(index, (name, tensor)): (usize, (&String, &Tensor))| {
            let data = noise(tensor.data.len(), seed + index as u64);
            (name.clone(), Tensor { shape: tensor.shape.clone(), data })
        };
        weights.iter().enumerate().map(slope).collect()
    }

    /// A network with integers and scales that are not trained yet.
    fn network() -> QuantisedNetwork {
        let graph = graph();
        let tensor = |(index, param): (usize, &Param)| {
            (
                param.name.clone(),
                Tensor { shape: param.shape.clone(), data: noise(param.len(), index as u64) },
            )
        };
        let weights: Weights = graph.params.iter().enumerate().map(tensor).collect();
        let mut start = Quantisation { mean: [0.5; 3], std: [0.2; 3], ..Quantisation::default() };
        for (seed, (scope, inputs, outputs)) in
            [("stem", 3, 6), ("side", 6, 4), ("last", 10, 5)].into_iter().enumerate()
        {
            let convolution = QuantisedConvolution {
                weight: noise(inputs * outputs, seed as u64).iter().map(|x| (100.0 * x) as i8).collect(),
                scale: noise(outputs, 7).iter().map(|x| 0.02 + 0.01 * x).collect(),
                bias: noise(outputs, 8),
            };
            start.convolutions.insert(scope.to_owned(), convolution);
        }
        let map = |channels: usize, seed: u64| MapQuantisation {
            scale: noise(channels, seed).iter().map(|x| 0.05 + 0.02 * x).collect(),
            zero: vec![20; channels],
        };
        let activated = graph.nodes.iter().find(|node| matches!(node.op, Op::Activation(_)));
        start.maps.insert(activated.expect("an activation").scope.clone(), map(6, 5));
        start.maps.insert("side".to_owned(), map(4, 6));
        QuantisedNetwork::new(&graph, &weights, &start).expect("a network")
    }

    #[test]
    fn training_starts_from_the_given_integers() {
        let network = network();
        assert_eq!(network.quantisation(&network.parameters()), network.start);
        let mut centred = network.parameters();
        network.centre(&mut centred);
        assert_eq!(network.quantisation(&centred), network.start);
    }

    /// The weights are smooth functions of biases and scales, and steps of integers.
    #[test]
    fn gradients_of_the_weights_are_central_differences() {
        let network = network();
        let mut parameters = network.parameters();
        let quantisation = network.quantisation(&parameters);
        let weights = network.weights(&quantisation);
        let slopes = slopes(&weights, 40);
        let loss = |parameters: &Weights| -> f64 {
            let weights = network.weights(&network.quantisation(parameters));
            let terms = weights.iter().flat_map(|(name, tensor)| tensor.data.iter().zip(&slopes[name].data));
            terms.map(|(value, slope)| f64::from(*value) * f64::from(*slope)).sum()
        };
        let found = network.gradients(&parameters, &quantisation, &slopes, std::iter::empty());
        let mut compared = 0;
        for param in network.parameter_graph().params {
            // From the middle of its interval a weight moves by one integer for a difference of 1.
            let by = if param.role == Role::Weight { 1.0 } else { 0.5 };
            let mut centred = network.parameters();
            network.centre(&mut centred);
            for index in 0..param.len() {
                let mut moved = |by: f32| {
                    let from =
                        if param.role == Role::Weight { centred[&param.name].data[index] } else { 0.0 };
                    parameters.get_mut(&param.name).expect("a parameter").data[index] = from + by;
                    let loss = loss(&parameters);
                    parameters.get_mut(&param.name).expect("a parameter").data[index] = 0.0;
                    loss
                };
                let slope = (moved(by) - moved(-by)) / f64::from(2.0 * by);
                let expected = f64::from(found[&param.name].data[index]);
                let off = (slope - expected).abs();
                assert!(off < 1e-3 * expected.abs() + 1e-4, "{} {index}: {slope} {expected}", param.name);
                compared += 1;
            }
        }
        assert_eq!(compared, 18 + 24 + 50 + 15 + 15 + 10);
    }

    #[test]
    fn one_scale_per_map_is_kept() {
        let (graph, mut start) = (graph(), network().start);
        start.maps = start.symmetric_maps(&graph);
        let network = QuantisedNetwork::new(&graph, &network().float, &start).expect("a network");
        let settings = QuantisedTraining::default();
        let mut momentum = settings.with_rates([1.0; 3]).momentum(Momentum::default());
        let mut parameters = network.parameters();
        for step in 0..5 {
            let quantisation = network.quantisation(&parameters);
            let weights = network.weights(&quantisation);
            let slopes = slopes(&weights, 40 + 100 * step);
            let by_scale: Vec<(String, Vec<f32>)> = quantisation
                .maps
                .iter()
                .map(|(scope, map)| (scope.clone(), noise(map.channels(), 70 + step)))
                .collect();
            let by_scale = by_scale.iter().map(|(scope, values)| (scope.as_str(), values.as_slice()));
            let gradients = network.gradients(&parameters, &quantisation, &slopes, by_scale);
            momentum.step(&network.parameter_graph(), &mut parameters, &gradients, 0.4);
        }
        let trained = network.quantisation(&parameters);
        assert!(trained.has_symmetric_maps(&graph));
        assert_ne!(trained.maps, start.maps, "scales are trained");
    }

    #[test]
    fn at_the_end_only_biases_change() {
        let network = network();
        let settings = QuantisedTraining::default().with_frozen_share(0.25);
        let graph = network.parameter_graph();
        let mut parameters = network.parameters();
        let mut average = MovingAverage::default();
        let gradients = slopes(&parameters, 3);
        let mut momentum = settings.with_rates([1.0; 3]).momentum(Momentum::default());
        let mut seen = Vec::new();
        for step in 0..8 {
            settings.settle(&network, &mut parameters, &average, (step, 8));
            let mut gradients = gradients.clone();
            settings.freeze(&graph, &mut gradients, (step, 8));
            momentum.step(&graph, &mut parameters, &gradients, 0.4);
            average.update(&parameters);
            seen.push((
                network.quantisation(&parameters),
                network.quantisation(&average.clone().apply(&parameters)),
            ));
        }
        let integers = |found: &Quantisation| {
            found.convolutions.values().flat_map(|convolution| convolution.weight.clone()).collect::<Vec<_>>()
        };
        assert_ne!(integers(&seen[4].0), integers(&seen[5].0), "integers change before");
        for step in [6, 7] {
            assert_eq!(integers(&seen[step].0), integers(&seen[5].1), "those of the average at the freezing");
            assert_eq!(integers(&seen[step].1), integers(&seen[5].1), "and of the average after it");
            assert_eq!(seen[step].0.maps, seen[6].0.maps);
        }
        assert_ne!(seen[6].0, seen[7].0, "biases change");
    }
}
