//! Backbone, neck and head put together: the network of one architecture as a graph.

use picodet_graph::{Builder, Graph};

use crate::{Backbone, Head, Neck};

/// The parts of a detector; with the number of classes they make its graph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Architecture {
    /// From the image to C3, C4, C5.
    pub backbone: Backbone,
    /// From those to the pyramid.
    pub neck: Neck,
    /// From the pyramid to predictions.
    pub head: Head,
}

impl Architecture {
    /// The graph from a normalised image `[n, 3, h, w]` to, for each level L, `cls_logit.L` `[n, classes, h/s, w/s]`,
    /// `reg.L` `[n, 32, h/s, w/s]` and `score.L` (probabilities), with `backbone.I` and `neck.L` named on the way.
    #[must_use]
    pub fn graph(&self, classes: usize) -> Graph {
        let mut g = Builder::new();
        let image = g.input();
        let maps = self.backbone.append(&mut g, image);
        for (index, map) in maps.into_iter().enumerate() {
            g.output(format!("backbone.{index}"), map);
        }
        let pyramid = self.neck.append(&mut g, maps);
        for (level, &map) in pyramid.iter().enumerate() {
            g.output(format!("neck.{level}"), map);
        }
        self.head.append(&mut g, &pyramid, classes);
        g.finish()
    }

    /// Number of pyramid levels.
    pub fn levels(&self) -> usize {
        match self.neck {
            Neck::CspPan { levels, .. } => levels,
            Neck::LcPan { .. } => 4,
            Neck::Pan { .. } => 3,
        }
    }

    /// Stride of each level in pixels of the network input.
    pub fn strides(&self) -> Vec<usize> {
        (0..self.levels()).map(|level| 8 << level).collect()
    }
}
