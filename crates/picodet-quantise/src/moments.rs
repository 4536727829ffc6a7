//! First and second moments of the inputs of a convolution and their products with its float result.

use picodet_graph::Convolution;
use picodet_kernel::training::{Executor, Map, Scratch, pointwise};

use crate::stream::Values;

/// Largest number of inputs of one output for which second moments are worth their time.
const MOST_INPUTS: usize = 1536;
/// Outputs of one image and channel of a depthwise convolution whose windows are used.
const MOST_PIXELS: usize = 2048;
/// Outputs of one image of another convolution above which one of several stands for all, where they count little.
const MANY_PIXELS: usize = 1024;
/// Weight of a place that counts little.
const LITTLE: f32 = 2.0;

/// How much each place of an image counts.
#[derive(Clone, Debug)]
pub(crate) struct Importance {
    /// Height and width.
    pub(crate) size: [usize; 2],
    pub(crate) values: Vec<f32>,
}

impl Importance {
    /// The mean over the cells under each pixel of a map.
    fn resized(&self, size: [usize; 2]) -> Vec<f32> {
        let range = |at: usize, out: usize, extent: usize| {
            let first = at * extent / out;
            first..((at + 1) * extent).div_ceil(out).clamp(first + 1, extent)
        };
        let mut resized = Vec::with_capacity(size[0] * size[1]);
        for (y, x) in (0..size[0]).flat_map(|y| (0..size[1]).map(move |x| (y, x))) {
            let (rows, columns) = (range(y, size[0], self.size[0]), range(x, size[1], self.size[1]));
            let count = (rows.len() * columns.len()) as f32;
            let cells = rows.flat_map(|row| columns.clone().map(move |column| row * self.size[1] + column));
            resized.push(cells.map(|cell| self.values[cell]).sum::<f32>() / count);
        }
        resized
    }
}

/// Sums over the windows of all images, in f64.
///
/// A group has `n` inputs; a depthwise convolution has one group per channel, any other convolution one group.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    pub(crate) n: usize,
    pub(crate) groups: usize,
    count: f64,
    /// `[groups][n]`.
    x: Vec<f64>,
    /// `[outputs]`.
    y: Vec<f64>,
    /// `[groups][n][n]`.
    xx: Vec<f64>,
    /// `[outputs][n]`.
    yx: Vec<f64>,
}

impl Moments {
    /// Returns sums of no window; `None` for convolutions that are rounded without them.
    pub(crate) fn new(op: &Convolution, in_channels: usize) -> Option<Self> {
        let is_depthwise = op.is_depthwise(in_channels);
        if op.groups != 1 && !is_depthwise {
            return None;
        }
        let n = in_channels / op.groups * op.kernel * op.kernel;
        let (groups, outputs) = (op.groups, op.out_channels);
        (n <= MOST_INPUTS).then(|| Self {
            n,
            groups,
            count: 0.0,
            x: vec![0.0; groups * n],
            y: vec![0.0; outputs],
            xx: vec![0.0; groups * n * n],
            yx: vec![0.0; outputs * n],
        })
    }

