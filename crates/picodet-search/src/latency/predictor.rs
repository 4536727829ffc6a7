//! Predicted latencies: the sum of the measured parts of a candidate.

use super::part::Part;
use super::{LatencyError, LatencyTable};
use crate::{Gene, Genome, Space};

/// Predicts the latency of the candidates of a space.
#[derive(Clone, Debug)]
pub struct Predictor {
    terms: Vec<Term>,
    scale: f64,
    offset: f64,
}

/// The milliseconds of a part for all values of the genes that it depends on.
#[derive(Clone, Debug)]
struct Term {
    /// Index of each gene, and the distance of its values in `values`.
    genes: Vec<(usize, usize)>,
    values: Vec<f64>,
}

impl Term {
    fn value(&self, genome: &Genome) -> f64 {
        let index: usize =
            self.genes.iter().map(|&(gene, stride)| usize::from(genome.0[gene]) * stride).sum();
        self.values[index]
    }
}

impl Predictor {
    /// Prepares the predictions of a table for a space whose networks have `classes` classes.
    ///
    /// # Errors
    /// If the table is of another network or number of classes, or lacks a part of a candidate.
    pub fn new(table: &LatencyTable, space: &Space, classes: usize) -> Result<Self, LatencyError> {
        let network = space.base().name;
        if table.network != network {
            let (table, space) = (table.network.clone(), network.to_owned());
            return Err(LatencyError::OtherNetwork { table, space });
        }
        if table.classes != classes {
            return Err(LatencyError::OtherClasses { table: table.classes, data: classes });
        }
        let terms = Part::all(space).into_iter().map(|part| term(part, table, space));
        Ok(Self {
            terms: terms.collect::<Result<_, _>>()?,
            scale: table.whole.scale,
            offset: table.whole.offset,
        })
    }

    /// Returns the milliseconds of an inference of a candidate of the space.
    ///
    /// # Panics
    /// If the genome is not of the space.
    #[must_use]
    pub fn predict(&self, genome: &Genome) -> f64 {
        self.scale * self.sum_of_steps(genome) + self.offset
    }

    /// Returns the milliseconds of the steps of a candidate, each measured by itself.
    ///
    /// # Panics
    /// As [`Predictor::predict`].
    #[must_use]
    pub fn sum_of_steps(&self, genome: &Genome) -> f64 {
        self.terms.iter().map(|term| term.value(genome)).sum()
    }

    /// Returns the values of genes that are not at least one percent faster, in the parts that depend on them, than a larger
    /// value of the same gene: gene, value, larger value.
    #[must_use]
    pub fn without_gain(&self, space: &Space) -> Vec<(Gene, f64, f64)> {
        let mut found = Vec::new();
        for (index, (gene, values)) in space.genes().iter().enumerate() {
            let time = |value: usize| {
                let mut genome = space.published_genome();
                genome.0[index] = value as u8;
                let of_gene = |term: &&Term| term.genes.iter().any(|&(gene, _)| gene == index);
                self.terms.iter().filter(of_gene).map(|term| term.value(&genome)).sum::<f64>()
            };
            let times: Vec<f64> = (0..values.len()).map(time).collect();
            for value in 0..values.len() {
                let larger =
                    (value + 1..values.len()).rev().find(|&other| times[value] > 0.99 * times[other]);
                found.extend(larger.map(|other| (*gene, values[value], values[other])));
            }
        }
        found
    }
}

/// The milliseconds of a part for all values of its genes.
fn term(part: Part, table: &LatencyTable, space: &Space) -> Result<Term, LatencyError> {
    let counts = space.counts();
    let genes: Vec<usize> =
        (0..counts.len()).filter(|&gene| part.depends_on(space.genes()[gene].0)).collect();
    let mut size = 1;
    let strides = genes.iter().map(|&gene| {
        size *= counts[gene];
        (gene, size / counts[gene])
    });
    let genes: Vec<(usize, usize)> = strides.collect();
    let mut values = Vec::with_capacity(size);
    for index in 0..size {
        let mut genome = space.largest();
        for &(gene, stride) in &genes {
            genome.0[gene] = (index / stride % counts[gene]) as u8;
        }
        let key = space.candidate(&genome).and_then(|candidate| part.key(&candidate));
        values.push(match key {
            Some(key) => *table.parts.get(&key).ok_or(LatencyError::Missing(key))?,
            None => 0.0,
        });
    }
    Ok(Term { genes, values })
}
