//! What a plan runs: buffers, steps and where the buffers lie.

use std::fmt;

use picodet_graph::pass::{self, Lifetime};
use picodet_graph::{Activation, DType};

use picodet_kernel::Run;
use picodet_simd::Isa;

/// Index of a [`Buffer`].
pub(crate) type BufferId = usize;

/// Channels-last memory of one or more values: `cells` pixels of `stride` elements.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    /// Elements from one pixel to the next; a pixel is a whole number of words.
    pub(crate) stride: usize,
    /// Type of the elements.
    pub(crate) dtype: DType,
    /// Height times width.
    pub(crate) cells: usize,
    /// First word in the arena.
    pub(crate) offset: usize,
}

/// Bytes of a word, the unit in which the arena is addressed.
const WORD: usize = DType::F32.size();

impl Buffer {
    /// An f32 buffer that has no place in the arena yet.
    pub(crate) fn new(stride: usize, cells: usize) -> Self {
        Self { stride, dtype: DType::F32, cells, offset: 0 }
    }

    /// Bytes from one pixel to the next.
    pub(crate) fn bytes_per_pixel(&self) -> usize {
        self.stride * self.dtype.size()
    }

    /// Words of the arena from one pixel to the next.
    pub(crate) fn words_per_pixel(&self) -> usize {
        self.bytes_per_pixel() / WORD
    }

    /// Words of the arena in all.
    pub(crate) fn words(&self) -> usize {
        self.words_per_pixel() * self.cells
    }

    /// Lengthens strides of whole KiB, which would map all rows of a tile to the same sets of the cache.
    pub(crate) fn avoid_cache_conflicts(&mut self) {
        if self.cells > 1 && self.bytes_per_pixel().is_multiple_of(1 << 10) {
            self.stride += self.dtype.elements(CACHE_LINE);
        }
    }
}

/// Bytes of a cache line.
const CACHE_LINE: usize = 64;

/// A value: some columns of a buffer, in the order of the channels.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) buffer: BufferId,
    /// Column of each channel.
    pub(crate) columns: Vec<usize>,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl View {
    /// The first column, if the columns follow each other.
    pub(crate) fn contiguous(&self) -> Option<usize> {
        let first = *self.columns.first()?;
        self.columns.iter().enumerate().all(|(i, &column)| column == first + i).then_some(first)
    }

    /// The channels in the order of their columns.
    pub(crate) fn by_column(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.columns.len()).collect();
        order.sort_by_key(|&channel| self.columns[channel]);
        order
    }
}

/// Where a step finds its weights.
#[derive(Clone, Debug)]
pub(crate) enum Weights {
    /// Packed when planning.
    Constant(Vec<f32>),
    /// Written by an earlier [`Operation::ScaleWeights`]: the buffer and the number of values.
    Scaled(BufferId, usize),
    /// Pairs of 16-bit floats, for a pointwise convolution.
    Pairs {
        packed: Vec<u32>,
        /// What the columns that are read are multiplied by, written by an earlier [`Operation::Gather`].
        factors: Option<BufferId>,
        /// One part a worker.
        scratch: BufferId,
    },
    /// Pairs of 16-bit floats, for a depthwise convolution.
    RowPairs(Vec<u32>),
}

impl Weights {
    fn buffers(&self) -> Vec<BufferId> {
        match self {
            Self::Constant(_) | Self::RowPairs(_) => Vec::new(),
            Self::Scaled(buffer, _) => vec![*buffer],
            Self::Pairs { factors, scratch, .. } => factors.iter().chain([scratch]).copied().collect(),
        }
    }
}

/// Where a dense convolution reads.
#[derive(Clone, Debug)]
pub(crate) enum DenseSource {
    /// The image, planar.
    Image,
    /// A buffer; the runs say which columns go where in a compact cell.
    Buffer(BufferId, Vec<Run>),
}

/// The kernel of a dense convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DenseKind {
    /// 3×3 at step 2 over the image, by half vectors or whole ones.
    Stem { half: bool },
    /// Any other.
    Product,
}

/// What is added to a convolution before its activation: a buffer and its first column.
pub(crate) type Residual = Option<(BufferId, usize)>;

/// What an elementwise step does; see the kernel's kind of the same name.
#[derive(Clone, Debug)]
pub(crate) enum Elementwise {
    Activate(Option<Activation>),
    Add(Option<Activation>),
    /// A constant factor and addend a channel.
    Affine(Vec<f32>, Vec<f32>),
    /// One factor a channel, from a buffer of one cell.
    Scale,
    GeometricMean {
        column: usize,
        epsilon: f32,
    },
    MaxPool,
    Upsample,
    Blend {
        rows: Vec<(usize, usize, f32)>,
        columns: Vec<(usize, usize, f32)>,
    },
}

