//! Shape inference: the shape of the result of each operation.

use std::fmt;

use crate::{Extent, Op, ResizeFactor, Shape};

/// A rule of an operation that its inputs break.
#[derive(Clone, Debug, PartialEq)]
pub struct InferError {
    /// The operation.
    pub op: Op,
    /// The rule.
    pub rule: ShapeRule,
}

/// A rule for the inputs of an operation.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ShapeRule {
    /// The number of inputs is fixed.
    Arity {
        /// The number that the operation has.
        expected: usize,
        /// The number of inputs given.
        found: usize,
    },
    /// There is at least one input.
    AnInput,
    /// A convolution has an odd kernel, and positive stride, groups and output channels.
    Convolution,
    /// The groups of a convolution divide its channels.
    Groups {
        /// Channels of the input.
        channels: usize,
    },
    /// Two shapes are equal.
    Equal {
        /// The first shape.
        expected: Shape,
        /// The second shape.
        found: Shape,
    },
    /// A slice is not empty and lies within the channels.
    Slice {
        /// Channels of the input.
        channels: usize,
    },
    /// The number of channels is even.
    EvenChannels {
        /// Channels of the input.
        channels: usize,
    },
    /// The extent doubles exactly.
    Doubles {
        /// Height or width of the input.
        extent: Extent,
    },
    /// The input is a vector per image.
    Vector {
        /// The shape of the input.
        found: Shape,
    },
}

impl fmt::Display for InferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = self.op;
        match self.rule {
            ShapeRule::Arity { expected, found } => write!(f, "{op} takes {expected} inputs, not {found}"),
            ShapeRule::AnInput => write!(f, "{op} needs at least one input"),
            ShapeRule::Convolution => {
                write!(f, "{op} needs an odd kernel, and positive stride, groups and output channels")
            }
            ShapeRule::Groups { channels } => {
                write!(f, "{op}: the groups do not divide {channels} input channels or the output channels")
            }
            ShapeRule::Equal { expected, found } => write!(f, "{op}: {expected} does not match {found}"),
            ShapeRule::Slice { channels } => write!(f, "{op} of a map of {channels} channels"),
            ShapeRule::EvenChannels { channels } => {
                write!(f, "{op} needs an even number of channels, not {channels}")
            }
            ShapeRule::Doubles { extent } => {
                write!(f, "{op} of a map of extent {extent}, which does not double")
            }
            ShapeRule::Vector { found } => write!(f, "{op} needs [n, c, 1, 1], not {found}"),
        }
    }
}

impl std::error::Error for InferError {}

/// Returns the shape of the result of `op` on `inputs`.
///
/// # Errors
/// [`InferError`] with the first rule that the inputs break.
pub fn infer(op: &Op, inputs: &[Shape]) -> Result<Shape, InferError> {
    result_shape(op, inputs).map_err(|rule| InferError { op: *op, rule })
}

