//! A difference between the channels that convolutions read.

use std::fmt;

/// A convolution of a file reads other channels than its counterpart in the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the convolution `{name}` (`{scope}`) reads {difference}, so that the result would differ; {}",
    .difference.advice()
)]
pub struct ChannelError {
    /// Its name in the file.
    pub name: String,
    /// Its name in the graph.
    pub scope: String,
    /// The difference.
    pub difference: ChannelDifference,
}

/// How the channels that a convolution of a file reads differ from those in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelDifference {
    /// Another number.
    Count {
        /// Number in the file.
        found: usize,
        /// Number in the network.
        expected: usize,
    },
    /// The same channels in another order.
    Order,
    /// The colours of the image in another order.
    Colours,
    /// Other channels.
    Channels {
        /// Index of the first one that differs.
        first: usize,
    },
    /// A sum instead of a product.
    Sum,
    /// A product instead of a sum.
    Product,
    /// Sums and products in other places.
    Arithmetic,
    /// Maps that are pooled in another way.
    Pooling,
    /// Maps that are resized by another factor.
    Factor,
    /// Maps that are resized with another interpolation.
    Interpolation,
}

impl ChannelDifference {
    fn advice(self) -> &'static str {
        match self {
            Self::Colours => "give the file of the network without the layer that reorders them",
            _ => "choose the variant that it was trained as",
        }
    }
}

impl fmt::Display for ChannelDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Count { found, expected } => {
                return write!(f, "{found} channels where the network has {expected}");
            }
            Self::Channels { first } => {
                return write!(f, "other channels than in the network, from channel {first} on");
            }
            Self::Order => "its channels in another order than in the network",
            Self::Colours => "the colours of the image in another order than red, green, blue",
            Self::Sum => "a sum where the network has a product",
            Self::Product => "a product where the network has a sum",
            Self::Arithmetic => "a map whose sums and products are not those of the network",
            Self::Pooling => "a map that is pooled in another way than in the network",
            Self::Factor => "a map that is resized by another factor than in the network",
            Self::Interpolation => "a map that is resized with another interpolation than in the network",
        })
    }
}
