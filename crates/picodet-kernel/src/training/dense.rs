//! Convolutions with a window over all channels of a group, as matrix products of gathered windows (im2col), and their
//! gradients (col2im).

use std::cell::RefCell;
use std::ops::Range;

use picodet_graph::Convolution;

use super::elementwise::{Elementwise, elementwise};
use super::map::{Map, MapMut};
use super::matrix::{Left, multiply};
use super::reduce::sum_partial;
use super::split::{partial_sums, window_rows};
use super::{Executor, Scratch};

thread_local! {
    /// Gathered windows of one task, kept from task to task.
    static COLUMNS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Lends `len` elements of any value.
fn with_columns<R>(len: usize, task: impl FnOnce(&mut [f32]) -> R) -> R {
    COLUMNS.with_borrow_mut(|columns| {
        if columns.len() < len {
            columns.resize(len, 0.0);
        }
        task(&mut columns[..len])
    })
}

/// The windows of a band of output rows, in the input channels of one group.
#[derive(Clone)]
struct Windows {
    kernel: usize,
    stride: usize,
    /// Height and width of the input.
    input: [usize; 2],
    /// Width of the output.
    out_width: usize,
    /// Rows of the output.
    rows: Range<usize>,
    /// Channels of the group.
    channels: usize,
}

impl Windows {
    fn new(
        op: &Convolution,
        input: [usize; 3],
        channels: usize,
        out_width: usize,
        rows: Range<usize>,
    ) -> Self {
        Self {
            kernel: op.kernel,
            stride: op.stride,
            input: [input[1], input[2]],
            out_width,
            rows,
            channels: channels / op.groups,
        }
    }

    /// Elements of one window.
    fn len(&self) -> usize {
        self.kernel * self.kernel * self.channels
    }

    /// Number of windows.
    fn count(&self) -> usize {
        self.rows.len() * self.out_width
    }

    /// Calls `visit(window, position, pixel)` for every position of every window; `pixel` is `None` in the padding.
    #[inline(always)]
    fn for_each(&self, mut visit: impl FnMut(usize, usize, Option<usize>)) {
        let [height, width] = self.input;
        let pad = self.kernel / 2;
        let inside = |at: usize, extent: usize| at.checked_sub(pad).filter(|&at| at < extent);
        for y in self.rows.clone() {
            for x in 0..self.out_width {
                let window = (y - self.rows.start) * self.out_width + x;
                for ky in 0..self.kernel {
                    let row = inside(y * self.stride + ky, height);
                    for kx in 0..self.kernel {
                        let column = inside(x * self.stride + kx, width);
                        let pixel = row.zip(column).map(|(row, column)| row * width + column);
                        visit(window, ky * self.kernel + kx, pixel);
                    }
                }
            }
        }
    }

    /// Writes each window of one image as a row `[kernel²][channels]` of `out`.
    fn gather(&self, image: &Map<'_>, out: &mut [f32]) {
        let (len, channels) = (self.len(), self.channels);
        if let Some(elements) = image.elements() {
            self.gather_rows(elements, out);
            return;
        }
        self.for_each(|window, position, pixel| {
            let to = &mut out[window * len + position * channels..][..channels];
            match pixel {
                Some(pixel) => to.copy_from_slice(image.pixel(pixel)),
                None => to.fill(0.0),
            }
        });
    }

    /// [`Windows::gather`] for pixels without gaps: each row of a window is one copy.
    fn gather_rows(&self, elements: &[f32], out: &mut [f32]) {
        let [height, width] = self.input;
        let (k, channels, pad) = (self.kernel, self.channels, self.kernel / 2);
        let row_len = k * channels;
        let lines = self.rows.clone().flat_map(|y| (0..self.out_width).map(move |x| (y, x)));
        for ((y, x), window) in lines.zip(out.chunks_exact_mut(k * row_len)) {
            let column = x * self.stride;
            // Window columns inside the map.
            let from = pad.saturating_sub(column).min(k);
            let to = (width + pad).saturating_sub(column).clamp(from, k);
            for (ky, line) in window.chunks_exact_mut(row_len).enumerate() {
                let row = (y * self.stride + ky).checked_sub(pad).filter(|&row| row < height && from < to);
                let Some(row) = row else {
                    line.fill(0.0);
                    continue;
                };
                let first = row * width + column + from - pad;
                let pixels = &elements[first * channels..][..(to - from) * channels];
                // The stem: three pixels of three channels are moved in registers instead of by a call.
                if let (Ok(line), Ok(pixels)) =
                    (<&mut [f32; 9]>::try_from(&mut *line), <&[f32; 9]>::try_from(pixels))
                {
                    *line = *pixels;
                    continue;
                }
                line[..from * channels].fill(0.0);
                line[from * channels..to * channels].copy_from_slice(pixels);
                line[to * channels..].fill(0.0);
            }
        }
    }

    /// Adds each row of `from` to the pixels of its window in one image.
    fn scatter(&self, image: &mut MapMut<'_>, from: &[f32]) {
        let (len, channels) = (self.len(), self.channels);
        self.for_each(|window, position, pixel| {
            let Some(pixel) = pixel else { return };
            let from = &from[window * len + position * channels..][..channels];
            image.pixel(pixel).iter_mut().zip(from).for_each(|(to, from)| *to += from);
        });
    }
}

/// The weights of a group, `[window][outputs]`.
fn group_weights<'a>(op: &Convolution, weights: &'a [f32], group: usize) -> Map<'a> {
    let (outputs, len) = (op.out_channels / op.groups, weights.len() / op.groups);
    Map::new(&weights[group * len..][..len], outputs, [1, 1, len / outputs])
}

