//! The networks of a training step: the largest, the smallest, a corner of the space, and random ones.

use std::ops::Range;

use picodet_train::random::{Purpose, Stream};

use crate::Genome;
use crate::space::{Gene, Space};

/// Second position of the stream of corners; the evolution uses 0.
const CORNER: u64 = 1;
/// Second position of the stream of the first gene's orders.
const ORDER: u64 = 2;

/// Which networks a step trains besides the largest, and what they learn from it.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Sandwich {
    /// Whether the smallest network is trained in every step.
    pub smallest: bool,
    /// Whether a step trains a network with the ends of each kind of genes, if there are several kinds.
    pub corner: bool,
    /// Number of random networks.
    pub random: usize,
    /// Share of the steps, at the beginning, that train the largest network only, 0 to 1.
    #[serde(default)]
    pub largest_first: f64,
    /// Share of the loss of the other networks that is the difference to the predictions of the largest instead of to the
    /// labels, 0 to 1.
    #[serde(default)]
    pub distillation: f64,
}

impl Default for Sandwich {
    fn default() -> Self {
        Self { smallest: true, corner: true, random: 2, largest_first: 0.0, distillation: 0.0 }
    }
}

impl Sandwich {
    /// Only the largest network, as in ordinary training.
    pub const LARGEST: Self =
        Self { smallest: false, corner: false, random: 0, largest_first: 0.0, distillation: 0.0 };

    /// Returns the number of networks that each step trains after the steps of the largest.
    #[must_use]
    pub fn networks(&self, space: &Space) -> usize {
        match space.corners().len() {
            1 => 1,
            corners => 1 + usize::from(self.smallest) + usize::from(self.corner && corners > 2) + self.random,
        }
    }

    /// Returns the number of steps that train the largest network only, in a run of `of_steps` steps.
    #[must_use]
    pub fn steps_alone(&self, of_steps: usize) -> usize {
        (self.largest_first * of_steps as f64).round() as usize
    }

    /// Returns the number of networks that some steps of a run of `of_steps` steps train, together.
    #[must_use]
    pub fn passes(&self, space: &Space, steps: Range<usize>, of_steps: usize) -> usize {
        let alone = self.steps_alone(of_steps).clamp(steps.start, steps.end.max(steps.start));
        (alone - steps.start) + steps.end.saturating_sub(alone) * self.networks(space)
    }

    /// Returns the networks of a step in a run of `of_steps` steps, the largest first. They depend only on the seed, the step
    /// and the length of the run; genes of the input have their largest value.
    #[must_use]
    pub fn genomes(&self, space: &Space, seed: u64, step: usize, of_steps: usize) -> Vec<Genome> {
        let corners = space.corners();
        let mut genomes = vec![space.largest()];
        if corners.len() == 1 || step < self.steps_alone(of_steps) {
            return genomes;
        }
        if self.smallest {
            genomes.push(corners[0].clone());
        }
        if self.corner && corners.len() > 2 {
            genomes.push(corner(corners, seed, step));
        }
        let first = step * self.random;
        genomes.extend((first..first + self.random).map(|number| stratified(space, seed, number)));
        genomes
    }
}

fn with_largest_input(space: &Space, mut genome: Genome) -> Genome {
    for ((gene, values), index) in space.genes().iter().zip(&mut genome.0) {
        if *gene == Gene::Input {
            *index = (values.len() - 1) as u8;
        }
    }
    genome
}

/// A corner other than the largest and the smallest network.
fn corner(mut corners: Vec<Genome>, seed: u64, step: usize) -> Genome {
    let mut stream = Stream::new(seed, Purpose::Search, step as u64, CORNER);
    corners.swap_remove(1 + stream.index(corners.len() - 2))
}

