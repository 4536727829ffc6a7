//! One symmetric scale for each map: the configuration of the reference's quantisation and of NPUs (SPEC §11.1).

use std::collections::BTreeMap;

use super::maps::moved_channels;
use super::{LARGEST, MapQuantisation, Quantisation, SMALLEST_SCALE};
use crate::pass::{Fusion, fuse};
use crate::{Graph, NodeId};

/// The byte that stands for zero in a symmetric map.
const ZERO: u8 = 128;
/// Largest integer of a symmetric map, less its zero point.
const LARGEST_SYMMETRIC: f32 = 127.0;

impl MapQuantisation {
    /// Returns one scale for all channels of a map whose values are in `-range ..= range`.
    #[must_use]
    pub fn symmetric(range: f32, channels: usize) -> Self {
        let smallest = f32::MIN_POSITIVE / SMALLEST_SCALE;
        let scale = if range.is_finite() { range.abs() / LARGEST_SYMMETRIC } else { 0.0 };
        Self { scale: vec![scale.max(smallest); channels], zero: vec![ZERO; channels] }
    }

    /// Returns the scale of a map with one symmetric scale.
    #[must_use]
    pub fn symmetric_scale(&self) -> Option<f32> {
        let first = self.scale.first().copied();
        let is_one = self.scale.iter().all(|&scale| Some(scale) == first);
        first.filter(|_| is_one && self.zero.iter().all(|&zero| zero == ZERO))
    }

    /// The largest absolute value that the bytes of a map stand for.
    fn range(&self) -> f32 {
        let of_channel =
            |(&scale, &zero): (&f32, &u8)| scale * f32::from(zero).max(LARGEST - f32::from(zero));
        self.scale.iter().zip(&self.zero).map(of_channel).fold(0.0, f32::max)
    }
}

impl Quantisation {
    /// Returns maps with one symmetric scale that contain the ranges of the maps of this quantisation; maps that a concat joins
    /// have the same scale.
    #[must_use]
    pub fn symmetric_maps(&self, graph: &Graph) -> BTreeMap<String, MapQuantisation> {
        let mut maps = BTreeMap::new();
        for group in self.joined_maps(graph) {
            let ranges = group.iter().filter_map(|scope| self.maps.get(scope)).map(MapQuantisation::range);
            let range = ranges.fold(0.0, f32::max);
            for scope in group {
                let channels = self.maps.get(&scope).map_or(0, MapQuantisation::channels);
                maps.insert(scope, MapQuantisation::symmetric(range, channels));
            }
        }
        maps
    }

    /// Whether all maps have one symmetric scale, the same where a concat joins them.
    #[must_use]
    pub fn has_symmetric_maps(&self, graph: &Graph) -> bool {
        !self.maps.is_empty()
            && self.joined_maps(graph).iter().all(|group| {
                let mut scales = group.iter().map(|scope| self.maps.get(scope)?.symmetric_scale());
                let first = scales.next().flatten();
                first.is_some() && scales.all(|scale| scale == first)
            })
    }

    /// Returns the scopes of the stored maps in groups: of maps whose bytes meet in a concat.
    #[must_use]
    pub fn joined_maps(&self, graph: &Graph) -> Vec<Vec<String>> {
        let group = joined_nodes(graph, &fuse(graph));
        let mut scopes: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (node, group) in graph.nodes.iter().zip(group) {
            if self.maps.contains_key(&node.scope) {
                scopes.entry(group).or_default().push(node.scope.clone());
            }
        }
        scopes.into_values().collect()
    }
}

/// Returns for each node the number of its group: nodes between which bytes move unchanged.
pub(super) fn joined_nodes(graph: &Graph, fusion: &Fusion) -> Vec<usize> {
    let mut group: Vec<usize> = (0..graph.nodes.len()).collect();
    for index in 0..graph.nodes.len() {
        for source in moved_channels(graph, fusion, NodeId(index)).into_iter().flatten() {
            let (from, to) = (group[source.node.0], group[index]);
            if from != to {
                group.iter_mut().filter(|group| **group == to).for_each(|group| *group = from);
            }
        }
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Builder};

    #[test]
    fn joined_maps_have_one_scale_that_contains_their_ranges() {
        let mut g = Builder::new();
        let image = g.input();
        let x = g.scope("a", |g| g.pointwise_with_bias(image, 4, 0.0));
        let y = g.scope("b", |g| g.pointwise_with_bias(x, 2, 0.0));
        let joined = g.concat(&[x, y]);
        let z = g.scope("c", |g| g.pointwise_with_bias(joined, 3, 0.0));
        let active = g.activation(z, Activation::Relu);
        let last = g.scope("d", |g| g.pointwise_with_bias(active, 1, 0.0));
        g.output("logit", last);
        let graph = g.finish();
        let active = graph.node(active).scope.clone();
        let mut quantisation = Quantisation::default();
        let map = MapQuantisation::of_ranges;
        quantisation.maps.insert("a".to_owned(), map(&[0.0; 4], &[1.0, 2.0, 3.0, 4.0]));
        quantisation.maps.insert("b".to_owned(), map(&[-6.0, 0.0], &[1.0, 1.0]));
        quantisation.maps.insert(active.clone(), map(&[0.0; 3], &[0.5, 0.25, 0.0]));
        assert!(!quantisation.has_symmetric_maps(&graph));

        let maps = quantisation.symmetric_maps(&graph);
        let scale = |scope: &str| maps[scope].symmetric_scale().expect("one scale");
        assert_eq!(scale("a"), scale("b"));
        assert!((scale("a") - 6.0 / 127.0).abs() < 1e-3, "{}", scale("a"));
        assert!((scale(&active) - 0.5 / 127.0).abs() < 1e-6, "{}", scale(&active));
        assert_eq!(maps["a"].channels(), 4);
        quantisation.maps = maps;
        assert!(quantisation.has_symmetric_maps(&graph));
        let other = quantisation.maps.get_mut("b").expect("a map");
        *other = MapQuantisation::symmetric(1.0, 2);
        assert!(!quantisation.has_symmetric_maps(&graph), "scales of joined maps differ");
    }

    #[test]
    fn a_map_without_values_has_a_scale() {
        for range in [0.0, f32::NAN, f32::INFINITY] {
            assert!(MapQuantisation::symmetric(range, 3).symmetric_scale().is_some_and(|scale| scale > 0.0));
        }
    }
}
