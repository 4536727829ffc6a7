//! A space of candidates around a published network.

use picodet_zoo::{Architecture, ArchitectureOverrides, Backbone, LcNet, OverrideError, Variant, variant};
use serde::{Deserialize, Serialize};

use crate::{Genome, SearchError};

/// Channel ratios of ESNet's blocks.
const RATIOS: [f64; 5] = [0.5, 0.625, 0.75, 0.875, 1.0];

/// A space file.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    network: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ratios: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scales: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    neck: Vec<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tower: Vec<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    neck_kernel: Vec<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tower_kernel: Vec<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    input: Vec<usize>,
}

/// The property that a gene sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gene {
    /// The channel ratio of a block of ESNet, by its index.
    Ratio(usize),
    /// The width multiplier of a group of blocks of LCNet, by its index.
    Scale(usize),
    /// The channels of all levels of the neck, and with them of the head.
    Neck,
    /// The number of convolutions of each tower of the head.
    Tower,
    /// The kernel of the neck's depthwise convolutions.
    NeckKernel,
    /// The kernel of the depthwise convolutions of the towers.
    TowerKernel,
    /// Height and width of the network input in pixels.
    Input,
}

impl Gene {
    /// Returns its name in a space file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ratio(_) => "ratios",
            Self::Scale(_) => "scales",
            Self::Neck => "neck",
            Self::Tower => "tower",
            Self::NeckKernel => "neck_kernel",
            Self::TowerKernel => "tower_kernel",
            Self::Input => "input",
        }
    }

    /// Sets its value in the overrides of `base`; the input size is not one of them.
    fn set(self, value: f64, base: &Architecture, overrides: &mut ArchitectureOverrides) {
        match (self, base.backbone) {
            (Self::Ratio(block), Backbone::EsNet(esnet)) => {
                overrides.ratios.get_or_insert(esnet.ratios)[block] = value as f32;
            }
            (Self::Scale(group), Backbone::LcNet(lcnet)) => {
                overrides.scales.get_or_insert(lcnet.scales)[group] = value as f32;
            }
            (Self::Neck, _) => overrides.neck_channels = Some(value as usize),
            (Self::Tower, _) => overrides.tower_convolutions = Some(value as usize),
            (Self::NeckKernel, _) => overrides.neck_kernel = Some(value as usize),
            (Self::TowerKernel, _) => overrides.tower_kernel = Some(value as usize),
            (Self::Ratio(_) | Self::Scale(_) | Self::Input, _) => {}
        }
    }
}

/// A network of a space.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// Backbone, neck and head.
    pub architecture: Architecture,
    /// Height and width of its input in pixels.
    pub input_size: (usize, usize),
}

/// Candidates that are slices of one supernet.
#[derive(Clone, Debug)]
pub struct Space {
    base: &'static Variant,
    /// Each gene with its values in ascending order.
    genes: Vec<(Gene, Vec<f64>)>,
}

impl Space {
    /// Returns the paper's space of a network: the channel ratios of ESNet's 13 blocks.
    ///
    /// # Errors
    /// [`SearchError::UnknownNetwork`], [`SearchError::NotSearchable`] for another backbone.
    pub fn published(network: &str) -> Result<Self, SearchError> {
        Self::new(File { network: network.to_owned(), ratios: RATIOS.to_vec(), ..File::default() })
    }

    /// Returns the space of a network with everything that changes its latency: the channel ratios of ESNet's blocks or the
    /// widths of LCNet's groups of blocks from half of the network's, widths of the neck from half of the network's width, kernels, convolutions of the towers, and input sizes.
    ///
    /// # Errors
    /// [`SearchError::UnknownNetwork`].
    pub fn wide(network: &str) -> Result<Self, SearchError> {
        let base = variant(network).ok_or_else(|| SearchError::UnknownNetwork(network.to_owned()))?;
        let Architecture { backbone, neck, head } = base.architecture;
        let largest = neck.channels();
        let size = base.input_size.0;
        Self::new(File {
            network: network.to_owned(),
            ratios: if matches!(backbone, Backbone::EsNet(_)) { RATIOS.to_vec() } else { Vec::new() },
            scales: match backbone {
                // As decimal numbers, as a file has them.
                Backbone::LcNet(LcNet { scale, .. }) => {
                    let decimal = |ratio: f64| (1e4 * ratio * f64::from(scale)).round() / 1e4;
                    RATIOS.map(decimal).to_vec()
                }
                _ => Vec::new(),
            },
            neck: (4..=8).map(|eighths| (largest * eighths / 8).next_multiple_of(16)).collect(),
            tower: (1..=head.tower_convolutions).collect(),
            neck_kernel: neck.kernel().map_or_else(Vec::new, |kernel| vec![3, kernel]),
            tower_kernel: vec![3, head.tower_kernel],
            input: (0..4).map(|steps| size.saturating_sub(32 * steps).max(128)).collect(),
        })
    }

