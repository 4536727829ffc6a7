//! A candidate as the index of one value for each gene.

use picodet_train::random::Stream;
use serde::{Deserialize, Serialize};

/// For each gene, the index of its value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Genome(pub Vec<u8>);

impl Genome {
    /// Draws every gene; `counts` are the numbers of values.
    pub(crate) fn random(counts: &[usize], stream: &mut Stream) -> Self {
        Self(counts.iter().map(|&count| stream.index(count) as u8).collect())
    }

    /// Takes each gene from one of two parents.
    pub(crate) fn crossover(&self, other: &Self, stream: &mut Stream) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(&a, &b)| if stream.chance(0.5) { a } else { b }).collect())
    }

    /// Changes one gene on average, at least one: half of the changes go to a neighbouring value, half to any other one.
    pub(crate) fn mutated(&self, counts: &[usize], stream: &mut Stream) -> Self {
        let mut genome = self.clone();
        let variable: Vec<usize> = (0..counts.len()).filter(|&gene| counts[gene] > 1).collect();
        if variable.is_empty() {
            return genome;
        }
        let always = variable[stream.index(variable.len())];
        for &gene in &variable {
            if gene != always && !stream.chance(1.0 / variable.len() as f64) {
                continue;
            }
            let (count, value) = (counts[gene], usize::from(genome.0[gene]));
            let changed = if stream.chance(0.5) {
                let up = value == 0 || (value + 1 < count && stream.chance(0.5));
                if up { value + 1 } else { value - 1 }
            } else {
                (value + 1 + stream.index(count - 1)) % count
            };
            genome.0[gene] = changed as u8;
        }
        genome
    }

    /// All genomes that differ in one gene.
    pub(crate) fn neighbours<'a>(&'a self, counts: &'a [usize]) -> impl Iterator<Item = Self> + 'a {
        (0..counts.len()).flat_map(move |gene| {
            let other = (0..counts[gene] as u8).filter(move |&value| value != self.0[gene]);
            other.map(move |value| {
                let mut genome = self.clone();
                genome.0[gene] = value;
                genome
            })
        })
    }
}
