//! Parameters of a graph: name, shape, role and initialisation, without values.

/// The role of a parameter in its node.
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
    /// Whether training updates the parameter by its gradient.
    #[must_use]
    pub fn is_learned(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVariance)
    }
}

/// The distribution of the initial values of a parameter (SPEC §0).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initialiser {
    /// All values equal.
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

/// The rule by which the builder chooses the [`Initialiser`] of convolution weights.
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
    /// Returns the distribution for a convolution of `in_channels` input channels.
    #[must_use]
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
    /// Its role in its node.
    pub role: Role,
    /// The distribution of its initial values.
    pub initialiser: Initialiser,
    /// Whether weight decay applies to it (SPEC §7.1).
    pub decays: bool,
}

impl Param {
    /// Returns the number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the parameter has no values; never true in a checked graph.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
