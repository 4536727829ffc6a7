//! The operations of the networks of SPEC §1–3.

use std::fmt;

/// A scalar function, applied to every element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `x · clip(x + 3, 0, 6) / 6`.
    HardSwish,
    /// `max(x, 0)`.
    Relu,
    /// `clip(x, 0, 6)`.
    Relu6,
    /// `x` where positive, `slope · x` elsewhere.
    LeakyRelu {
        /// Slope of the negative side; 0.01 by default (SPEC §0).
        slope: f32,
    },
    /// `clip(slope · x + 0.5, 0, 1)`.
    HardSigmoid {
        /// 0.1666667 in ESNet and LCNet, 0.2 in MobileNetV3 (SPEC §0).
        slope: f32,
    },
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HardSwish => f.write_str("hard_swish"),
            Self::Relu => f.write_str("relu"),
            Self::Relu6 => f.write_str("relu6"),
            Self::LeakyRelu { slope } => write!(f, "leaky_relu({slope})"),
            Self::HardSigmoid { slope } => write!(f, "hard_sigmoid({slope})"),
            Self::Sigmoid => f.write_str("sigmoid"),
        }
    }
}

/// A square two-dimensional convolution with "same" padding, `(kernel - 1) / 2` on every side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Convolution {
    /// Output channels.
    pub out_channels: usize,
    /// Height and width of the kernel; odd.
    pub kernel: usize,
    /// Stride along both axes.
    pub stride: usize,
    /// Number of groups; the number of channels for a depthwise convolution.
    pub groups: usize,
    /// Whether a bias is added to each output channel.
    pub bias: bool,
}

impl Convolution {
    /// Whether each pixel of the result depends on one pixel of the input: a matrix product.
    #[must_use]
    pub fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.groups == 1
    }

    /// Whether each channel of the result depends on one channel of an input of `in_channels` channels.
    #[must_use]
    pub fn is_depthwise(&self, in_channels: usize) -> bool {
        self.groups > 1 && self.groups == in_channels && self.out_channels == in_channels
    }
}

/// The factor of a bilinear resize (`align_corners` false).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResizeFactor {
    /// Twice as high and wide.
    Double,
    /// Half as high and wide.
    Half,
}

/// Epsilon of every batch norm (SPEC §0).
pub const BATCH_NORM_EPSILON: f64 = 1e-5;

/// One operation on feature maps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// The image, `[n, 3, h, w]`, already normalised.
    Input,
    /// Convolution. Parameters: weight, then bias if there is one.
    Convolution(Convolution),
    /// Batch normalisation per channel. Parameters: gamma, beta, running mean, running variance.
    BatchNorm,
    /// An elementwise function.
    Activation(Activation),
    /// Maximum over 3×3 windows, stride 2, padded by one pixel of minus infinity.
    MaxPool,
    /// Mean over 2×2 windows, stride 2; windows at the border average the pixels inside the map.
    AveragePool,
    /// Mean over the whole map, to `[n, c, 1, 1]`.
    GlobalAveragePool,
    /// Elementwise sum of two maps of one shape.
    Add,
    /// A map times one factor per channel: `[n, c, h, w] · [n, c, 1, 1]`.
    Scale,
    /// Maps concatenated along the channels.
    Concat,
    /// Channels `start .. start + len`.
    Slice {
        /// First channel taken.
        start: usize,
        /// Number of channels taken.
        len: usize,
    },
    /// Two halves of the channels interleaved: `out[2i] = in[i]`, `out[2i + 1] = in[c / 2 + i]`.
    ChannelShuffle,
    /// Every pixel repeated 2×2.
    UpsampleNearest,
    /// Bilinear interpolation (the ablation's Base only, SPEC §2.3).
    ResizeBilinear(ResizeFactor),
    /// A fully connected layer on `[n, c, 1, 1]`. Parameters: weight `[in, out]`, bias.
    Linear {
        /// Output features.
        out_features: usize,
    },
    /// Dropout in the reference's `downscale_in_infer` mode: training zeroes the fraction `rate`, inference
    /// multiplies by `1 - rate` (SPEC §1.1).
    Dropout {
        /// Fraction of the features that training zeroes.
        rate: f32,
    },
    /// `sqrt(a · b + epsilon)` of class probabilities `[n, c, h, w]` and one alignment `[n, 1, h, w]`
    /// (SPEC §3.3).
    GeometricMean {
        /// Added under the root; 1e-9.
        epsilon: f32,
    },
}

impl Op {
    /// Returns the number of inputs, or `None` for one or more.
    #[must_use]
    pub fn arity(&self) -> Option<usize> {
        match self {
            Self::Input => Some(0),
            Self::Add | Self::Scale | Self::GeometricMean { .. } => Some(2),
            Self::Concat => None,
            _ => Some(1),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => f.write_str("input"),
            Self::Convolution(c) => {
                write!(f, "conv {0}x{0}", c.kernel)?;
                if c.stride > 1 {
                    write!(f, " stride {}", c.stride)?;
                }
                if c.groups > 1 {
                    write!(f, " groups {}", c.groups)?;
                }
                write!(f, " -> {}", c.out_channels)?;
                if c.bias { f.write_str(" + bias") } else { Ok(()) }
            }
            Self::BatchNorm => f.write_str("batch_norm"),
            Self::Activation(activation) => write!(f, "{activation}"),
            Self::MaxPool => f.write_str("max_pool 3x3 stride 2"),
            Self::AveragePool => f.write_str("average_pool 2x2 stride 2"),
            Self::GlobalAveragePool => f.write_str("global_average_pool"),
            Self::Add => f.write_str("add"),
            Self::Scale => f.write_str("scale"),
            Self::Concat => f.write_str("concat"),
            Self::Slice { start, len } => write!(f, "slice {start}..{}", start + len),
            Self::ChannelShuffle => f.write_str("channel_shuffle"),
            Self::UpsampleNearest => f.write_str("upsample_nearest x2"),
            Self::ResizeBilinear(ResizeFactor::Double) => f.write_str("resize_bilinear x2"),
            Self::ResizeBilinear(ResizeFactor::Half) => f.write_str("resize_bilinear /2"),
            Self::Linear { out_features } => write!(f, "linear -> {out_features}"),
            Self::Dropout { rate } => write!(f, "dropout {rate}"),
            Self::GeometricMean { .. } => f.write_str("geometric_mean"),
        }
    }
}