fn result_shape(op: &Op, inputs: &[Shape]) -> Result<Shape, ShapeRule> {
    match op.arity() {
        Some(expected) if inputs.len() != expected => {
            return Err(ShapeRule::Arity { expected, found: inputs.len() });
        }
        None if inputs.is_empty() => return Err(ShapeRule::AnInput),
        _ => {}
    }
    match *op {
        Op::Input => Ok(Shape::input(3)),
        Op::Convolution(c) => {
            let x = inputs[0];
            if c.kernel % 2 == 0 || c.stride == 0 || c.groups == 0 || c.out_channels == 0 {
                return Err(ShapeRule::Convolution);
            }
            if !x.channels.is_multiple_of(c.groups) || !c.out_channels.is_multiple_of(c.groups) {
                return Err(ShapeRule::Groups { channels: x.channels });
            }
            Ok(x.strided(c.stride).with_channels(c.out_channels))
        }
        Op::BatchNorm | Op::Activation(_) | Op::Dropout { .. } => Ok(inputs[0]),
        Op::MaxPool | Op::AveragePool => Ok(inputs[0].strided(2)),
        Op::GlobalAveragePool => Ok(vector(inputs[0])),
        Op::Add => equal(inputs[0], inputs[1]),
        Op::Scale => equal(vector(inputs[0]), inputs[1]).map(|_| inputs[0]),
        Op::Concat => {
            let mut channels = 0;
            for x in inputs {
                equal(inputs[0].with_channels(1), x.with_channels(1))?;
                channels += x.channels;
            }
            Ok(inputs[0].with_channels(channels))
        }
        Op::Slice { start, len } => {
            let channels = inputs[0].channels;
            let is_inside = start.checked_add(len).is_some_and(|end| end <= channels);
            if len == 0 || !is_inside {
                Err(ShapeRule::Slice { channels })
            } else {
                Ok(inputs[0].with_channels(len))
            }
        }
        Op::ChannelShuffle => {
            let channels = inputs[0].channels;
            if channels.is_multiple_of(2) { Ok(inputs[0]) } else { Err(ShapeRule::EvenChannels { channels }) }
        }
        Op::UpsampleNearest | Op::ResizeBilinear(ResizeFactor::Double) => {
            let double = |extent: Extent| extent.doubled().ok_or(ShapeRule::Doubles { extent });
            Ok(Shape { height: double(inputs[0].height)?, width: double(inputs[0].width)?, ..inputs[0] })
        }
        Op::ResizeBilinear(ResizeFactor::Half) => Ok(inputs[0].strided(2)),
        Op::Linear { out_features } => {
            if inputs[0] == vector(inputs[0]) {
                Ok(inputs[0].with_channels(out_features))
            } else {
                Err(ShapeRule::Vector { found: inputs[0] })
            }
        }
        Op::GeometricMean { .. } => equal(inputs[0].with_channels(1), inputs[1]).map(|_| inputs[0]),
    }
}

/// The shape of one value per channel.
fn vector(shape: Shape) -> Shape {
    Shape { height: Extent::Fixed(1), width: Extent::Fixed(1), ..shape }
}

fn equal(expected: Shape, found: Shape) -> Result<Shape, ShapeRule> {
    if expected == found { Ok(expected) } else { Err(ShapeRule::Equal { expected, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_broken_rule_is_reported() {
        let x = Shape::input(4);
        let convolution = |groups, kernel| {
            Op::Convolution(crate::Convolution { out_channels: 8, kernel, stride: 1, groups, bias: false })
        };
        let cases: [(Op, Vec<Shape>, &str); 9] = [
            (Op::Add, vec![x], "add takes 2 inputs, not 1"),
            (Op::Add, vec![x, x.strided(2)], "add: [n, 4, 1/1, 1/1] does not match [n, 4, 1/2, 1/2]"),
            (Op::Concat, vec![], "concat needs at least one input"),
            (Op::Slice { start: 2, len: 3 }, vec![x], "slice 2..5 of a map of 4 channels"),
            (
                Op::ChannelShuffle,
                vec![x.with_channels(3)],
                "channel_shuffle needs an even number of channels, not 3",
            ),
            (Op::Linear { out_features: 2 }, vec![x], "linear -> 2 needs [n, c, 1, 1], not [n, 4, 1/1, 1/1]"),
            (
                Op::UpsampleNearest,
                vec![x.strided(64)],
                "upsample_nearest x2 of a map of extent 1/64, which does not double",
            ),
            (
                convolution(1, 2),
                vec![x],
                "conv 2x2 -> 8 needs an odd kernel, and positive stride, groups and output channels",
            ),
            (
                convolution(3, 1),
                vec![x],
                "conv 1x1 groups 3 -> 8: the groups do not divide 4 input channels or the output channels",
            ),
        ];
        for (op, shapes, message) in cases {
            assert_eq!(infer(&op, &shapes).map_err(|error| error.to_string()), Err(message.to_owned()));
        }
    }
}
