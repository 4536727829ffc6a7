//! Tensors: owned values in row-major order, and strided views of feature maps.

use std::fmt;
use std::ops::Index;

/// A dense tensor in row-major order.
///
/// The parameters of a network have any rank: convolution weights are `[out, in / groups, kernel, kernel]`, linear
/// weights `[in, out]`, vectors with one value per channel `[c]`. Tensor4 maps have rank 4: see [`Tensor4`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor<T = f32, S = Vec<usize>> {
    /// Extent of each axis, outermost first.
    pub shape: S,
    /// The values, the last axis innermost; their number is the product of `shape`.
    pub data: Vec<T>,
}

/// A batch of feature maps, `[n, c, h, w]`, channels first.
pub type Tensor4<T = f32> = Tensor<T, [usize; 4]>;

impl<T, S: AsRef<[usize]>> Tensor<T, S> {
    /// Wraps `data`.
    ///
    /// # Errors
    /// [`ShapeError`] when the number of values is not the product of `shape`, or when that product overflows.
    pub fn new(shape: S, data: Vec<T>) -> Result<Self, ShapeError> {
        if len(shape.as_ref()) == Some(data.len()) {
            Ok(Self { shape, data })
        } else {
            Err(ShapeError { shape: shape.as_ref().to_vec(), values: data.len() })
        }
    }
}

impl<T: Clone> Tensor<T> {
    /// Returns a tensor filled with one value.
    pub fn full(shape: &[usize], value: T) -> Self {
        Self { shape: shape.to_vec(), data: vec![value; shape.iter().product()] }
    }
}

impl<T> Tensor4<T> {
    /// Returns a tensor of zeros (the default value of `T`).
    pub fn zeros(shape: [usize; 4]) -> Self
    where
        T: Clone + Default,
    {
        Self { shape, data: vec![T::default(); shape.iter().product()] }
    }

    /// Returns the number of positions of one channel: height times width.
    pub fn plane(&self) -> usize {
        self.shape[2] * self.shape[3]
    }

    /// Applies `function` to every value.
    pub fn map<U>(&self, function: impl FnMut(&T) -> U) -> Tensor4<U> {
        Tensor { shape: self.shape, data: self.data.iter().map(function).collect() }
    }

    /// Returns a view of the whole tensor.
    ///
    /// # Panics
    /// When `data` is shorter than `shape` requires, which [`Tensor::new`] rules out.
    pub fn view(&self) -> TensorView<'_, T> {
        match TensorView::channels_first(&self.data, self.shape) {
            Some(view) => view,
            None => panic!("a tensor of shape {:?} has {} values", self.shape, self.data.len()),
        }
    }
}

/// The product of `shape`, or `None` when it overflows.
fn len(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent))
}

/// The number of values does not fit a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeError {
    /// The shape that was given.
    pub shape: Vec<usize>,
    /// The number of values that were given.
    pub values: usize,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a tensor of shape {:?} cannot hold {} values", self.shape, self.values)
    }
}

impl std::error::Error for ShapeError {}

/// A borrowed batch of feature maps of any memory layout, indexed `[n, c, y, x]`.
///
/// Element `[n, c, y, x]` is at offset `n · strides[0] + c · strides[1] + y · strides[2] + x · strides[3]` of the data;
/// every element of the shape is inside the data.
pub struct TensorView<'a, T = f32> {
    data: &'a [T],
    shape: [usize; 4],
    strides: [usize; 4],
}

impl<T> Clone for TensorView<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for TensorView<'_, T> {}

impl<T> fmt::Debug for TensorView<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shape, strides, .. } = self;
        f.debug_struct("TensorView").field("shape", shape).field("strides", strides).finish_non_exhaustive()
    }
}

impl<'a, T> TensorView<'a, T> {
    /// Returns a view of `data` with the given shape and strides (both in elements, axes n, c, h, w); `None` when an
    /// element would be outside `data`.
    pub fn new(data: &'a [T], shape: [usize; 4], strides: [usize; 4]) -> Option<Self> {
        let fits = shape.contains(&0) || {
            let axes = shape.iter().zip(&strides);
            let last = axes.map(|(&extent, &stride)| (extent - 1).checked_mul(stride));
            let last = last.reduce(|sum, next| sum?.checked_add(next?)).flatten();
            last.is_some_and(|last| last < data.len())
        };
        fits.then_some(Self { data, shape, strides })
    }

