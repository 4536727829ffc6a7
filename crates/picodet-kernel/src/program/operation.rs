//! The operations of a program and the buffers that they access.

use picodet_graph::{Activation, DType};

pub use super::buffer_id::BufferId;
use super::int8::{Int8, Window};
use crate::map::ChannelRange;

/// Bytes of a word, the unit in which the arena is addressed.
pub const WORD: usize = DType::F32.size();

/// Bytes of a cache line.
pub const CACHE_LINE: usize = 64;

/// Channels-last memory of one or more values: `cells` pixels of `stride` elements.
#[derive(Clone, Debug, Default)]
pub struct Buffer {
    /// Elements from one pixel to the next; a pixel is a whole number of words.
    pub stride: usize,
    /// Type of the elements.
    pub dtype: DType,
    /// Height times width.
    pub cells: usize,
    /// First word in the arena.
    pub offset: usize,
}

impl Buffer {
    /// Returns an f32 buffer that has no position in the arena yet.
    #[must_use]
    pub fn new(stride: usize, cells: usize) -> Self {
        Self { stride, dtype: DType::F32, cells, offset: 0 }
    }

    /// Returns the bytes from one pixel to the next.
    #[must_use]
    pub fn bytes_per_pixel(&self) -> usize {
        self.stride * self.dtype.size()
    }

    /// Returns the words of the arena from one pixel to the next.
    #[must_use]
    pub fn words_per_pixel(&self) -> usize {
        self.bytes_per_pixel() / WORD
    }

    /// Returns the words of the arena in all.
    #[must_use]
    pub fn words(&self) -> usize {
        self.words_per_pixel() * self.cells
    }

    /// Lengthens strides of whole KiB, which would map all rows of a tile to the same sets of the cache.
    pub fn avoid_cache_conflicts(&mut self) {
        if self.cells > 1 && self.bytes_per_pixel().is_multiple_of(1 << 10) {
            self.stride += self.dtype.elements(CACHE_LINE);
        }
    }
}

/// The weights of a step.
#[derive(Clone, Debug)]
pub enum Weights {
    /// Packed when planning.
    Constant(Vec<f32>),
    /// Written by an earlier [`Operation::ScaleWeights`]: the buffer and the number of values.
    Scaled(BufferId, usize),
    /// Pairs of bf16, for a pointwise convolution.
    Pairs {
        /// Packed when planning.
        packed: Vec<u32>,
        /// Factors of the columns that are read, written by an earlier [`Operation::Gather`].
        factors: Option<BufferId>,
        /// One part per worker.
        scratch: BufferId,
    },
    /// Pairs of bf16, for a depthwise convolution.
    RowPairs(Vec<u32>),
    /// f16, for a pointwise convolution.
    Halves {
        /// Packed when planning.
        packed: Vec<u16>,
        /// Factors of the columns that are read, written by an earlier [`Operation::Gather`].
        factors: Option<BufferId>,
        /// One part per worker.
        scratch: BufferId,
    },
    /// f16, for a depthwise convolution.
    Taps(Vec<u16>),
}

impl Weights {
    /// The type of the products in names of steps.
    fn suffix(&self) -> &'static str {
        match self {
            Self::Constant(_) | Self::Scaled(..) => "",
            Self::Pairs { .. } | Self::RowPairs(_) => " bf16",
            Self::Halves { .. } | Self::Taps(_) => " f16",
        }
    }

    fn buffers(&self) -> Vec<BufferId> {
        match self {
            Self::Constant(_) | Self::RowPairs(_) | Self::Taps(_) => Vec::new(),
            Self::Scaled(buffer, _) => vec![*buffer],
            Self::Pairs { factors, scratch, .. } | Self::Halves { factors, scratch, .. } => {
                factors.iter().chain([scratch]).copied().collect()
            }
        }
    }
}

/// The source of a dense convolution.
#[derive(Clone, Debug)]
pub enum DenseSource {
    /// The image, planar.
    Image,
    /// A buffer; the ranges map its columns to those of a compact pixel.
    Buffer(BufferId, Vec<ChannelRange>),
}

/// The kernel of a dense convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenseKind {
    /// 3×3 at stride 2 over the image.
    Stem {
        /// Whether half vectors are used, see [`crate::stem::half`].
        half: bool,
    },
    /// Any other, as a matrix product.
    Product,
}

/// Added to a convolution before its activation: a buffer and its first column.
pub type Residual = Option<(BufferId, usize)>;

/// The computation of an elementwise step; see [`crate::elementwise::Kind`].
#[derive(Clone, Debug)]
pub enum Elementwise {
    /// `act(x)`.
    Activate(Option<Activation>),
    /// `act(x + other)`.
    Add(Option<Activation>),
    /// A constant factor and addend per channel.
    Affine(Vec<f32>, Vec<f32>),
    /// One factor per channel, from a buffer of one pixel.
    Scale,
    /// `sqrt(x · other + epsilon)`.
    GeometricMean {
        /// Column of `other`.
        column: usize,
        /// Added before the square root.
        epsilon: f32,
    },
    /// Maxima of 3×3 windows at stride 2.
    MaxPool,
    /// The pixel at half the position.
    Upsample,
    /// Bilinear interpolation: tables of (first, second, weight of the second).
    Blend {
        /// One entry per row of the result.
        rows: Vec<(usize, usize, f32)>,
        /// One entry per column of the result.
        columns: Vec<(usize, usize, f32)>,
    },
}