/// Random network `number`: if a gene has `n` values, each occurs once among `n` consecutive networks.
fn stratified(space: &Space, seed: u64, number: usize) -> Genome {
    let value = |(index, (_, values)): (usize, &(Gene, Vec<f64>))| {
        let (round, place) = (number / values.len(), number % values.len());
        let mut order: Vec<u8> = (0..values.len() as u8).collect();
        Stream::new(seed, Purpose::Search, round as u64, ORDER + index as u64).shuffle(&mut order);
        order[place]
    };
    with_largest_input(space, Genome(space.genes().iter().enumerate().map(value).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: &str = "network = \"legacy_s_320\"\nratios = [0.5, 0.625, 0.75, 0.875, 1.0]\nneck = [48, 96]\ntower = [1, 2]\ninput = [256, 320]\n";

    #[test]
    fn each_value_is_trained_equally_often() {
        let space = Space::parse(WIDE).expect("a space");
        let sandwich = Sandwich::default();
        let steps: Vec<Vec<Genome>> = (0..50).map(|step| sandwich.genomes(&space, 3, step, 50)).collect();
        assert!(steps.iter().all(|genomes| genomes.len() == 5 && genomes[0] == space.largest()));
        assert!(steps.iter().all(|genomes| genomes[1].0 == [vec![0; 15], vec![1]].concat()));
        let random: Vec<&Genome> = steps.iter().flat_map(|genomes| &genomes[3..]).collect();
        for five in random.chunks(5) {
            for gene in 0..13 {
                let mut values: Vec<u8> = five.iter().map(|genome| genome.0[gene]).collect();
                values.sort_unstable();
                assert_eq!(values, [0, 1, 2, 3, 4]);
            }
        }
        let blocks: std::collections::HashSet<_> =
            random.iter().map(|genome| genome.0[..13].to_vec()).collect();
        assert!(blocks.len() > 95, "genes are drawn independently");
        assert_ne!(steps[1], sandwich.genomes(&space, 4, 1, 50));
    }

    #[test]
    fn corners_are_those_that_largest_and_smallest_do_not_cover() {
        let space = Space::parse(WIDE).expect("a space");
        let corners: std::collections::BTreeSet<Genome> =
            (0..60).map(|step| Sandwich::default().genomes(&space, 0, step, 60).remove(2)).collect();
        assert_eq!(corners.len(), 6, "{corners:?}");
        for Genome(genes) in &corners {
            assert!(genes[..13] == [0; 13] || genes[..13] == [4; 13]);
            assert_eq!(genes[15], 1, "the size of the input is that of the batch");
        }
    }

    #[test]
    fn steps_have_as_many_networks_as_the_space_needs() {
        let of = |text: &str| Space::parse(&format!("network = \"legacy_s_320\"\n{text}")).expect("a space");
        let cases =
            [("ratios = [0.5, 1.0]", 4), ("neck = [48, 96]\ntower = [1, 2]", 5), ("input = [256, 320]", 1)];
        for (text, count) in cases {
            let (space, sandwich) = (of(text), Sandwich::default());
            assert_eq!((sandwich.networks(&space), sandwich.genomes(&space, 1, 7, 8).len()), (count, count));
        }
        assert_eq!(Sandwich::LARGEST.genomes(&of("ratios = [0.5, 1.0]"), 1, 7, 8).len(), 1);
    }

    #[test]
    fn the_first_steps_train_the_largest_network_only() {
        let space = Space::parse(WIDE).expect("a space");
        let sandwich = Sandwich { largest_first: 0.3, ..Sandwich::default() };
        let counts = |of: usize| -> Vec<usize> {
            (0..of).map(|step| sandwich.genomes(&space, 1, step, of).len()).collect()
        };
        assert_eq!(counts(5), [1, 1, 5, 5, 5]);
        assert_eq!(counts(10), [1, 1, 1, 5, 5, 5, 5, 5, 5, 5]);
        for (start, end) in [(0, 0), (0, 2), (0, 5), (1, 4), (3, 5), (4, 4)] {
            let sum = counts(5)[start..end].iter().sum::<usize>();
            assert_eq!(sandwich.passes(&space, start..end, 5), sum, "{start}..{end}");
        }
        assert_eq!(sandwich.genomes(&space, 1, 4, 5), Sandwich::default().genomes(&space, 1, 4, 5));
    }
}
