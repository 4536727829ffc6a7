//! Steps on maps of bytes: their operands, their memory accesses and their execution.

mod access;
mod execute;

use picodet_graph::Activation;

use super::buffer_id::BufferId;
use crate::map::ChannelRange;

/// A step that reads or writes maps of bytes.
#[derive(Clone, Debug)]
pub enum Int8 {
    /// Converts the image to bytes, four per pixel, below a row and after a column of zeros.
    Import {
        /// The destination, one row and one column larger than the image.
        to: BufferId,
        /// `255 · std` and `255 · mean` of each channel.
        levels: [(f32, f32); 3],
    },
    /// A convolution over all channels.
    Product(Box<Product>),
    /// A depthwise convolution.
    Depthwise(Box<Depthwise>),
    /// A function of the bytes of one pixel.
    Elementwise(Box<Elementwise>),
    /// Maxima of 3×3 windows at stride 2, or the pixel at half the position.
    Resample {
        /// Whether it is the pool.
        pool: bool,
        /// The source.
        from: BufferId,
        /// The destination.
        to: BufferId,
        /// The channels.
        ranges: Vec<ChannelRange>,
    },
    /// Sums of channels over the rows of each worker.
    Sum {
        /// The source.
        from: BufferId,
        /// The channels.
        ranges: Vec<ChannelRange>,
        /// The destination, one row of sums per worker.
        to: BufferId,
    },
    /// The workers' sums added up, as means in f32.
    Mean {
        /// The sums.
        sums: BufferId,
        /// For each channel the zero points of all cells, and the scale divided by the number of cells.
        levels: Vec<(i64, f32)>,
        /// The destination.
        to: BufferId,
        /// Its first column.
        column: usize,
    },
    /// A convolution of one pixel in f32; see [`crate::quantised::Gate`].
    Gate {
        /// The source.
        from: BufferId,
        /// Its first column.
        first: usize,
        /// `[inputs][columns]`, rows padded to a multiple of sixteen columns.
        weights: Vec<f32>,
        /// One value per column, padded as `weights`.
        bias: Vec<f32>,
        /// Number of columns.
        columns: usize,
        /// Applied last.
        act: Option<Activation>,
        /// The destination.
        to: BufferId,
        /// Its first column.
        column: usize,
    },
}

/// The left rows of a [`Product`].
#[derive(Clone, Debug)]
pub enum Window {
    /// Each pixel of the source.
    Pixel,
    /// Windows of 3×3 at stride 2 over an imported image. There are four sets of constants: inside, at the left border, at
    /// the top border, and in the corner.
    Image {
        /// Whether the result is max-pooled at once; `Step::out_size` is the size after the pool.
        pool: bool,
        /// With a pool, three rows of the result per worker.
        scratch: BufferId,
    },
    /// Windows over a copy of the rows below a row of the result.
    Map {
        /// Side of the kernel window.
        kernel: usize,
        /// Stride of the kernel window.
        stride: usize,
        /// The channels and their places in a pixel of the copy.
        channels: Vec<ChannelRange>,
        /// A pixel outside of the map: the zero points, a whole number of words.
        zeros: Vec<u8>,
        /// The copy, one per worker.
        scratch: BufferId,
    },
}

/// The words of a worker's copy of rows ([`Window::Map`]): they and a vector after the last window.
#[must_use]
pub fn windows_len(words: usize) -> usize {
    words.saturating_add(16)
}

/// A convolution over all channels of a map of bytes.
#[derive(Clone, Debug)]
pub struct Product {
    /// The source.
    pub from: BufferId,
    /// Its windows.
    pub window: Window,
    /// First and number of the quads of a left row.
    pub ranges: Vec<(usize, usize)>,
    /// Packed by [`crate::gemm::pack_int8`]; if the windows of a map have one column, by
    /// [`crate::gemm::pack_column_int8`].
    pub weights: Vec<u32>,
    /// Packed by [`crate::quantised::pack_columns`].
    pub constants: Vec<u32>,
    /// Number of columns of the result.
    pub columns: usize,
    /// Added before the activation.
    pub residual: Option<ByteMap>,
    /// Applied last.
    pub act: Option<Activation>,
    /// The destination, bytes or f32.
    pub to: BufferId,
    /// Its first column.
    pub column: usize,
}