    /// Reads a space file: the name of a network, and the values of genes, as in
    ///
    /// ```toml
    /// network = "legacy_s_320"
    /// ratios = [0.5, 0.625, 0.75, 0.875, 1.0]
    /// neck = [48, 64, 80, 96]
    /// tower = [1, 2]
    /// neck_kernel = [3, 5]
    /// tower_kernel = [3, 5]
    /// input = [256, 288, 320]
    /// ```
    ///
    /// Genes that are absent keep the values of the network. Networks with LCNet have `scales` instead of `ratios`.
    ///
    /// # Errors
    /// [`SearchError`] for a file of another form, an unknown network and impossible values.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        Self::new(toml::from_str(text)?)
    }

    fn new(file: File) -> Result<Self, SearchError> {
        let base = variant(&file.network).ok_or(SearchError::UnknownNetwork(file.network))?;
        let (blocks, groups) = match base.architecture.backbone {
            Backbone::EsNet(esnet) => (esnet.ratios.len(), 0),
            Backbone::LcNet(lcnet) => (0, lcnet.scales.len()),
            _ => (0, 0),
        };
        for (count, values, gene) in [(blocks, &file.ratios, "ratios"), (groups, &file.scales, "scales")] {
            if count == 0 && !values.is_empty() {
                return Err(SearchError::NotSearchable { network: base.name.to_owned(), gene });
            }
        }
        let floats = |values: &[usize]| values.iter().map(|&value| value as f64).collect::<Vec<f64>>();
        let mut lists: Vec<(Gene, Vec<f64>)> =
            (0..blocks).map(|block| (Gene::Ratio(block), file.ratios.clone())).collect();
        lists.extend((0..groups).map(|group| (Gene::Scale(group), file.scales.clone())));
        lists.push((Gene::Neck, floats(&file.neck)));
        lists.push((Gene::Tower, floats(&file.tower)));
        lists.push((Gene::NeckKernel, floats(&file.neck_kernel)));
        lists.push((Gene::TowerKernel, floats(&file.tower_kernel)));
        lists.push((Gene::Input, floats(&file.input)));
        let mut genes = Vec::new();
        for (gene, mut values) in lists.into_iter().filter(|(_, values)| !values.is_empty()) {
            for &value in &values {
                check(base, gene, value)?;
            }
            values.sort_by(f64::total_cmp);
            values.dedup();
            genes.push((gene, values));
        }
        if genes.iter().all(|(_, values)| values.len() < 2) {
            return Err(SearchError::Empty);
        }
        Ok(Self { base, genes })
    }

    /// Returns the space as a space file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let values = |wanted: Gene| {
            let values = self.genes.iter().filter(move |(gene, _)| *gene == wanted);
            values.flat_map(|(_, values)| values.iter().copied())
        };
        let integers = |wanted: Gene| values(wanted).map(|value| value as usize).collect();
        let file = File {
            network: self.base.name.to_owned(),
            ratios: values(Gene::Ratio(0)).collect(),
            scales: values(Gene::Scale(0)).collect(),
            neck: integers(Gene::Neck),
            tower: integers(Gene::Tower),
            neck_kernel: integers(Gene::NeckKernel),
            tower_kernel: integers(Gene::TowerKernel),
            input: integers(Gene::Input),
        };
        toml::to_string(&file).unwrap_or_default()
    }

    /// The input sizes (height, width) of the candidates.
    #[must_use]
    pub fn input_sizes(&self) -> Vec<(usize, usize)> {
        match self.genes.iter().find(|(gene, _)| *gene == Gene::Input) {
            None => vec![self.base.input_size],
            Some((_, values)) => values.iter().map(|&side| (side as usize, side as usize)).collect(),
        }
    }

    /// The genomes with which a search begins: the published network, the largest, the smallest, and uniform ones between
    /// those.
    #[must_use]
    pub fn seeds(&self) -> Vec<Genome> {
        let uniform = |quarter: usize| {
            Genome(self.genes.iter().map(|(_, values)| ((values.len() - 1) * quarter / 4) as u8).collect())
        };
        let mut seeds = vec![self.published_genome(), self.largest(), self.smallest()];
        seeds.extend([uniform(1), uniform(2), uniform(3)]);
        seeds
    }

    /// The genomes whose genes of each kind all have their smallest, or all their largest, value: the ratios or scales, the width of
    /// the neck, and so on. Genes of the input have their largest value.
    #[must_use]
    pub fn corners(&self) -> Vec<Genome> {
        let mut kinds: Vec<std::mem::Discriminant<Gene>> = Vec::new();
        for (gene, values) in &self.genes {
            let kind = std::mem::discriminant(gene);
            if values.len() > 1 && *gene != Gene::Input && !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        let corner = |ends: usize| {
            let value = |(gene, values): &(Gene, Vec<f64>)| {
                let kind = kinds.iter().position(|kind| *kind == std::mem::discriminant(gene));
                let is_large = kind.is_none_or(|kind| ends >> kind & 1 == 1);
                if is_large { (values.len() - 1) as u8 } else { 0 }
            };
            Genome(self.genes.iter().map(value).collect())
        };
        (0..1 << kinds.len()).map(corner).collect()
    }

    /// The network whose genes are searched.
    #[must_use]
    pub fn base(&self) -> &'static Variant {
        self.base
    }

    /// Each gene with its values in ascending order.
    #[must_use]
    pub fn genes(&self) -> &[(Gene, Vec<f64>)] {
        &self.genes
    }

    /// The number of values of each gene.
    #[must_use]
    pub fn counts(&self) -> Vec<usize> {
        self.genes.iter().map(|(_, values)| values.len()).collect()
    }

    /// The genome with the largest value of each gene: the supernet.
    #[must_use]
    pub fn largest(&self) -> Genome {
        Genome(self.genes.iter().map(|(_, values)| (values.len() - 1) as u8).collect())
    }

    /// The network with the largest value of each gene.
    #[must_use]
    pub fn supernet(&self) -> Architecture {
        self.candidate(&self.largest()).map_or(self.base.architecture, |candidate| candidate.architecture)
    }

    /// The genome with the smallest value of each gene.
    #[must_use]
    pub fn smallest(&self) -> Genome {
        Genome(vec![0; self.genes.len()])
    }

    /// The genome whose values are nearest to those of the published network.
    #[must_use]
    pub fn published_genome(&self) -> Genome {
        let Architecture { backbone, neck, head } = self.base.architecture;
        let nearest = |(gene, values): &(Gene, Vec<f64>)| {
            let own = match (gene, backbone) {
                (Gene::Ratio(block), Backbone::EsNet(esnet)) => f64::from(esnet.ratios[*block]),
                (Gene::Scale(group), Backbone::LcNet(lcnet)) => f64::from(lcnet.scales[*group]),
                (Gene::Tower, _) => head.tower_convolutions as f64,
                (Gene::NeckKernel, _) => neck.kernel().unwrap_or_default() as f64,
                (Gene::TowerKernel, _) => head.tower_kernel as f64,
                (Gene::Input, _) => self.base.input_size.0 as f64,
                _ => neck.channels() as f64,
            };
            let distance = |index: &usize| (values[*index] - own).abs();
            let nearest = (0..values.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
            nearest.unwrap_or_default() as u8
        };
        Genome(self.genes.iter().map(nearest).collect())
    }

    /// Returns the network of a genome; `None` if it is not of this space.
    #[must_use]
    pub fn candidate(&self, genome: &Genome) -> Option<Candidate> {
        if genome.0.len() != self.genes.len() {
            return None;
        }
        let mut overrides = ArchitectureOverrides::default();
        let mut input_size = self.base.input_size;
        for ((gene, values), &index) in self.genes.iter().zip(&genome.0) {
            let value = *values.get(usize::from(index))?;
            gene.set(value, &self.base.architecture, &mut overrides);
            if *gene == Gene::Input {
                input_size = (value as usize, value as usize);
            }
        }
        let architecture = overrides.apply(&self.base.architecture).ok()?;
        Some(Candidate { architecture, input_size })
    }
}

/// Checks a value of a gene.
fn check(base: &Variant, gene: Gene, value: f64) -> Result<(), SearchError> {
    let wrong = |rule| SearchError::Value { gene: gene.name(), value, rule };
    if gene == Gene::Input {
        let is_possible = value % 32.0 == 0.0 && (32.0..=4096.0).contains(&value);
        return if is_possible { Ok(()) } else { Err(wrong("a multiple of 32, at most 4096")) };
    }
    let mut overrides = ArchitectureOverrides::default();
    gene.set(value, &base.architecture, &mut overrides);
    match base.with(&overrides) {
        Ok(_) => Ok(()),
        Err(OverrideError::Value { rule, .. }) => Err(wrong(rule)),
        Err(_) => Err(SearchError::NotSearchable { network: base.name.to_owned(), gene: gene.name() }),
    }
}