/// The operation of a step.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Copies the image to a buffer.
    Import {
        /// The destination.
        to: BufferId,
        /// The column of each plane.
        columns: Vec<usize>,
    },
    /// A pointwise convolution or a linear layer.
    Pointwise {
        /// The source.
        from: BufferId,
        /// First and number of the columns read.
        ranges: Vec<(usize, usize)>,
        /// The weights.
        weights: Weights,
        /// One value per column, zeros up to whole vectors.
        bias: Vec<f32>,
        /// Number of columns of the result.
        columns: usize,
        /// Added before the activation.
        residual: Residual,
        /// Applied last.
        act: Option<Activation>,
        /// The destination.
        to: BufferId,
        /// Its first column.
        column: usize,
    },
    /// Any other convolution over all channels of a group.
    Dense {
        /// The kernel.
        kind: DenseKind,
        /// The source.
        source: DenseSource,
        /// Its channels.
        channels: usize,
        /// Side of the kernel window.
        kernel: usize,
        /// Stride of the kernel window.
        stride: usize,
        /// Ranges of a left row in `scratch`.
        ranges: Vec<(usize, usize)>,
        /// Packed when planning.
        weights: Vec<f32>,
        /// One value per column, zeros up to whole vectors.
        bias: Vec<f32>,
        /// Number of columns of the result.
        columns: usize,
        /// Added before the activation.
        residual: Residual,
        /// Applied last.
        act: Option<Activation>,
        /// Whether the result is max-pooled at once; `Step::out_size` is the size after the pool.
        pool: bool,
        /// The destination.
        to: BufferId,
        /// Its first column.
        column: usize,
        /// One part per worker: the padded rows below a row of the result, then three rows for the pool,
        /// then, if the result has 16 bits, a row of it before rounding.
        scratch: BufferId,
    },
    /// A depthwise convolution.
    Depthwise {
        /// The source.
        from: BufferId,
        /// The channels.
        ranges: Vec<ChannelRange>,
        /// Side of the kernel window.
        kernel: usize,
        /// Stride of the kernel window.
        stride: usize,
        /// The weights.
        weights: Weights,
        /// One value per channel.
        bias: Vec<f32>,
        /// Applied last.
        act: Option<Activation>,
        /// The destination.
        to: BufferId,
        /// Destination columns count from here.
        column: usize,
    },
    /// A depthwise step and the pointwise step that is the only reader of its result, `rows` rows at a time.
    /// The buffer between them has that many rows per worker.
    Separable {
        /// The first step.
        depthwise: Box<Step>,
        /// The second step.
        pointwise: Box<Step>,
        /// Rows at a time.
        rows: usize,
    },
    /// Multiplies weights by factors that depend on the image.
    ScaleWeights {
        /// The factors.
        factors: BufferId,
        /// The weights.
        weights: Vec<f32>,
        /// (column of the factor, number of weights it multiplies), in the order of the weights.
        groups: Vec<(usize, usize)>,
        /// The destination.
        to: BufferId,
    },
    /// Copies elements of a buffer of one pixel, in the order of `columns`.
    Gather {
        /// The source.
        from: BufferId,
        /// The columns read.
        columns: Vec<usize>,
        /// The destination.
        to: BufferId,
    },
    /// An elementwise function, a pool or a resize.
    Elementwise {
        /// The computation.
        kind: Elementwise,
        /// The source.
        from: BufferId,
        /// The second source.
        other: Option<BufferId>,
        /// The destination.
        to: BufferId,
        /// The channels, in words.
        ranges: Vec<ChannelRange>,
    },
    /// A convolution to one column, from the products of each pixel with its window (col2im).
    SumTaps {
        /// The products.
        from: BufferId,
        /// Side of the kernel window.
        kernel: usize,
        /// Added to each sum.
        bias: f32,
        /// Applied last.
        act: Option<Activation>,
        /// The destination.
        to: BufferId,
        /// Its column.
        column: usize,
    },
    /// Sums of channels over the rows of each worker.
    SumCells {
        /// The source.
        from: BufferId,
        /// The channels.
        ranges: Vec<ChannelRange>,
        /// The destination, one row of sums per worker.
        to: BufferId,
    },
    /// The workers' sums added up and divided.
    Mean {
        /// The sums.
        sums: BufferId,
        /// Number of channels.
        channels: usize,
        /// The divisor.
        cells: usize,
        /// The destination.
        to: BufferId,
        /// Its first column.
        column: usize,
    },
    /// A step on maps of bytes.
    Int8(Int8),
    /// Copies a value to an output of the graph.
    Export {
        /// The source.
        from: BufferId,
        /// The column of each channel.
        columns: Vec<usize>,
        /// Index of the output.
        output: usize,
        /// Applied to every value.
        act: Option<Activation>,
    },
}

