//! What is known of a parameter without its numbers.

/// What a parameter is to its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Weight of a convolution `[out, in / groups, k, k]` or of a linear layer `[in, out]`.
    Weight,
    /// Bias of a convolution or a linear layer, `[out]`.
    Bias,
    /// Scale of a batch norm, `[c]`.
    Gamma,
    /// Shift of a batch norm, `[c]`.
    Beta,
    /// Running mean of a batch norm, `[c]`; a state, not learned.
    RunningMean,
    /// Running (biased) variance of a batch norm, `[c]`; a state, not learned.
    RunningVariance,
}

impl Role {
    /// Whether training moves the parameter by its gradient.
    pub fn is_learned(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVariance)
    }
}

/// The distribution that a parameter starts from (SPEC §0).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initialiser {
    /// Every value the same.
    Constant(f32),
    /// Normal with mean 0.
    Normal {
        /// Standard deviation.
        std: f32,
    },
    /// Uniform on `-limit .. limit`.
    Uniform {
        /// Largest magnitude.
        limit: f32,
    },
}

/// How the builder chooses the [`Initialiser`] of the convolution weights that follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InitRule {
    /// Normal with std `sqrt(2 / (in / groups · k²))`.
    KaimingNormal,
    /// Uniform with limit `sqrt(6 / (in / groups · k²))`.
    KaimingUniform,
    /// The reference framework's default: as [`InitRule::KaimingNormal`] but with all input channels,
    /// whatever the groups.
    FrameworkDefault,
    /// Uniform with limit `sqrt(6 / (fan_in + fan_out))` where `fan_out` is the number of input channels.
    XavierUniform,
    /// Normal with the given standard deviation.
    Normal(f32),
}

impl InitRule {
    /// The distribution for a convolution from `in_channels` channels.
    pub fn for_convolution(self, in_channels: usize, groups: usize, kernel: usize) -> Initialiser {
        let window = (kernel * kernel) as f32;
        let fan_in = (in_channels / groups) as f32 * window;
        match self {
            Self::KaimingNormal => Initialiser::Normal { std: (2.0 / fan_in).sqrt() },
            Self::KaimingUniform => Initialiser::Uniform { limit: (6.0 / fan_in).sqrt() },
            Self::FrameworkDefault => {
                Initialiser::Normal { std: (2.0 / (in_channels as f32 * window)).sqrt() }
            }
            Self::XavierUniform => {
                Initialiser::Uniform { limit: (6.0 / (fan_in + in_channels as f32)).sqrt() }
            }
            Self::Normal(std) => Initialiser::Normal { std },
        }
    }
}

/// A named parameter of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// The scope path of its node and its role, as in `backbone.stem.conv.weight`.
    pub name: String,
    /// Extent of each axis, outermost first.
    pub shape: Vec<usize>,
    /// What it is to its node.
    pub role: Role,
    /// What it starts from.
    pub initialiser: Initialiser,
    /// Whether weight decay pulls it to zero (SPEC §7.1).
    pub decays: bool,
}

impl Param {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it holds no value at all; never so in a checked graph.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