/// `out = x * weights + bias`, with `weights` `[groups][kernel²][inputs / groups][outputs / groups]`.
///
/// # Panics
/// If the extents do not agree.
pub fn forward(
    executor: &Executor,
    op: &Convolution,
    x: Map<'_>,
    weights: &[f32],
    bias: Option<&[f32]>,
    mut out: MapMut<'_>,
) {
    if let Some(bias) = bias {
        elementwise(executor, &Elementwise::Broadcast(bias.into()), out.reborrow(), false);
    }
    let outputs = op.out_channels / op.groups;
    let inputs = x.channels() / op.groups;
    let rows = window_rows(op.kernel * op.kernel * inputs, out.size()[2]);
    executor.pool.for_each(out.bands(rows), |mut band| {
        let image = x.image(band.image);
        for group in 0..op.groups {
            let windows = Windows::new(op, x.size(), x.channels(), band.map.size()[2], band.rows.clone());
            with_columns(windows.count() * windows.len(), |columns| {
                windows.gather(&image.columns(group * inputs, inputs), columns);
                let left = Map::new(columns, windows.len(), [1, 1, windows.count()]);
                let to = band.map.reborrow().columns(group * outputs, outputs);
                multiply(
                    executor.isa,
                    Left::Rows(left),
                    group_weights(op, weights, group),
                    to,
                    bias.is_some(),
                );
            });
        }
    });
}

/// The gradient of the input of [`forward`] from that of the result, `dy`.
///
/// # Panics
/// If the extents do not agree.
pub fn input_gradient(
    executor: &Executor,
    op: &Convolution,
    weights: &[f32],
    dy: Map<'_>,
    mut dx: MapMut<'_>,
    accumulate: bool,
) {
    if !accumulate {
        elementwise(executor, &Elementwise::Zero, dx.reborrow(), false);
    }
    let [_, height, width] = dy.size();
    let (size, channels) = (dx.size(), dx.channels());
    let (inputs, outputs) = (channels / op.groups, op.out_channels / op.groups);
    let band = window_rows(op.kernel * op.kernel * inputs, width);
    // `[outputs][window]` for every group: products read the right matrix along its rows.
    let mut transposed = vec![0.0; weights.len()];
    for group in 0..op.groups {
        let from = group_weights(op, weights, group);
        let len = from.pixels();
        let to = &mut transposed[group * len * outputs..][..len * outputs];
        for (column, to) in to.chunks_exact_mut(len).enumerate() {
            to.iter_mut().enumerate().for_each(|(row, to)| *to = from.pixel(row)[column]);
        }
    }
    // Windows of neighbouring rows meet in one pixel: an image is one task.
    let images: Vec<_> = dx.images().into_iter().enumerate().collect();
    executor.pool.for_each(images, |(image, mut dx)| {
        let dy = dy.image(image);
        for group in 0..op.groups {
            for from in (0..height).step_by(band) {
                let rows = from..(from + band).min(height);
                let windows = Windows::new(op, size, channels, width, rows.clone());
                let (len, count) = (windows.len(), windows.count());
                with_columns(count * len, |columns| {
                    let left =
                        dy.part(from * width, [1, rows.len(), width]).columns(group * outputs, outputs);
                    let weights = &transposed[group * len * outputs..][..len * outputs];
                    let right = Map::new(weights, len, [1, 1, outputs]);
                    let to = MapMut::new(columns, len, [1, 1, count]);
                    multiply(executor.isa, Left::Rows(left), right, to, false);
                    windows.scatter(&mut dx.reborrow().columns(group * inputs, inputs), columns);
                });
            }
        }
    });
}

/// The gradient of the weights of [`forward`], in their order.
///
/// # Panics
/// If the extents do not agree.
pub fn weight_gradient(
    executor: &Executor,
    op: &Convolution,
    x: Map<'_>,
    dy: Map<'_>,
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    let [images, height, width] = dy.size();
    let (inputs, outputs) = (x.channels() / op.groups, op.out_channels / op.groups);
    let band = window_rows(op.kernel * op.kernel * inputs, width);
    let count = partial_sums(dy.pixels()).min(images);
    sum_partial(executor, count, scratch, out, |piece, out| {
        for group in 0..op.groups {
            let mut accumulate = false;
            for image in images * piece / count..images * (piece + 1) / count {
                let (x, dy) = (x.image(image).columns(group * inputs, inputs), dy.image(image));
                for from in (0..height).step_by(band) {
                    let rows = from..(from + band).min(height);
                    let windows = Windows::new(op, x.size(), x.channels() * op.groups, width, rows.clone());
                    let (len, count) = (windows.len(), windows.count());
                    with_columns(count * len, |columns| {
                        windows.gather(&x, columns);
                        let left = Left::Transposed(Map::new(columns, len, [1, 1, count]));
                        let right = dy.part(from * width, [1, rows.len(), width]);
                        let to = &mut out[group * len * outputs..][..len * outputs];
                        let to = MapMut::new(to, outputs, [1, 1, len]);
                        multiply(executor.isa, left, right.columns(group * outputs, outputs), to, accumulate);
                    });
                    accumulate = true;
                }
            }
        }
    });
}
