//! Operations that change the size of a map without weights.

use picodet_graph::Tensor4;

use crate::Real;

/// Runs `cell` for every output cell of every channel.
fn per_cell<T: Real>(
    x: &Tensor4<T>,
    (height, width): (usize, usize),
    cell: impl Fn(&[T], usize, usize) -> T,
) -> Tensor4<T> {
    let [batch, channels, ..] = x.shape;
    let mut out = Tensor4::zeros([batch, channels, height, width]);
    for (input, output) in x.data.chunks(x.plane()).zip(out.data.chunks_mut(height * width)) {
        for y in 0..height {
            for z in 0..width {
                output[y * width + z] = cell(input, y, z);
            }
        }
    }
    out
}

pub(super) fn max_pool<T: Real>(x: &Tensor4<T>) -> Tensor4<T> {
    let [.., height, width] = x.shape;
    per_cell(x, (height.div_ceil(2), width.div_ceil(2)), |map, y, z| {
        // A window starts one cell before its even position and ends one after it.
        let rows = (2 * y).saturating_sub(1)..(2 * y + 2).min(height);
        let columns = (2 * z).saturating_sub(1)..(2 * z + 2).min(width);
        let cells = rows.flat_map(|row| columns.clone().map(move |column| map[row * width + column]));
        cells.fold(T::from_f64(f64::NEG_INFINITY), T::larger)
    })
}

pub(super) fn average_pool<T: Real>(x: &Tensor4<T>) -> Tensor4<T> {
    let [.., height, width] = x.shape;
    per_cell(x, (height.div_ceil(2), width.div_ceil(2)), |map, y, z| {
        let rows = 2 * y..(2 * y + 2).min(height);
        let columns = 2 * z..(2 * z + 2).min(width);
        let count = T::from_f64((rows.len() * columns.len()) as f64);
        let cells = rows.flat_map(|row| columns.clone().map(move |column| map[row * width + column]));
        cells.fold(T::ZERO, |sum, value| sum + value) / count
    })
}

pub(super) fn global_average_pool<T: Real>(x: &Tensor4<T>) -> Tensor4<T> {
    let count = T::from_f64(x.plane() as f64);
    per_cell(x, (1, 1), |map, _, _| map.iter().fold(T::ZERO, |sum, &value| sum + value) / count)
}

pub(super) fn upsample_nearest<T: Real>(x: &Tensor4<T>) -> Tensor4<T> {
    let [.., height, width] = x.shape;
    per_cell(x, (2 * height, 2 * width), |map, y, z| map[y / 2 * width + z / 2])
}

/// Bilinear interpolation between cell centres (`align_corners` false), the border repeated.
pub(super) fn resize_bilinear<T: Real>(x: &Tensor4<T>, resized: impl Fn(usize) -> usize) -> Tensor4<T> {
    let [.., height, width] = x.shape;
    let (out_height, out_width) = (resized(height), resized(width));
    let sample = |out: usize, extent: usize, out_extent: usize| {
        let position = ((out as f64 + 0.5) * extent as f64 / out_extent as f64 - 0.5).max(0.0);
        let first = (position as usize).min(extent - 1);
        (first, (first + 1).min(extent - 1), T::from_f64(position - first as f64))
    };
    per_cell(x, (out_height, out_width), |map, y, z| {
        let (y0, y1, fy) = sample(y, height, out_height);
        let (x0, x1, fx) = sample(z, width, out_width);
        let row = |y: usize| map[y * width + x0] * (T::ONE - fx) + map[y * width + x1] * fx;
        row(y0) * (T::ONE - fy) + row(y1) * fy
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(height: usize, width: usize) -> Tensor4<f64> {
        let data = (0..height * width).map(|value| value as f64).collect();
        Tensor4 { shape: [1, 1, height, width], data }
    }

    #[test]
    fn pools_of_odd_maps() {
        assert_eq!(max_pool(&map(3, 3)).data, [4.0, 5.0, 7.0, 8.0]);
        assert_eq!(average_pool(&map(3, 3)).data, [2.0, 3.5, 6.5, 8.0]);
        assert_eq!(global_average_pool(&map(3, 3)).data, [4.0]);
    }

    #[test]
    fn resizing_by_two() {
        assert_eq!(upsample_nearest(&map(1, 2)).data, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
        assert_eq!(resize_bilinear(&map(1, 2), |extent| extent * 2).data[..4], [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(resize_bilinear(&map(2, 2), |extent| extent / 2).data, [1.5]);
    }
}