    /// Adds the sums of other images.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        let pairs = [
            (&mut self.x, &other.x),
            (&mut self.y, &other.y),
            (&mut self.xx, &other.xx),
            (&mut self.yx, &other.yx),
        ];
        for (to, from) in pairs {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        }
    }

    /// Adds the windows of one image: `x` the inputs, zero where padding is, and `y` the float result.
    /// `importance` gives the weight of each output.
    pub(crate) fn add(
        &mut self,
        executor: &Executor,
        op: &Convolution,
        x: &Values,
        y: &Values,
        importance: &Importance,
    ) {
        let counts = importance.resized(y.size);
        if self.groups > 1 {
            self.add_depthwise(op, x, y, &counts);
            return;
        }
        let places = sample(&counts);
        let (pixels, outputs) = (places.len(), y.channels);
        let mut rows = gather(op, x, y.size, &places);
        let results = places.iter().flat_map(|&(pixel, _)| &y.data[pixel * outputs..][..outputs]);
        let mut results: Vec<f32> = results.copied().collect();
        for (index, (_, count)) in places.iter().enumerate() {
            let x = &mut rows[index * self.n..][..self.n];
            let y = &mut results[index * outputs..][..outputs];
            let root = count.sqrt();
            for (sums, values) in [(&mut self.x, x), (&mut self.y, y)] {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += f64::from(*value * count);
                    *value *= root;
                }
            }
            self.count += f64::from(*count);
        }
        let x = Map::new(&rows, self.n, [1, 1, pixels]);
        let y = Map::new(&results, outputs, [1, 1, pixels]);
        let mut scratch = Scratch::default();
        let mut products = vec![0.0; self.n * self.n.max(outputs)];
        let xx = &mut products[..self.n * self.n];
        pointwise::weight_gradient(executor, x, x, &mut scratch, xx);
        self.xx.iter_mut().zip(xx).for_each(|(to, from)| *to += f64::from(*from));
        let xy = &mut products[..self.n * outputs];
        pointwise::weight_gradient(executor, x, y, &mut scratch, xy);
        for (i, row) in xy.chunks_exact(outputs).enumerate() {
            row.iter().enumerate().for_each(|(o, &value)| self.yx[o * self.n + i] += f64::from(value));
        }
    }

    fn add_depthwise(&mut self, op: &Convolution, x: &Values, y: &Values, counts: &[f32]) {
        let (channels, n) = (x.channels, self.n);
        let zeros = vec![0.0; channels];
        let mut taps: Vec<&[f32]> = vec![&zeros; n];
        // One row of channels for each product, in f32: the loops over channels are vectorised.
        let mut xx = vec![0.0f32; n * n * channels];
        let mut yx = vec![0.0f32; n * channels];
        let mut a = vec![0.0f32; channels];
        let step = (1..).find(|step| y.pixels() / (step * step) <= MOST_PIXELS).unwrap_or(1);
        for row in (0..y.size[0]).step_by(step) {
            for column in (0..y.size[1]).step_by(step) {
                for (tap, values) in taps.iter_mut().enumerate() {
                    *values = pixel(x, op, row, column, tap).unwrap_or(&zeros);
                }
                let pixel = row * y.size[1] + column;
                let result = &y.data[pixel * channels..][..channels];
                let count = counts[pixel];
                self.y.iter_mut().zip(result).for_each(|(sum, y)| *sum += f64::from(y * count));
                for (i, &tap) in taps.iter().enumerate() {
                    a.iter_mut().zip(tap).for_each(|(a, value)| *a = value * count);
                    (0..channels).for_each(|c| self.x[c * n + i] += f64::from(a[c]));
                    add_products(&mut yx[i * channels..][..channels], &a, result);
                    for (j, &b) in taps.iter().enumerate().take(i + 1) {
                        add_products(&mut xx[(i * n + j) * channels..][..channels], &a, b);
                    }
                }
                self.count += f64::from(count);
            }
        }
        for c in 0..channels {
            for i in 0..n {
                self.yx[c * n + i] += f64::from(yx[i * channels + c]);
                for j in 0..=i {
                    let product = f64::from(xx[(i * n + j) * channels + c]);
                    self.xx[(c * n + i) * n + j] += product;
                    if i != j {
                        self.xx[(c * n + j) * n + i] += product;
                    }
                }
            }
        }
    }

    /// The mean of the inputs of a group.
    pub(crate) fn mean_x(&self, group: usize) -> Vec<f64> {
        self.x[group * self.n..][..self.n].iter().map(|sum| sum / self.count).collect()
    }

    /// The mean of an output.
    pub(crate) fn mean_y(&self, output: usize) -> f64 {
        self.y[output] / self.count
    }

    /// The covariance of the inputs of a group, `[n][n]`.
    pub(crate) fn covariance(&self, group: usize) -> Vec<f64> {
        let n = self.n;
        let mean = self.mean_x(group);
        let sums = &self.xx[group * n * n..][..n * n];
        let centred = |(index, sum): (usize, &f64)| sum / self.count - mean[index / n] * mean[index % n];
        sums.iter().enumerate().map(centred).collect()
    }

    /// The covariance of an output with the inputs of its group, `[n]`.
    pub(crate) fn cross_covariance(&self, group: usize, output: usize) -> Vec<f64> {
        let (mean, mean_y) = (self.mean_x(group), self.mean_y(output));
        let sums = &self.yx[output * self.n..][..self.n];
        sums.iter().zip(mean).map(|(sum, mean)| sum / self.count - mean_y * mean).collect()
    }
}

fn add_products(sums: &mut [f32], a: &[f32], b: &[f32]) {
    sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
}

/// The pixel under a tap of the window of an output; `None` in the padding.
fn pixel<'a>(x: &'a Values, op: &Convolution, row: usize, column: usize, tap: usize) -> Option<&'a [f32]> {
    let pad = (op.kernel - 1) / 2;
    let y = (row * op.stride + tap / op.kernel).checked_sub(pad).filter(|&y| y < x.size[0])?;
    let column = (column * op.stride + tap % op.kernel).checked_sub(pad).filter(|&x1| x1 < x.size[1])?;
    Some(&x.data[(y * x.size[1] + column) * x.channels..][..x.channels])
}

/// Outputs and their weights: of many that count little some, with the weight of all.
fn sample(counts: &[f32]) -> Vec<(usize, f32)> {
    let step = counts.len().div_ceil(MANY_PIXELS);
    let all = counts.iter().copied().enumerate();
    let kept = all.filter(|&(index, count)| count > LITTLE || index % step == 0);
    kept.map(|(index, count)| (index, if count > LITTLE { count } else { count * step as f32 })).collect()
}

/// The windows of outputs, in the order of the weights: channel, row, column.
fn gather(op: &Convolution, x: &Values, size: [usize; 2], places: &[(usize, f32)]) -> Vec<f32> {
    if op.is_pointwise() {
        let pixels = places.iter().flat_map(|&(index, _)| &x.data[index * x.channels..][..x.channels]);
        return pixels.copied().collect();
    }
    let window = op.kernel * op.kernel;
    let n = window * x.channels;
    let mut rows = vec![0.0; n * places.len()];
    for (row, &(index, _)) in rows.chunks_exact_mut(n).zip(places) {
        for tap in 0..window {
            let Some(from) = pixel(x, op, index / size[1], index % size[1], tap) else { continue };
            from.iter().enumerate().for_each(|(c, &value)| row[c * window + tap] = value);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_places_stand_for_all_but_those_that_count_more() {
        let few = [1.0, 5.0, 1.5];
        assert_eq!(sample(&few), [(0, 1.0), (1, 5.0), (2, 1.5)]);
        let many: Vec<f32> = (0..4 * MANY_PIXELS).map(|i| if i % 101 == 0 { 9.0 } else { 1.0 }).collect();
        let kept = sample(&many);
        let emphasised = many.iter().filter(|&&count| count > LITTLE).count();
        assert_eq!(kept.iter().filter(|(_, count)| *count == 9.0).count(), emphasised);
        assert!(kept.len() < MANY_PIXELS + emphasised + 1, "{}", kept.len());
        let (all, weights) = (many.iter().sum::<f32>(), kept.iter().map(|(_, count)| count).sum::<f32>());
        assert!((weights - all).abs() < 0.02 * all, "{weights} for {all}");
    }
}
