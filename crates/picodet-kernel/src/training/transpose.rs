//! Copies of tensors of any memory layout into channels-last maps.
#![allow(unsafe_code)]

use picodet_graph::TensorView;

use super::Executor;
use super::map::MapMut;

/// Pixels transposed at once: both sides stay in the first-level cache.
const PIXELS: usize = 64;

/// Copies a tensor `[n, c, h, w]` into a map; adds it to the map if `accumulate`.
///
/// # Panics
/// If the shapes differ.
pub fn copy_tensor(executor: &Executor, from: TensorView<'_>, map: MapMut<'_>, accumulate: bool) {
    let [batch, height, width] = map.size();
    assert_eq!(from.shape(), [batch, map.channels(), height, width], "shape of the tensor");
    let images: Vec<_> = map.images().into_iter().enumerate().collect();
    executor.pool.for_each(images, |(image, map)| {
        if from.strides()[1] == 1 {
            copy_pixels(from, image, map, accumulate);
        } else {
            transpose(from, image, map, accumulate);
        }
    });
}

/// Copies an image whose channels are adjacent.
fn copy_pixels(from: TensorView<'_>, image: usize, mut map: MapMut<'_>, accumulate: bool) {
    let [_, height, width] = map.size();
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let Some(values) = from.pixel(image, y, x) else { continue };
        let to = map.pixel(y * width + x);
        if accumulate {
            to.iter_mut().zip(values).for_each(|(to, value)| *to += value);
        } else {
            to.copy_from_slice(values);
        }
    }
}

/// Copies an image of another layout, channel by channel in blocks of pixels.
fn transpose(from: TensorView<'_>, image: usize, map: MapMut<'_>, accumulate: bool) {
    let [_, height, width] = map.size();
    let channels = map.channels();
    let [by_image, by_channel, by_row, by_column] = from.strides();
    let data = from.data();
    for y in 0..height {
        for first in (0..width).step_by(PIXELS) {
            let columns = first..(first + PIXELS).min(width);
            for channel in 0..channels {
                let offset = image * by_image + channel * by_channel + y * by_row;
                for x in columns.clone() {
                    let value = data[offset + x * by_column];
                    // SAFETY: the map has the pixel (`y < height`, `x < width`) and the channel (`channel < channels()`).
                    let to = unsafe { &mut *map.at(y * width + x).add(channel) };
                    let before = if accumulate { *to } else { 0.0 };
                    *to = before + value;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ThreadPool;
    use super::*;
    use picodet_simd::Isa;

    #[test]
    fn every_layout_gives_the_same_map() {
        let executor = Executor { pool: ThreadPool::new(2), isa: Isa::PORTABLE };
        for shape in [[1, 1, 1, 1], [2, 3, 5, 7], [1, 80, 9, 9]] {
            let [n, c, h, w] = shape;
            let value = |n: usize, c: usize, y: usize, x: usize| (n * 1000 + c * 100 + y * 10 + x) as f32;
            let mut first = Vec::new();
            let mut last = vec![0.0; n * h * w * c];
            for (n, ch, y, x) in
                (0..n * c * h * w).map(|i| (i / (c * h * w), i / (h * w) % c, i / w % h, i % w))
            {
                first.push(value(n, ch, y, x));
                last[((n * h + y) * w + x) * c + ch] = value(n, ch, y, x);
            }
            let views = [TensorView::channels_first(&first, shape), TensorView::channels_last(&last, shape)];
            for view in views {
                let view = view.expect("enough data");
                let mut map = vec![1.0; last.len()];
                copy_tensor(&executor, view, MapMut::new(&mut map, c, [n, h, w]), false);
                assert_eq!(map, last, "{view:?}");
                copy_tensor(&executor, view, MapMut::new(&mut map, c, [n, h, w]), true);
                let twice: Vec<f32> = last.iter().map(|value| 2.0 * value).collect();
                assert_eq!(map, twice, "{view:?}");
            }
        }
    }
}