/// A depthwise convolution of a map of bytes; see [`crate::depthwise::int8::DepthwiseInt8`].
#[derive(Clone, Debug)]
pub struct Depthwise {
    /// The source.
    pub from: BufferId,
    /// The channels.
    pub ranges: Vec<ChannelRange>,
    /// Side of the kernel window.
    pub kernel: usize,
    /// Stride of the kernel window.
    pub stride: usize,
    /// Packed by [`crate::depthwise::int8::pack_depthwise_int8`].
    pub weights: Vec<u32>,
    /// Packed by [`crate::depthwise::int8::pack_depthwise_columns`].
    pub constants: Vec<u32>,
    /// The zero point of each channel of the source.
    pub zeros: Vec<u8>,
    /// Applied last.
    pub act: Option<Activation>,
    /// The destination.
    pub to: BufferId,
    /// Destination columns count from here.
    pub column: usize,
}

/// Some columns of a map of bytes, with their scales and zero points.
#[derive(Clone, Debug)]
pub struct ByteMap {
    /// The buffer.
    pub buffer: BufferId,
    /// The first column.
    pub column: usize,
    /// One factor per column.
    pub scale: Vec<f32>,
    /// One zero point per column.
    pub zero: Vec<f32>,
}

/// The computation of an [`Elementwise`] step; see [`crate::quantised::ByteKind`].
#[derive(Clone, Debug)]
pub enum ElementwiseKind {
    /// The real values, in f32.
    Dequantise,
    /// The bytes of an f32 source, whose scales are the reciprocals of those of the result.
    Quantise,
    /// One factor per channel, from a buffer of one pixel.
    Scale {
        /// The factors.
        factors: BufferId,
    },
    /// The sum of two maps.
    Add {
        /// The second source; ranges count from its column 0.
        other: ByteMap,
        /// Applied last.
        act: Option<Activation>,
        /// The factor of each channel; see [`crate::quantised::Column::factor`].
        factor: Vec<f32>,
    },
}

/// A function of the bytes of one pixel.
#[derive(Clone, Debug)]
pub struct Elementwise {
    /// The computation.
    pub kind: ElementwiseKind,
    /// The source, f32 for [`ElementwiseKind::Quantise`]; ranges count from its column 0.
    pub from: ByteMap,
    /// The channels; destinations, and all constants, count from `column`.
    pub ranges: Vec<ChannelRange>,
    /// The zero point of each channel of the result.
    pub out_zero: Vec<f32>,
    /// The destination, bytes or f32.
    pub to: BufferId,
    /// Its first column.
    pub column: usize,
}

impl Int8 {
    /// Returns every buffer that the step accesses.
    pub(super) fn buffers(&self) -> Vec<BufferId> {
        match self {
            Self::Import { to, .. } => vec![*to],
            Self::Product(product) => {
                let scratch = match &product.window {
                    Window::Pixel | Window::Image { pool: false, .. } => None,
                    Window::Image { scratch, .. } | Window::Map { scratch, .. } => Some(*scratch),
                };
                let residual = product.residual.as_ref().map(|map| map.buffer);
                [product.from, product.to].into_iter().chain(scratch).chain(residual).collect()
            }
            Self::Depthwise(depthwise) => vec![depthwise.from, depthwise.to],
            Self::Elementwise(step) => {
                let other = match &step.kind {
                    ElementwiseKind::Dequantise | ElementwiseKind::Quantise => None,
                    ElementwiseKind::Scale { factors } => Some(*factors),
                    ElementwiseKind::Add { other, .. } => Some(other.buffer),
                };
                [step.from.buffer, step.to].into_iter().chain(other).collect()
            }
            Self::Resample { from, to, .. } | Self::Sum { from, to, .. } => vec![*from, *to],
            Self::Mean { sums, to, .. } => vec![*sums, *to],
            Self::Gate { from, to, .. } => vec![*from, *to],
        }
    }

    /// Returns a name for listings and profiles.
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Import { .. } => "import int8".into(),
            Self::Product(product) => match product.window {
                Window::Pixel => "pointwise int8".into(),
                Window::Image { pool, .. } => format!("stem int8{}", if pool { " max pool" } else { "" }),
                Window::Map { kernel, stride, .. } => format!("dense {kernel}x{kernel}/{stride} int8"),
            },
            Self::Depthwise(step) => format!("depthwise {0}x{0}/{1} int8", step.kernel, step.stride),
            Self::Elementwise(step) => match step.kind {
                ElementwiseKind::Dequantise => "dequantise",
                ElementwiseKind::Quantise => "quantise",
                ElementwiseKind::Scale { .. } => "scale int8",
                ElementwiseKind::Add { .. } => "add int8",
            }
            .into(),
            Self::Resample { pool, .. } => if *pool { "max pool int8" } else { "upsample int8" }.into(),
            Self::Sum { .. } => "sum int8".into(),
            Self::Mean { .. } => "mean int8".into(),
            Self::Gate { .. } => "gate".into(),
        }
    }
}
