//! A Gaussian process over genomes that predicts the accuracy of candidates from those of the evaluated ones.

use crate::Genome;

/// Weights of pairs of genes against single genes.
const PAIRS: [f64; 2] = [0.2, 0.5];
/// Variances of the noise, relative to that of the accuracies.
const NOISE: [f64; 2] = [1e-3, 0.1];

/// A fitted process.
pub(crate) struct Surrogate<'a> {
    genomes: Vec<&'a Genome>,
    /// Lower triangle of the factor of the covariance, row by row.
    factor: Vec<Vec<f64>>,
    pairs: f64,
    scale: f64,
    expected: Expected,
}

impl<'a> Surrogate<'a> {
    /// Fits the process; its two parameters are those under which the accuracies are the most likely. `counts` are the
    /// numbers of values of the genes.
    pub(crate) fn fit(known: &[(&'a Genome, f64)], counts: &[usize]) -> Option<Self> {
        let count = known.len() as f64;
        let mean = known.iter().map(|(_, value)| value).sum::<f64>() / count;
        let scale = (known.iter().map(|(_, value)| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        if known.len() < 3 || scale <= 0.0 || !scale.is_finite() {
            return None;
        }
        let genomes: Vec<&Genome> = known.iter().map(|(genome, _)| *genome).collect();
        let targets: Vec<f64> = known.iter().map(|(_, value)| (value - mean) / scale).collect();
        let mut best: Option<(f64, f64, Vec<Vec<f64>>)> = None;
        for pairs in PAIRS {
            for noise in NOISE {
                let Some(factor) = factorise(&genomes, pairs, noise) else { continue };
                let distance: f64 = forward(&factor, &targets).iter().map(|value| value * value).sum();
                let determinant: f64 =
                    factor.iter().filter_map(|row| row.last()).map(|value| value.ln()).sum();
                let likelihood = -0.5 * distance - determinant;
                if best.as_ref().is_none_or(|(highest, ..)| likelihood > *highest) {
                    best = Some((likelihood, pairs, factor));
                }
            }
        }
        let (_, pairs, factor) = best?;
        let weights: Vec<f64> = solve(&factor, &targets).into_iter().map(|weight| weight * scale).collect();
        let expected = Expected::new(&genomes, &weights, pairs, counts, mean);
        Some(Self { genomes, factor, pairs, scale, expected })
    }

    /// The expected accuracy.
    pub(crate) fn mean(&self, genome: &Genome) -> f64 {
        self.expected.mean(genome)
    }

    /// The standard deviation of the accuracy.
    pub(crate) fn deviation(&self, genome: &Genome) -> f64 {
        let covariances: Vec<f64> =
            self.genomes.iter().map(|known| covariance(known, genome, self.pairs)).collect();
        let explained: f64 = forward(&self.factor, &covariances).iter().map(|value| value * value).sum();
        self.scale * (1.0 - explained).max(0.0).sqrt()
    }
}

/// The expected accuracy as a sum over the values of the genes and over their pairs, which it is for this covariance.
struct Expected {
    mean: f64,
    /// Position of the first value of each gene.
    starts: Vec<usize>,
    single: Vec<f64>,
    /// By position of the first value, then of the second.
    pairs: Vec<f64>,
}

impl Expected {
    fn new(genomes: &[&Genome], weights: &[f64], pairs: f64, counts: &[usize], mean: f64) -> Self {
        let genes = counts.len() as f64;
        let starts: Vec<usize> = (counts.iter())
            .scan(0, |next, count| {
                *next += count;
                Some(*next - count)
            })
            .collect();
        let total: usize = counts.iter().sum();
        let (of_single, of_pair) = ((1.0 - pairs) / genes, 2.0 * pairs / (genes * (genes - 1.0)).max(1.0));
        let mut expected = Self { mean, starts, single: vec![0.0; total], pairs: vec![0.0; total * total] };
        for (genome, weight) in genomes.iter().zip(weights) {
            let positions: Vec<usize> = expected.positions(genome).collect();
            for (index, &first) in positions.iter().enumerate() {
                expected.single[first] += of_single * weight;
                for &second in &positions[index + 1..] {
                    expected.pairs[first * total + second] += of_pair * weight;
                }
            }
        }
        expected
    }

    fn positions<'a>(&'a self, genome: &'a Genome) -> impl Iterator<Item = usize> + Clone + 'a {
        self.starts.iter().zip(&genome.0).map(|(start, &value)| start + usize::from(value))
    }

    fn mean(&self, genome: &Genome) -> f64 {
        let mut sum = self.mean;
        let mut positions = self.positions(genome);
        while let Some(first) = positions.next() {
            let row = &self.pairs[first * self.single.len()..];
            sum += self.single[first] + positions.clone().map(|second| row[second]).sum::<f64>();
        }
        sum
    }
}

/// The share of equal genes and of equal pairs of genes; 1 for equal genomes.
fn covariance(a: &Genome, b: &Genome, pairs: f64) -> f64 {
    let genes = a.0.len() as f64;
    let equal = a.0.iter().zip(&b.0).filter(|(a, b)| a == b).count() as f64;
    let of_pairs = equal * (equal - 1.0) / (genes * (genes - 1.0)).max(1.0);
    (1.0 - pairs) * equal / genes + pairs * of_pairs
}

/// The Cholesky factor of the covariance of genomes with noise.
fn factorise(genomes: &[&Genome], pairs: f64, noise: f64) -> Option<Vec<Vec<f64>>> {
    let mut factor: Vec<Vec<f64>> = Vec::with_capacity(genomes.len());
    for (row, genome) in genomes.iter().enumerate() {
        let mut values: Vec<f64> = Vec::with_capacity(row + 1);
        for (column, above) in factor.iter().enumerate() {
            let product: f64 = values.iter().zip(above).map(|(a, b)| a * b).sum();
            values.push((covariance(genome, genomes[column], pairs) - product) / above[column]);
        }
        let rest = 1.0 + noise - values.iter().map(|value| value * value).sum::<f64>();
        if rest <= 0.0 {
            return None;
        }
        values.push(rest.sqrt());
        factor.push(values);
    }
    Some(factor)
}

/// Solves `L x = b`.
fn forward(factor: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    let mut solved: Vec<f64> = Vec::with_capacity(right.len());
    for (row, &value) in factor.iter().zip(right) {
        let product: f64 = row.iter().zip(&solved).map(|(a, b)| a * b).sum();
        solved.push((value - product) / row[solved.len()]);
    }
    solved
}

/// Solves `L Lᵀ x = b`.
fn solve(factor: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    let mut solved = forward(factor, right);
    for row in (0..solved.len()).rev() {
        solved[row] /= factor[row][row];
        let value = solved[row];
        for column in 0..row {
            solved[column] -= factor[row][column] * value;
        }
    }
    solved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluated_candidates_are_predicted_and_unknown_ones_are_uncertain() {
        let genome = |index: u8| Genome(vec![index % 4, index / 4 % 4, index / 16]);
        let value = |genome: &Genome| genome.0.iter().map(|&gene| f64::from(gene)).sum::<f64>() * 0.1;
        let genomes: Vec<Genome> = (0..64).step_by(3).map(genome).collect();
        let known: Vec<(&Genome, f64)> = genomes.iter().map(|genome| (genome, value(genome))).collect();
        let fitted = Surrogate::fit(&known, &[4; 3]).expect("enough");
        for (genome, value) in &known {
            assert!((fitted.mean(genome) - value).abs() < 0.01);
            assert!(fitted.deviation(genome) < 0.05);
        }
        // The tables are the sum over the evaluated genomes.
        let weights = solve(
            &fitted.factor,
            &known.iter().map(|(_, value)| value - fitted.expected.mean).collect::<Vec<_>>(),
        );
        let sum: f64 = (known.iter().zip(&weights))
            .map(|((known, _), weight)| weight * covariance(known, &genome(2), fitted.pairs))
            .sum();
        assert!((fitted.mean(&genome(2)) - fitted.expected.mean - sum).abs() < 1e-9);
        // The values are a sum over genes, which the others determine.
        let unknown = genome(1);
        assert!((fitted.mean(&unknown) - value(&unknown)).abs() < 0.03);
        assert!(fitted.deviation(&unknown) > fitted.deviation(known[0].0));
        assert!(Surrogate::fit(&known[..2], &[4; 3]).is_none());
        assert!(Surrogate::fit(&[known[0], known[0], known[0]], &[4; 3]).is_none());
    }
}