    /// Returns a view of row-major `[n, c, h, w]` data; `None` when `data` is too short.
    pub fn channels_first(data: &'a [T], shape: [usize; 4]) -> Option<Self> {
        let [_, channels, height, width] = shape;
        let plane = height.checked_mul(width)?;
        Self::new(data, shape, [channels.checked_mul(plane)?, plane, width, 1])
    }

    /// Returns a view of row-major `[n, h, w, c]` data; `shape` is `[n, c, h, w]`. `None` when `data` is too short.
    pub fn channels_last(data: &'a [T], shape: [usize; 4]) -> Option<Self> {
        let [_, channels, height, width] = shape;
        let row = width.checked_mul(channels)?;
        Self::new(data, shape, [height.checked_mul(row)?, 1, row, channels])
    }

    /// Returns the elements in memory order, from that of index `[0, 0, 0, 0]` on; there may be others between them.
    pub fn data(&self) -> &'a [T] {
        self.data
    }

    /// Returns batch size, channels, height and width.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// Returns the distance between neighbours along each axis, in elements.
    pub fn strides(&self) -> [usize; 4] {
        self.strides
    }

    /// Returns the number of positions of one channel: height times width.
    pub fn plane(&self) -> usize {
        self.shape[2] * self.shape[3]
    }

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Returns element `[n, c, y, x]`, or `None` outside the shape.
    pub fn get(&self, index: [usize; 4]) -> Option<&'a T> {
        let inside = index.iter().zip(&self.shape).all(|(index, extent)| index < extent);
        if inside { self.data.get(self.offset(index)) } else { None }
    }

    fn offset(&self, index: [usize; 4]) -> usize {
        index.iter().zip(&self.strides).map(|(index, stride)| index * stride).sum()
    }

    /// Returns the channels of position (`y`, `x`) of image `n` as one slice; `None` if they are not adjacent in
    /// memory, or outside the shape.
    pub fn pixel(&self, n: usize, y: usize, x: usize) -> Option<&'a [T]> {
        let [batch, channels, height, width] = self.shape;
        let adjacent = self.strides[1] == 1 || channels == 1;
        if !adjacent || n >= batch || y >= height || x >= width {
            return None;
        }
        let begin = self.offset([n, 0, y, x]);
        self.data.get(begin..begin + channels)
    }

    /// Returns row `y` of channel `c` of image `n` as one slice; `None` where its elements are not adjacent in memory,
    /// or outside the shape.
    pub fn row(&self, n: usize, c: usize, y: usize) -> Option<&'a [T]> {
        let [batch, channels, height, width] = self.shape;
        let adjacent = self.strides[3] == 1 || width == 1;
        if !adjacent || n >= batch || c >= channels || y >= height {
            return None;
        }
        let begin = self.offset([n, c, y, 0]);
        self.data.get(begin..begin + width)
    }

    /// Iterates over the elements in the order `[n, c, y, x]`, x innermost, whatever the memory layout.
    pub fn iter(&self) -> impl Iterator<Item = &'a T> + use<'a, T> {
        let Self { data, shape: [batch, channels, height, width], strides: [image, channel, row, column] } =
            *self;
        let rows = (0..batch).flat_map(move |n| {
            let channels = (0..channels).map(move |c| n * image + c * channel);
            channels.flat_map(move |plane| (0..height).map(move |y| plane + y * row))
        });
        rows.flat_map(move |begin| (0..width).map(move |x| &data[begin + x * column]))
    }

    /// Copies the elements into a row-major tensor `[n, c, h, w]`.
    pub fn to_tensor(&self) -> Tensor4<T>
    where
        T: Clone,
    {
        Tensor { shape: self.shape, data: self.iter().cloned().collect() }
    }
}

impl<'a, T> From<&'a Tensor4<T>> for TensorView<'a, T> {
    fn from(tensor: &'a Tensor4<T>) -> Self {
        tensor.view()
    }
}

