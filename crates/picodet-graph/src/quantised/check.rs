//! Checks that a quantisation fits a graph.

use super::maps::moved_channels;
use super::{MapQuantisation, Quantisation, QuantisedConvolution, is_quantisable, maps_of};
use crate::check::{CheckError, into_result};
use crate::pass::fuse;
use crate::{Convolution, Graph, NodeId, Op};

impl Quantisation {
    /// Checks that every quantised convolution exists, has weights of its shape and reads bytes, and that every map has
    /// valid scales for its channels.
    ///
    /// # Errors
    /// [`CheckError`] with all problems.
    pub fn check(&self, graph: &Graph) -> Result<(), CheckError> {
        let fusion = fuse(graph);
        let mut problems = Vec::new();
        if !self.std.iter().all(|&std| is_scale(std)) || !self.mean.iter().all(|mean| mean.is_finite()) {
            problems.push("the mean or the standard deviation of the image is not valid".to_owned());
        }
        let find = |scope: &str| graph.nodes.iter().position(|node| node.scope == scope);
        for (scope, convolution) in &self.convolutions {
            let Some(index) = find(scope).filter(|&index| is_quantisable(graph, NodeId(index))) else {
                problems
                    .push(format!("{scope}: has 8-bit weights, but is no convolution that can be quantised"));
                continue;
            };
            let node = &graph.nodes[index];
            let Op::Convolution(op) = node.op else { continue };
            let in_channels = graph.node(node.inputs[0]).shape.channels;
            problems
                .extend(convolution.problem(&op, in_channels).map(|problem| format!("{scope}: {problem}")));
        }
        for (scope, map) in &self.maps {
            let Some(index) = find(scope) else {
                problems.push(format!("{scope}: has scales, but the network has no such map"));
                continue;
            };
            let id = NodeId(index);
            let is_inside = fusion.block(id).is_some_and(|block| block.last != id);
            if is_inside || moved_channels(graph, &fusion, id).is_some() {
                problems.push(format!("{scope}: has scales, but is no map that is stored"));
            }
            let channels = graph.nodes[index].shape.channels;
            problems.extend(map.problem(channels).map(|problem| format!("{scope}: {problem}")));
        }
        if problems.is_empty() {
            let maps = maps_of(graph, &fusion, self);
            for node in graph.nodes.iter().filter(|node| self.convolutions.contains_key(&node.scope)) {
                let input = node.inputs[0];
                if graph.node(input).op != Op::Input && maps[input.0].is_none() {
                    let name = &graph.node(input).scope;
                    problems.push(format!("{}: reads `{name}`, which has no scales", node.scope));
                }
            }
        }
        into_result(problems)
    }
}

impl QuantisedConvolution {
    fn problem(&self, op: &Convolution, in_channels: usize) -> Option<String> {
        let weights = op.out_channels * (in_channels / op.groups) * op.kernel * op.kernel;
        let found = (self.weight.len(), self.scale.len(), self.bias.len());
        let expected = (weights, op.out_channels, op.out_channels);
        if found != expected {
            return Some(format!(
                "{} 8-bit weights, {} scales and {} biases, expected {}, {} and {}",
                found.0, found.1, found.2, expected.0, expected.1, expected.2
            ));
        }
        if self.weight.contains(&i8::MIN) {
            return Some("an 8-bit weight is -128; the range is -127 to 127".to_owned());
        }
        let is_valid =
            self.scale.iter().all(|&scale| is_scale(scale)) && self.bias.iter().all(|bias| bias.is_finite());
        (!is_valid).then(|| "a scale or a bias is not finite, or a scale is not positive".to_owned())
    }
}

impl MapQuantisation {
    fn problem(&self, channels: usize) -> Option<String> {
        if self.scale.len() != channels || self.zero.len() != channels {
            return Some(format!(
                "{} scales and {} zero points for {channels} channels",
                self.scale.len(),
                self.zero.len()
            ));
        }
        let is_valid = self.scale.iter().all(|&scale| is_scale(scale));
        (!is_valid).then(|| "a scale is not positive and finite".to_owned())
    }
}

/// Whether a scale and its reciprocal are positive and finite, 256 times over.
fn is_scale(scale: f32) -> bool {
    scale > 0.0 && (scale * 256.0).is_finite() && (256.0 / scale).is_finite()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Builder};

    fn network() -> (Graph, Quantisation) {
        let mut g = Builder::new();
        let image = g.input();
        let stem = g.scope("stem", |g| g.convolution(image, 4, 3, 2, 1));
        let x = g.activation(stem, Activation::Relu);
        let y = g.scope("last", |g| g.pointwise_with_bias(x, 2, 0.0));
        g.output("result", y);
        let convolution = |out: usize, weights: usize| QuantisedConvolution {
            weight: vec![1; out * weights],
            scale: vec![0.5; out],
            bias: vec![0.0; out],
        };
        let mut quantisation = Quantisation { mean: [0.5; 3], std: [0.2; 3], ..Quantisation::default() };
        quantisation.convolutions.insert("stem.conv".to_owned(), convolution(4, 27));
        quantisation.convolutions.insert("last".to_owned(), convolution(2, 4));
        quantisation.maps.insert("act".to_owned(), MapQuantisation { scale: vec![0.1; 4], zero: vec![0; 4] });
        (g.finish(), quantisation)
    }

    #[test]
    fn each_fault_is_named() {
        let (graph, sound) = network();
        assert_eq!(sound.check(&graph), Ok(()));
        let fault = |change: fn(&mut Quantisation)| {
            let mut faulty = sound.clone();
            change(&mut faulty);
            faulty.check(&graph).map_or_else(|error| error.to_string(), |()| "nothing".to_owned())
        };
        assert!(fault(|q| drop(q.maps.remove("act"))).contains("last: reads `act`, which has no scales"));
        assert!(fault(|q| q.std[1] = 0.0).contains("standard deviation"));
        type Change = fn(&mut QuantisedConvolution);
        let cases: [(Change, &str); 4] = [
            (|stem| stem.weight.truncate(5), "5 8-bit weights"),
            (|stem| stem.weight[3] = -128, "-128"),
            (|stem| stem.scale[0] = f32::NAN, "not finite"),
            (|stem| stem.bias[0] = f32::INFINITY, "not finite"),
        ];
        for (change, expected) in cases {
            let mut faulty = sound.clone();
            change(faulty.convolutions.get_mut("stem.conv").expect("the stem"));
            let error = faulty.check(&graph).expect_err(expected).to_string();
            assert!(error.contains(expected) && error.starts_with("stem.conv"), "{error}");
        }
        assert!(fault(|q| q.maps.get_mut("act").expect("a map").zero.truncate(1)).contains("1 zero points"));
        assert!(fault(|q| q.maps.get_mut("act").expect("a map").scale[0] = -1.0).contains("not positive"));
        let renamed = fault(|q| {
            let map = q.maps["act"].clone();
            q.maps.insert("stem.conv".to_owned(), map.clone());
            q.maps.insert("nowhere".to_owned(), map);
            let convolution = q.convolutions["last"].clone();
            q.convolutions.insert("act".to_owned(), convolution);
        });
        for part in ["act: has 8-bit", "stem.conv: has scales, but is no map", "nowhere: has scales"] {
            assert!(renamed.contains(part), "{renamed}");
        }
    }
}