/// One entry of a schedule.
#[derive(Clone, Debug)]
pub struct Step {
    /// Scope of the node it stands for.
    pub scope: String,
    /// The operation.
    pub operation: Operation,
    /// Height and width of the source.
    pub size: (usize, usize),
    /// Height and width of the result; workers share its rows.
    pub out_size: (usize, usize),
    /// Multiply-accumulates per image.
    pub macs: u64,
}

impl Operation {
    /// Returns every buffer that the operation accesses.
    #[must_use]
    pub fn buffers(&self) -> Vec<BufferId> {
        let residual = |residual: &Residual| residual.map(|(buffer, _)| buffer);
        match self {
            Self::Import { to, .. } => vec![*to],
            Self::Pointwise { from, weights, residual: r, to, .. } => {
                weights.buffers().into_iter().chain([*from, *to]).chain(residual(r)).collect()
            }
            Self::Dense { source, residual: r, to, scratch, .. } => {
                let from = match source {
                    DenseSource::Image => None,
                    DenseSource::Buffer(buffer, _) => Some(*buffer),
                };
                [from, residual(r), Some(*to), Some(*scratch)].into_iter().flatten().collect()
            }
            Self::Depthwise { from, weights, to, .. } => {
                weights.buffers().into_iter().chain([*from, *to]).collect()
            }
            Self::Separable { depthwise, pointwise, .. } => {
                let mut buffers = depthwise.operation.buffers();
                buffers.extend(pointwise.operation.buffers());
                buffers
            }
            Self::ScaleWeights { factors, to, .. } => vec![*factors, *to],
            Self::Gather { from, to, .. } => vec![*from, *to],
            Self::Elementwise { from, other, to, .. } => {
                [Some(*from), *other, Some(*to)].into_iter().flatten().collect()
            }
            Self::SumTaps { from, to, .. } | Self::SumCells { from, to, .. } => vec![*from, *to],
            Self::Mean { sums, to, .. } => vec![*sums, *to],
            Self::Int8(int8) => int8.buffers(),
            Self::Export { from, .. } => vec![*from],
        }
    }

    /// Returns the result of a depthwise convolution.
    #[must_use]
    pub fn depthwise_result(&self) -> Option<BufferId> {
        match self {
            Self::Depthwise { to, .. } => Some(*to),
            Self::Int8(Int8::Depthwise(depthwise)) => Some(depthwise.to),
            _ => None,
        }
    }

    /// Returns source and result of a pointwise convolution.
    #[must_use]
    pub fn pointwise_buffers(&self) -> Option<(BufferId, BufferId)> {
        match self {
            Self::Pointwise { from, to, .. } => Some((*from, *to)),
            Self::Int8(Int8::Product(product)) if matches!(product.window, Window::Pixel) => {
                Some((product.from, product.to))
            }
            _ => None,
        }
    }

    /// Returns the source of a depthwise convolution that reads the row of zeros.
    #[must_use]
    pub fn depthwise_source(&self) -> Option<BufferId> {
        match self {
            Self::Depthwise { from, .. } => Some(*from),
            Self::Separable { depthwise, .. } => depthwise.operation.depthwise_source(),
            _ => None,
        }
    }

    /// Returns a name for listings and profiles.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Import { .. } => "import".into(),
            Self::Pointwise { weights, .. } => format!("pointwise{}", weights.suffix()),
            Self::Dense { kernel, stride, pool, .. } => {
                format!("dense {kernel}x{kernel}/{stride}{}", if *pool { " max pool" } else { "" })
            }
            Self::Depthwise { kernel, stride, weights, .. } => {
                format!("depthwise {kernel}x{kernel}/{stride}{}", weights.suffix())
            }
            Self::Separable { depthwise, pointwise, .. } => {
                format!("{} + {}", depthwise.operation.kind(), pointwise.operation.kind())
            }
            Self::ScaleWeights { .. } => "scale weights".into(),
            Self::Gather { .. } => "gather".into(),
            Self::Elementwise { kind, .. } => match kind {
                Elementwise::Activate(_) => "activate",
                Elementwise::Add(_) => "add",
                Elementwise::Affine(..) => "affine",
                Elementwise::Scale => "scale",
                Elementwise::GeometricMean { .. } => "geometric mean",
                Elementwise::MaxPool => "max pool",
                Elementwise::Upsample => "upsample",
                Elementwise::Blend { .. } => "blend",
            }
            .into(),
            Self::SumTaps { kernel, .. } => format!("sum {kernel}x{kernel}"),
            Self::SumCells { .. } => "sum".into(),
            Self::Mean { .. } => "mean".into(),
            Self::Int8(int8) => int8.kind(),
            Self::Export { .. } => "export".into(),
        }
    }
}
