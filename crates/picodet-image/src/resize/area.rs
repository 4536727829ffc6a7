//! Shrinking by the mean of the covered pixels.

/// A source pixel and its weight in a target pixel.
type Weight = (usize, f32);

/// For each target pixel the source pixels that it covers, and their weights.
fn cover(from: usize, to: usize) -> Vec<Vec<Weight>> {
    /// Slivers thinner than this are ignored.
    const SLIVER: f64 = 1e-3;
    let scale = from as f64 / to as f64;
    (0..to)
        .map(|target| {
            let start = target as f64 * scale;
            let end = start + scale;
            let width = scale.min(from as f64 - start);
            let last = (end.floor() as usize).min(from - 1);
            let first = (start.ceil() as usize).min(last);
            let mut weights = Vec::new();
            if first as f64 - start > SLIVER {
                weights.push((first - 1, ((first as f64 - start) / width) as f32));
            }
            weights.extend((first..last).map(|source| (source, (1.0 / width) as f32)));
            if end - last as f64 > SLIVER {
                weights.push((last, ((end - last as f64).min(1.0).min(width) / width) as f32));
            }
            weights
        })
        .collect()
}

/// The number of source pixels in a target pixel along each axis, if both are integers.
fn whole(from: (usize, usize), to: (usize, usize)) -> Option<(usize, usize)> {
    let both = from.0.is_multiple_of(to.0) && from.1.is_multiple_of(to.1);
    both.then(|| (from.0 / to.0, from.1 / to.1))
}

pub(super) fn mean_u8(source: &[u8], from: (usize, usize), channels: usize, to: (usize, usize)) -> Vec<u8> {
    if let Some((rows, columns)) = whole(from, to) {
        let weight = 1.0 / (rows * columns) as f32;
        let finish = |sum: u32| match (rows, columns) {
            (2, 2) => ((sum + 2) >> 2) as u8,
            _ => (sum as f32 * weight).round_ties_even().clamp(0.0, 255.0) as u8,
        };
        return block_sums(from, channels, to, |at| u32::from(source[at])).into_iter().map(finish).collect();
    }
    let means = covered(from, channels, to, |at| f32::from(source[at]));
    means.into_iter().map(|value| value.round_ties_even().clamp(0.0, 255.0) as u8).collect()
}

pub(super) fn mean_f32(
    source: &[f32],
    from: (usize, usize),
    channels: usize,
    to: (usize, usize),
) -> Vec<f32> {
    if let Some((rows, columns)) = whole(from, to) {
        let weight = 1.0 / (rows * columns) as f32;
        return block_sums(from, channels, to, |at| source[at]).into_iter().map(|sum| sum * weight).collect();
    }
    covered(from, channels, to, |at| source[at])
}

/// The sum of each target pixel's block of source pixels.
fn block_sums<T: Copy + Default + std::ops::Add<Output = T>>(
    from: (usize, usize),
    channels: usize,
    to: (usize, usize),
    value: impl Fn(usize) -> T,
) -> Vec<T> {
    let (rows, columns) = (from.0 / to.0, from.1 / to.1);
    let mut sums = Vec::with_capacity(to.0 * to.1 * channels);
    for y in 0..to.0 {
        for x in 0..to.1 {
            for channel in 0..channels {
                let block = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
                let at =
                    |(row, column)| ((y * rows + row) * from.1 + x * columns + column) * channels + channel;
                sums.push(block.fold(T::default(), |sum, pixel| sum + value(at(pixel))));
            }
        }
    }
    sums
}

/// The weighted mean of each target pixel, rows first.
fn covered(
    from: (usize, usize),
    channels: usize,
    to: (usize, usize),
    value: impl Fn(usize) -> f32,
) -> Vec<f32> {
    let columns = cover(from.1, to.1);
    let width = to.1 * channels;
    let mut target = Vec::with_capacity(to.0 * width);
    for weights in cover(from.0, to.0) {
        let mut sums = vec![0.0f32; width];
        for (y, row_weight) in weights {
            for (x, weights) in columns.iter().enumerate() {
                for channel in 0..channels {
                    let at = |column: usize| (y * from.1 + column) * channels + channel;
                    let sum =
                        weights.iter().fold(0.0, |sum, &(column, weight)| sum + value(at(column)) * weight);
                    sums[x * channels + channel] += row_weight * sum;
                }
            }
        }
        target.extend(sums);
    }
    target
}
