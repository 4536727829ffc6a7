//! The one function that says what shape an operation makes.

use crate::{Extent, Op, ResizeFactor, Shape};

/// The shape of the result of `op` on `inputs`.
///
/// # Errors
/// A sentence that says which rule the inputs break.
pub fn infer(op: &Op, inputs: &[Shape]) -> Result<Shape, String> {
    match op.arity() {
        Some(arity) if inputs.len() != arity => {
            return Err(format!("{op} takes {arity} inputs, not {}", inputs.len()));
        }
        None if inputs.is_empty() => return Err(format!("{op} needs an input")),
        _ => {}
    }
    match *op {
        Op::Input => Ok(Shape::input(3)),
        Op::Convolution(c) => {
            let x = inputs[0];
            if c.kernel % 2 == 0 || c.stride == 0 || c.groups == 0 || c.out_channels == 0 {
                return Err(format!(
                    "{op} is not a convolution: odd kernel, positive stride, groups and channels"
                ));
            }
            if !x.channels.is_multiple_of(c.groups) || !c.out_channels.is_multiple_of(c.groups) {
                return Err(format!("{op}: {} groups do not divide {} channels", c.groups, x.channels));
            }
            Ok(x.strided(c.stride).with_channels(c.out_channels))
        }
        Op::BatchNorm | Op::Activation(_) | Op::Dropout { .. } => Ok(inputs[0]),
        Op::MaxPool | Op::AveragePool => Ok(inputs[0].strided(2)),
        Op::GlobalAveragePool => {
            Ok(Shape { channels: inputs[0].channels, height: Extent::Fixed(1), width: Extent::Fixed(1) })
        }
        Op::Add => same(op, inputs[0], inputs[1]),
        Op::Scale => {
            let vector = Shape { height: Extent::Fixed(1), width: Extent::Fixed(1), ..inputs[0] };
            same(op, vector, inputs[1]).map(|_| inputs[0])
        }
        Op::Concat => {
            let mut channels = 0;
            for x in inputs {
                same(op, inputs[0].with_channels(1), x.with_channels(1))?;
                channels += x.channels;
            }
            Ok(inputs[0].with_channels(channels))
        }
        Op::Slice { start, len } => {
            if len == 0 || start + len > inputs[0].channels {
                return Err(format!("{op} of {} channels", inputs[0].channels));
            }
            Ok(inputs[0].with_channels(len))
        }
        Op::ChannelShuffle => {
            if !inputs[0].channels.is_multiple_of(2) {
                return Err(format!("{op} of {} channels: an even number is needed", inputs[0].channels));
            }
            Ok(inputs[0])
        }
        Op::UpsampleNearest | Op::ResizeBilinear(ResizeFactor::Double) => {
            let double = |extent: Extent| extent.doubled().ok_or(format!("{op} of a map of extent {extent}"));
            Ok(Shape { height: double(inputs[0].height)?, width: double(inputs[0].width)?, ..inputs[0] })
        }
        Op::ResizeBilinear(ResizeFactor::Half) => Ok(inputs[0].strided(2)),
        Op::Linear { out_features } => {
            if (inputs[0].height, inputs[0].width) != (Extent::Fixed(1), Extent::Fixed(1)) {
                return Err(format!("{op} needs [n, c, 1, 1], not {}", inputs[0]));
            }
            Ok(inputs[0].with_channels(out_features))
        }
        Op::GeometricMean { .. } => same(op, inputs[0].with_channels(1), inputs[1]).map(|_| inputs[0]),
    }
}

fn same(op: &Op, a: Shape, b: Shape) -> Result<Shape, String> {
    if a == b { Ok(a) } else { Err(format!("{op}: {a} does not go with {b}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_told() {
        let x = Shape::input(4);
        let cases: [(Op, Vec<Shape>); 6] = [
            (Op::Add, vec![x, x.strided(2)]),
            (Op::Concat, vec![]),
            (Op::Slice { start: 2, len: 3 }, vec![x]),
            (Op::ChannelShuffle, vec![x.with_channels(3)]),
            (Op::Linear { out_features: 2 }, vec![x]),
            (Op::UpsampleNearest, vec![x.strided(64)]),
        ];
        let accepted: Vec<String> = cases
            .iter()
            .filter(|(op, shapes)| infer(op, shapes).is_ok())
            .map(|(op, _)| op.to_string())
            .collect();
        assert!(accepted.is_empty(), "accepted: {accepted:?}");
    }
}
