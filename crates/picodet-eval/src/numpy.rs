//! The numpy functions whose rounding decides the last digits of the metrics of pycocotools.

/// `numpy.linspace(start, stop, count)`.
pub(crate) fn linspace(start: f64, stop: f64, count: usize) -> Vec<f64> {
    if count < 2 {
        return vec![start; count];
    }
    let step = (stop - start) / (count - 1) as f64;
    let mut values: Vec<f64> = (0..count).map(|i| i as f64 * step + start).collect();
    values[count - 1] = stop;
    values
}

/// `numpy.mean` of the values above -1, or -1 without any.
pub(crate) fn mean_of_present(values: impl Iterator<Item = f64>) -> f64 {
    let present: Vec<f64> = values.filter(|&value| value > -1.0).collect();
    if present.is_empty() { -1.0 } else { pairwise_sum(&present) / present.len() as f64 }
}

/// numpy's pairwise summation: eight running sums over blocks of at most 128, blocks added as a tree.
fn pairwise_sum(values: &[f64]) -> f64 {
    let count = values.len();
    if count < 8 {
        return values.iter().fold(0.0, |sum, value| sum + value);
    }
    if count <= 128 {
        let mut sums = [0.0; 8];
        sums.copy_from_slice(&values[..8]);
        let whole = count - count % 8;
        for eight in values[8..whole].chunks_exact(8) {
            for (sum, value) in sums.iter_mut().zip(eight) {
                *sum += value;
            }
        }
        let [a, b, c, d, e, f, g, h] = sums;
        let tree = ((a + b) + (c + d)) + ((e + f) + (g + h));
        return values[whole..].iter().fold(tree, |sum, value| sum + value);
    }
    let mut half = count / 2;
    half -= half % 8;
    pairwise_sum(&values[..half]) + pairwise_sum(&values[half..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linspace_has_numpys_bits() {
        // Printed by numpy 2.4: [x.hex() for x in np.linspace(.5, .95, 10)].
        let expected: [u64; 10] = [
            0x3fe0000000000000,
            0x3fe199999999999a,
            0x3fe3333333333333,
            0x3fe4cccccccccccd,
            0x3fe6666666666666,
            0x3fe8000000000000,
            0x3fe999999999999a,
            0x3feb333333333333,
            0x3feccccccccccccc,
            0x3fee666666666666,
        ];
        let bits: Vec<u64> = linspace(0.5, 0.95, 10).iter().map(|value| value.to_bits()).collect();
        assert_eq!(bits, expected);
        assert_eq!(linspace(0.0, 1.0, 101)[100], 1.0);
    }

    #[test]
    fn pairwise_sum_is_the_sum() {
        for count in [0, 1, 7, 8, 9, 127, 128, 129, 1000, 12345] {
            let values: Vec<f64> = (0..count).map(f64::from).collect();
            // Integers below 2^53 are added exactly in any order.
            assert_eq!(pairwise_sum(&values), f64::from(count) * f64::from(count - 1) / 2.0);
        }
    }

    #[test]
    fn absent_values_are_left_out_of_the_mean() {
        assert_eq!(mean_of_present([-1.0, 0.5, 1.0].into_iter()), 0.75);
        assert_eq!(mean_of_present([-1.0].into_iter()), -1.0);
    }
}
