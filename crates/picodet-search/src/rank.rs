//! Rank correlation.

/// Returns Kendall's rank correlation (tau-b) of paired values, -1 to 1; 0 when one side has no order.
#[must_use]
pub fn kendall(first: &[f64], second: &[f64]) -> f64 {
    let (mut sum, mut of_first, mut of_second) = (0.0, 0.0, 0.0);
    let pairs: Vec<(f64, f64)> = first.iter().copied().zip(second.iter().copied()).collect();
    let sign = |difference: f64| if difference == 0.0 { 0.0 } else { difference.signum() };
    for (index, a) in pairs.iter().enumerate() {
        for b in &pairs[..index] {
            let (x, y) = (sign(a.0 - b.0), sign(a.1 - b.1));
            sum += x * y;
            of_first += x * x;
            of_second += y * y;
        }
    }
    let size: f64 = of_first * of_second;
    if size > 0.0 { sum / size.sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_compared_and_ties_are_neither_order() {
        let values = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(kendall(&values, &[10.0, 20.0, 25.0, 90.0]), 1.0);
        assert_eq!(kendall(&values, &[4.0, 3.0, 2.0, 1.0]), -1.0);
        // One of six pairs is in the other order.
        assert!((kendall(&values, &[1.0, 2.0, 4.0, 3.0]) - 4.0 / 6.0).abs() < 1e-12);
        assert_eq!(kendall(&values, &[0.5; 4]), 0.0);
        // scipy.stats.kendalltau([1, 2, 3, 4], [1, 2, 2, 3]) is 0.9128709291752769.
        assert!((kendall(&values, &[1.0, 2.0, 2.0, 3.0]) - 0.912_870_929_175_276_9).abs() < 1e-12);
    }
}
