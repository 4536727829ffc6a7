//! The named outputs of a head.

use super::kind::{Head, HeadKind};

/// A map that a head computes on every pyramid level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeadMap {
    /// Output of the convolution tower.
    Tower,
    /// The tower's output after squeeze-excite; second generation only.
    Excited,
    /// Class logits, `[n, classes, h, w]`.
    ClassLogit,
    /// Logits of the distance distributions of the four box sides, `[n, REG_CHANNELS, h, w]`.
    Box,
    /// Logit of the task alignment, `[n, 1, h, w]`; second generation only.
    AlignLogit,
    /// Class probabilities, `[n, classes, h, w]`.
    Score,
}

impl HeadMap {
    /// All maps, in the order in which a head computes them.
    pub const ALL: [Self; 6] =
        [Self::Tower, Self::Excited, Self::ClassLogit, Self::Box, Self::AlignLogit, Self::Score];

    /// Returns the name that the map has in a graph and in files, without the level.
    pub fn key(self) -> &'static str {
        match self {
            Self::Tower => "headfeat_cls",
            Self::Excited => "headfeat_se",
            Self::ClassLogit => "cls_logit",
            Self::Box => "reg",
            Self::AlignLogit => "align_logit",
            Self::Score => "score",
        }
    }

    /// Returns the name of the graph output of pyramid level `level`, as in `score.0`.
    pub fn name(self, level: usize) -> String {
        format!("{}.{level}", self.key())
    }

    /// Returns the map and the level of a graph output's name; `None` for outputs of backbone and neck.
    pub fn of(name: &str) -> Option<(Self, usize)> {
        let (key, level) = name.split_once('.')?;
        let map = Self::ALL.into_iter().find(|map| map.key() == key)?;
        Some((map, level.parse().ok()?))
    }
}

impl Head {
    /// Returns the maps that detection reads.
    pub const fn detection_outputs() -> [HeadMap; 2] {
        [HeadMap::Score, HeadMap::Box]
    }

    /// Returns the maps that the losses of this head read.
    pub const fn training_outputs(&self) -> &'static [HeadMap] {
        match self.kind {
            HeadKind::PicoHead => &[HeadMap::ClassLogit, HeadMap::Box],
            HeadKind::PicoHeadV2 => &[HeadMap::ClassLogit, HeadMap::Box, HeadMap::AlignLogit],
        }
    }

    /// Returns whether detection reads the graph output of this name.
    pub fn is_detection_output(name: &str) -> bool {
        HeadMap::of(name).is_some_and(|(map, _)| Self::detection_outputs().contains(&map))
    }

    /// Returns whether the losses of any head read the graph output of this name.
    pub fn is_training_output(name: &str) -> bool {
        let read = [HeadMap::ClassLogit, HeadMap::Box, HeadMap::AlignLogit];
        HeadMap::of(name).is_some_and(|(map, _)| read.contains(&map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variants;

    #[test]
    fn names_are_read_back() {
        for map in HeadMap::ALL {
            assert_eq!(HeadMap::of(&map.name(3)), Some((map, 3)));
        }
        for name in ["neck.0", "score", "score.", "score.x", "scores.0", "reg_.1"] {
            assert_eq!(HeadMap::of(name), None, "{name}");
        }
    }

    #[test]
    fn every_network_has_the_outputs_of_its_head() {
        for variant in variants() {
            let graph = variant.architecture.graph(2);
            let head = variant.architecture.head;
            for level in 0..variant.architecture.levels() {
                for map in Head::detection_outputs().iter().chain(head.training_outputs()) {
                    let name = map.name(level);
                    assert!(graph.output(&name).is_some(), "{} has no {name}", variant.name);
                }
            }
            let trained =
                graph.outputs.iter().filter(|output| Head::is_training_output(&output.name)).count();
            let expected = head.training_outputs().len() * variant.architecture.levels();
            assert_eq!(trained, expected, "{}", variant.name);
        }
    }
}
