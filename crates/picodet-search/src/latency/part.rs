//! The parts of a network whose latencies add up to that of the network.

use picodet_zoo::{Backbone, ESNET_DEPTHS};

use crate::{Candidate, Gene, Space};

/// The groups of blocks of LCNet whose maps the neck reads.
const MAPS: [usize; 3] = [2, 3, 4];

/// A part of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// A block of ESNet, by its index.
    Block(usize),
    /// A group of blocks of LCNet, by its index.
    Group(usize),
    /// The convolution before the neck that reads a map of LCNet, by the level of the map.
    Reduction(usize),
    /// The neck, with LCNet without its reductions.
    Neck,
    /// A pair of convolutions of the towers of all levels, by its index.
    Tower(usize),
    /// The rest of the head.
    Predictions,
    /// All others.
    Rest,
}

impl Part {
    /// All parts of the networks of a space.
    pub(crate) fn all(space: &Space) -> Vec<Self> {
        let architecture = space.supernet();
        let backbone: Vec<Self> = match architecture.backbone {
            Backbone::EsNet(esnet) => (0..esnet.ratios.len()).map(Self::Block).collect(),
            Backbone::LcNet(lcnet) => {
                let groups = (0..lcnet.scales.len()).map(Self::Group);
                groups.chain((0..MAPS.len()).map(Self::Reduction)).collect()
            }
            _ => Vec::new(),
        };
        let towers = architecture.head.tower_convolutions;
        let others = [Self::Neck, Self::Predictions, Self::Rest];
        backbone.into_iter().chain((0..towers).map(Self::Tower)).chain(others).collect()
    }

    /// The part that a step of the engine belongs to, by the scope of its node.
    pub(crate) fn of_scope(scope: &str, backbone: &Backbone) -> Self {
        let path: Vec<&str> = scope.split('.').collect();
        let number = |text: &str| text.parse::<usize>().ok();
        match path[..] {
            ["backbone", stage, block, ..] if matches!(backbone, Backbone::EsNet(_)) => {
                let stage =
                    stage.strip_prefix("stage").and_then(number).and_then(|stage| stage.checked_sub(2));
                let (Some(stage), Some(block)) = (stage, number(block)) else { return Self::Rest };
                Self::Block(ESNET_DEPTHS.iter().take(stage).sum::<usize>() + block)
            }
            ["backbone", group, ..] if matches!(backbone, Backbone::LcNet(_)) => {
                let group = group.strip_prefix("blocks").and_then(number);
                group.and_then(|group| group.checked_sub(2)).map_or(Self::Rest, Self::Group)
            }
            ["neck", "reduce", level, ..] if matches!(backbone, Backbone::LcNet(_)) => {
                number(level).map_or(Self::Neck, Self::Reduction)
            }
            ["neck", ..] => Self::Neck,
            ["head", _, "tower", index, ..] => number(index).map_or(Self::Predictions, Self::Tower),
            ["head", ..] => Self::Predictions,
            _ => Self::Rest,
        }
    }

    /// Whether its latency depends on a gene.
    pub(crate) fn depends_on(self, gene: Gene) -> bool {
        match gene {
            Gene::Input => true,
            Gene::Ratio(block) => self == Self::Block(block),
            // The first block of a group reads the map of the group before it.
            Gene::Scale(group) => match self {
                Self::Group(own) => own == group || own == group + 1,
                Self::Reduction(level) => MAPS[level] == group,
                _ => false,
            },
            Gene::Neck => {
                matches!(self, Self::Neck | Self::Reduction(_) | Self::Tower(_) | Self::Predictions)
            }
            Gene::NeckKernel => self == Self::Neck,
            Gene::TowerKernel => matches!(self, Self::Tower(_)),
            Gene::Tower => matches!(self, Self::Tower(_)),
        }
    }

    /// The name of the part of a candidate in a latency table; `None` if the candidate does not have it.
    pub(crate) fn key(self, candidate: &Candidate) -> Option<String> {
        let Candidate { architecture, input_size: (height, width) } = candidate;
        let channels = architecture.neck.channels();
        let part = match (self, architecture.backbone) {
            (Self::Block(block), Backbone::EsNet(esnet)) => {
                format!("block {block}, ratio {}", esnet.ratios.get(block)?)
            }
            (Self::Group(group), Backbone::LcNet(lcnet)) => {
                let before = group.checked_sub(1).map_or(lcnet.scale, |before| lcnet.scales[before]);
                format!("group {group}, scale {} after {before}", lcnet.scales.get(group)?)
            }
            (Self::Reduction(level), Backbone::LcNet(lcnet)) => {
                format!("reduction {level} to {channels} channels, scale {}", lcnet.scales[*MAPS.get(level)?])
            }
            (Self::Block(_) | Self::Group(_) | Self::Reduction(_), _) => return None,
            (Self::Neck, _) => {
                let kernel = architecture.neck.kernel().unwrap_or(1);
                format!("neck of {channels} channels, kernel {kernel}")
            }
            (Self::Tower(index), _) if index >= architecture.head.tower_convolutions => return None,
            (Self::Tower(index), _) => {
                format!("tower {index} of {channels} channels, kernel {}", architecture.head.tower_kernel)
            }
            (Self::Predictions, _) => format!("predictions from {channels} channels"),
            (Self::Rest, _) => "rest".to_owned(),
        };
        Some(format!("{height}x{width}: {part}"))
    }
}
