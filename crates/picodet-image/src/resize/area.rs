//! Shrinking by the mean of the covered cells.

/// A source cell and its share of a target cell.
type Share = (usize, f32);

/// For each target cell the source cells that it covers, by how much.
fn cover(from: usize, to: usize) -> Vec<Vec<Share>> {
    /// Slivers thinner than this are left out.
    const SLIVER: f64 = 1e-3;
    let scale = from as f64 / to as f64;
    (0..to)
        .map(|target| {
            let start = target as f64 * scale;
            let end = start + scale;
            let cell = scale.min(from as f64 - start);
            let last = (end.floor() as usize).min(from - 1);
            let first = (start.ceil() as usize).min(last);
            let mut shares = Vec::new();
            if first as f64 - start > SLIVER {
                shares.push((first - 1, ((first as f64 - start) / cell) as f32));
            }
            shares.extend((first..last).map(|source| (source, (1.0 / cell) as f32)));
            if end - last as f64 > SLIVER {
                shares.push((last, ((end - last as f64).min(1.0).min(cell) / cell) as f32));
            }
            shares
        })
        .collect()
}

/// The whole number of source cells in a target cell along each axis, if they are whole.
fn whole(from: (usize, usize), to: (usize, usize)) -> Option<(usize, usize)> {
    let both = from.0.is_multiple_of(to.0) && from.1.is_multiple_of(to.1);
    both.then(|| (from.0 / to.0, from.1 / to.1))
}

pub(super) fn mean_u8(source: &[u8], from: (usize, usize), channels: usize, to: (usize, usize)) -> Vec<u8> {
    if let Some((rows, columns)) = whole(from, to) {
        let share = 1.0 / (rows * columns) as f32;
        let finish = |sum: u32| match (rows, columns) {
            (2, 2) => ((sum + 2) >> 2) as u8,
            _ => (sum as f32 * share).round_ties_even().clamp(0.0, 255.0) as u8,
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
        let share = 1.0 / (rows * columns) as f32;
        return block_sums(from, channels, to, |at| source[at]).into_iter().map(|sum| sum * share).collect();
    }
    covered(from, channels, to, |at| source[at])
}

/// The sum of each target cell's block of whole source cells.
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
                sums.push(block.fold(T::default(), |sum, cell| sum + value(at(cell))));
            }
        }
    }
    sums
}

/// The weighted mean of each target cell, rows first.
fn covered(
    from: (usize, usize),
    channels: usize,
    to: (usize, usize),
    value: impl Fn(usize) -> f32,
) -> Vec<f32> {
    let columns = cover(from.1, to.1);
    let width = to.1 * channels;
    let mut target = Vec::with_capacity(to.0 * width);
    for shares in cover(from.0, to.0) {
        let mut sums = vec![0.0f32; width];
        for (y, row_share) in shares {
            for (x, shares) in columns.iter().enumerate() {
                for channel in 0..channels {
                    let at = |column: usize| (y * from.1 + column) * channels + channel;
                    let sum =
                        shares.iter().fold(0.0, |sum, &(column, share)| sum + value(at(column)) * share);
                    sums[x * channels + channel] += row_share * sum;
                }
            }
        }
        target.extend(sums);
    }
    target
}