/// What a step does.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// The image into a buffer.
    Import { to: BufferId, columns: Vec<usize> },
    /// A pointwise convolution or a linear layer.
    Pointwise {
        from: BufferId,
        /// First and number of the columns read.
        runs: Vec<(usize, usize)>,
        weights: Weights,
        bias: Vec<f32>,
        columns: usize,
        residual: Residual,
        act: Option<Activation>,
        to: BufferId,
        column: usize,
    },
    /// Any other convolution over all channels of a group.
    Dense {
        kind: DenseKind,
        source: DenseSource,
        channels: usize,
        kernel: usize,
        stride: usize,
        /// Runs of a left row in `scratch`.
        runs: Vec<(usize, usize)>,
        /// Packed.
        weights: Vec<f32>,
        bias: Vec<f32>,
        columns: usize,
        residual: Residual,
        act: Option<Activation>,
        /// Whether the result is max-pooled at once; `Step::out_size` is what the pool makes.
        pool: bool,
        to: BufferId,
        column: usize,
        /// One part a worker: the padded rows below a row of the result, then three rows for the pool, then, with numbers of 16
        /// bits, a row of the result before it is rounded.
        scratch: BufferId,
    },
    /// A depthwise convolution.
    Depthwise {
        from: BufferId,
        runs: Vec<Run>,
        kernel: usize,
        stride: usize,
        weights: Weights,
        bias: Vec<f32>,
        act: Option<Activation>,
        to: BufferId,
        /// Destination columns count from here.
        column: usize,
    },
    /// A depthwise step and the pointwise step that alone reads its result, `rows` rows at a time. The buffer between
    /// them has that many rows a worker.
    Separable { depthwise: Box<Step>, pointwise: Box<Step>, rows: usize },
    /// Weights times factors that an image decides on.
    ScaleWeights {
        factors: BufferId,
        weights: Vec<f32>,
        /// (column of the factor, number of weights it multiplies), in the order of the weights.
        groups: Vec<(usize, usize)>,
        to: BufferId,
    },
    /// Numbers of a buffer of one cell, in the order of `columns`.
    Gather { from: BufferId, columns: Vec<usize>, to: BufferId },
    /// An elementwise function, a pool or a resize.
    Elementwise { kind: Elementwise, from: BufferId, other: Option<BufferId>, to: BufferId, runs: Vec<Run> },
    /// A convolution to one column, from what each cell gives to the cells of its window.
    SumTaps { from: BufferId, kernel: usize, bias: f32, act: Option<Activation>, to: BufferId, column: usize },
    /// Sums of channels, one row of sums a worker.
    SumCells { from: BufferId, runs: Vec<Run>, to: BufferId },
    /// The rows of sums added up and divided.
    Mean { sums: BufferId, channels: usize, cells: usize, to: BufferId, column: usize },
    /// A value to an output of the graph.
    Export { from: BufferId, columns: Vec<usize>, output: usize, act: Option<Activation> },
}

/// One entry of the schedule.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Scope of the node that it stands for.
    pub(crate) scope: String,
    pub(crate) operation: Operation,
    /// Height and width of what it reads.
    pub(crate) size: (usize, usize),
    /// Height and width of what it makes; workers share its rows.
    pub(crate) out_size: (usize, usize),
    /// Multiply-accumulates an image.
    pub(crate) macs: u64,
}

impl Operation {
    /// Every buffer that the operation touches.
    pub(crate) fn buffers(&self) -> Vec<BufferId> {
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
            Self::Export { from, .. } => vec![*from],
        }
    }

    /// A word for the profile.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Import { .. } => "import".into(),
            Self::Pointwise { weights: Weights::Pairs { .. }, .. } => "pointwise bf16".into(),
            Self::Pointwise { .. } => "pointwise".into(),
            Self::Dense { kernel, stride, pool, .. } => {
                format!("dense {kernel}x{kernel}/{stride}{}", if *pool { " max pool" } else { "" })
            }
            Self::Depthwise { kernel, stride, weights, .. } => {
                let precision = if matches!(weights, Weights::RowPairs(_)) { " bf16" } else { "" };
                format!("depthwise {kernel}x{kernel}/{stride}{precision}")
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
            Self::Export { .. } => "export".into(),
        }
    }
}

/// Buffers and steps of a network at one input size.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) isa: Isa,
    pub(crate) workers: usize,
    pub(crate) buffers: Vec<Buffer>,
    pub(crate) steps: Vec<Step>,
    /// Name, channels, height, width.
    pub(crate) outputs: Vec<(String, [usize; 3])>,
    /// Where the row of zeros begins.
    pub(crate) zeros: usize,
    /// Numbers in the arena, the row of zeros included.
    pub(crate) arena: usize,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} steps, {}, {} workers, arena {:.1} MiB",
            self.steps.len(),
            self.isa,
            self.workers,
            self.arena as f64 * 4.0 / f64::from(1 << 20)
        )?;
        for step in &self.steps {
            writeln!(
                f,
                "{:<18} {:>4}x{:<4} {:>8.2} MMAC  {}",
                step.operation.kind(),
                step.out_size.0,
                step.out_size.1,
                step.macs as f64 / 1e6,
                step.scope
            )?;
        }
        Ok(())
    }
}

/// Places the buffers in one arena so that those in use at the same time do not overlap, and returns its length in
/// words. Offsets are multiples of a cache line.
pub(crate) fn place(buffers: &mut [Buffer], steps: &[Step]) -> usize {
    let mut lifetimes: Vec<Lifetime> =
        buffers.iter().map(|buffer| Lifetime::unused(buffer.words())).collect();
    for (index, step) in steps.iter().enumerate() {
        for buffer in step.operation.buffers() {
            lifetimes[buffer].use_at(index);
            if matches!(step.operation, Operation::Export { .. }) {
                // Outputs can be read in place after the last step.
                lifetimes[buffer].use_at(steps.len());
            }
        }
    }
    // Only buffers beyond the address space have no placement, and those fail when the arena is allocated.
    let Some(placement) = pass::place(&lifetimes, CACHE_LINE / WORD) else { return usize::MAX / 2 };
    buffers.iter_mut().zip(placement.offsets).for_each(|(buffer, offset)| buffer.offset = offset);
    placement.len
}