impl<'a, T> From<&TensorView<'a, T>> for TensorView<'a, T> {
    fn from(view: &TensorView<'a, T>) -> Self {
        *view
    }
}

impl<T> Index<[usize; 4]> for TensorView<'_, T> {
    type Output = T;

    /// Returns element `[n, c, y, x]`.
    ///
    /// # Panics
    /// Outside the shape.
    fn index(&self, index: [usize; 4]) -> &T {
        match self.get(index) {
            Some(element) => element,
            None => panic!("index {index:?} is outside a tensor of shape {:?}", self.shape),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 4] = [2, 3, 4, 5];

    /// Values that name their position: `1000 n + 100 c + 10 y + x`.
    fn named() -> Tensor4<usize> {
        let mut tensor = Tensor4::zeros(SHAPE);
        for (i, value) in tensor.data.iter_mut().enumerate() {
            *value = i / 60 * 1000 + i / 20 % 3 * 100 + i / 5 % 4 * 10 + i % 5;
        }
        tensor
    }

    /// The same values with channels last, `gap` unused elements after each pixel.
    fn channels_last(gap: usize) -> Vec<usize> {
        let [batch, channels, height, width] = SHAPE;
        let mut data = Vec::new();
        for (n, y, x) in (0..batch * height * width).map(|i| (i / 20, i / 5 % 4, i % 5)) {
            data.extend((0..channels).map(|c| n * 1000 + c * 100 + y * 10 + x));
            data.extend(vec![9999; gap]);
        }
        data
    }

    #[test]
    fn every_layout_reads_in_the_same_order() {
        let tensor = named();
        let last = channels_last(0);
        let gaps = channels_last(2);
        let views = [
            tensor.view(),
            TensorView::channels_last(&last, SHAPE).expect("enough data"),
            TensorView::new(&gaps[..gaps.len() - 2], SHAPE, [100, 1, 25, 5]).expect("enough data"),
        ];
        for view in views {
            assert_eq!(view.to_tensor(), tensor, "{view:?}");
            assert_eq!((view.len(), view.plane()), (120, 20));
            assert_eq!(view[[1, 2, 3, 4]], 1234);
            assert_eq!(view.get([1, 3, 0, 0]), None);
        }
        assert_eq!(views[1].pixel(1, 2, 3), Some(&[1023, 1123, 1223][..]));
        assert_eq!(views[2].pixel(0, 3, 4), Some(&[34, 134, 234][..]));
        assert_eq!((views[0].pixel(0, 0, 0), views[1].row(0, 0, 0)), (None, None));
        assert_eq!(views[0].row(1, 2, 0), Some(&[1200, 1201, 1202, 1203, 1204][..]));
        assert_eq!((views[1].pixel(0, 4, 0), views[0].row(0, 3, 0)), (None, None));
    }

    #[test]
    fn views_outside_their_data_are_refused() {
        let data = [0.0f32; 12];
        assert!(TensorView::channels_first(&data, [1, 3, 2, 2]).is_some());
        assert!(TensorView::channels_first(&data, [1, 3, 2, 3]).is_none());
        assert!(TensorView::new(&data, [1, 3, 2, 2], [12, 1, 6, 4]).is_none());
        assert!(TensorView::new(&data, [usize::MAX; 4], [usize::MAX; 4]).is_none());
        assert!(TensorView::channels_last(&data, [1, usize::MAX, 1, 2]).is_none());
        assert!(TensorView::new(&data[..0], [0, 3, 2, 2], [12, 4, 2, 1]).is_some_and(|view| view.is_empty()));
    }

    #[test]
    fn values_must_fill_their_shape() {
        assert!(Tensor::new(vec![2, 3], vec![0.0f32; 6]).is_ok());
        let error = Tensor::new(vec![2, 3], vec![0.0f32; 5]).expect_err("too few values");
        assert_eq!(error.to_string(), "a tensor of shape [2, 3] cannot hold 5 values");
        assert!(Tensor::new([usize::MAX, 2, 1, 1], vec![0.0f32]).is_err());
        assert_eq!(Tensor::full(&[2, 2], 7.0f32).data, [7.0; 4]);
    }
}
