//! The constants of a quantised network in training as tensors of a checkpoint.

use std::collections::BTreeMap;

use picodet_graph::{CheckError, Graph, MapQuantisation, Quantisation, Tensor, Weights};

use super::QuantisedNetwork;

/// Prefixes of the names of tensors.
const FLOAT: &str = "float/";
const WEIGHT: &str = "start/weight/";
const SCALE: &str = "start/scale/";
const BIAS: &str = "start/bias/";
const MAP_SCALE: &str = "start/map_scale/";
const MAP_ZERO: &str = "start/map_zero/";
const IMAGE: &str = "start/image";

impl QuantisedNetwork {
    /// Returns the float network and the quantised network before training as tensors.
    pub(crate) fn to_tensors(&self) -> Weights {
        let mut tensors = Weights::new();
        let mut add = |prefix: &str, name: &str, data: Vec<f32>| {
            tensors.insert(format!("{prefix}{name}"), Tensor { shape: vec![data.len()], data });
        };
        self.float.iter().for_each(|(name, tensor)| add(FLOAT, name, tensor.data.clone()));
        for (scope, convolution) in &self.start.convolutions {
            add(WEIGHT, scope, convolution.weight.iter().map(|&q| f32::from(q)).collect());
            add(SCALE, scope, convolution.scale.clone());
            add(BIAS, scope, convolution.bias.clone());
        }
        for (scope, map) in &self.start.maps {
            add(MAP_SCALE, scope, map.scale.clone());
            add(MAP_ZERO, scope, map.zero.iter().map(|&zero| f32::from(zero)).collect());
        }
        add(IMAGE, "", [self.start.mean, self.start.std].concat());
        tensors
    }

    /// Takes the tensors of [`QuantisedNetwork::to_tensors`] out of `tensors`; `graph` is the folded graph. `None` where
    /// there are none.
    pub(crate) fn take(
        graph: &Graph,
        tensors: &mut BTreeMap<String, Tensor>,
    ) -> Result<Option<Self>, CheckError> {
        let Some(image) = tensors.remove(IMAGE) else { return Ok(None) };
        let mut taken = |prefix: &str| -> Vec<(String, Vec<f32>)> {
            let names: Vec<String> =
                tensors.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
            let tensor = |name: String| Some((name[prefix.len()..].to_owned(), tensors.remove(&name)?.data));
            names.into_iter().filter_map(tensor).collect()
        };
        let mut start = Quantisation::default();
        if let Ok([a, b, c, d, e, f]) = <[f32; 6]>::try_from(image.data) {
            (start.mean, start.std) = ([a, b, c], [d, e, f]);
        }
        for (scope, data) in taken(WEIGHT) {
            start.convolutions.entry(scope).or_default().weight = data.iter().map(|&q| q as i8).collect();
        }
        for (scope, data) in taken(SCALE) {
            start.convolutions.entry(scope).or_default().scale = data;
        }
        for (scope, data) in taken(BIAS) {
            start.convolutions.entry(scope).or_default().bias = data;
        }
        for (scope, scale) in taken(MAP_SCALE) {
            start.maps.insert(scope, MapQuantisation { scale, zero: Vec::new() });
        }
        for (scope, data) in taken(MAP_ZERO) {
            start.maps.entry(scope).or_default().zero = data.iter().map(|&zero| zero as u8).collect();
        }
        let shape = |name: &str| {
            graph.params.iter().find(|param| param.name == name).map(|param| param.shape.clone())
        };
        let float = taken(FLOAT).into_iter().filter_map(|(name, data)| {
            let tensor =
                Tensor { shape: shape(&name).filter(|s| s.iter().product::<usize>() == data.len())?, data };
            Some((name, tensor))
        });
        let float: Weights = float.collect();
        Self::new(graph, &float, &start).map(Some)
    }
}
