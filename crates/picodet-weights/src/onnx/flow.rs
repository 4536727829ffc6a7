//! How nodes of an ONNX graph rearrange channels.

use super::message::RawNode;
use super::resize;
use super::shapes::Shapes;
use super::value::{Constant, Constants};
use crate::{ForeignFlow, ForeignPool, ForeignPooling, ForeignRange};

/// Largest number of integers of one operand.
const MAX_INTEGERS: usize = 1 << 12;

/// Returns the flow of a node.
pub(super) fn read(
    node: &RawNode,
    constants: &Constants,
    shapes: &Shapes,
    pooling: Option<ForeignPooling>,
    is_activation: bool,
) -> ForeignFlow {
    if let Some(pooling) = pooling {
        return pooling.kind().map(ForeignFlow::Pool).unwrap_or_default();
    }
    Operands { node, constants, shapes }.flow(is_activation).unwrap_or_default()
}

struct Operands<'a> {
    node: &'a RawNode,
    constants: &'a Constants,
    shapes: &'a Shapes,
}

impl Operands<'_> {
    fn constant(&self, input: usize) -> Option<&Constant> {
        self.constants.get(self.node.inputs.get(input)?)
    }

    /// Whether an optional input is given.
    fn has(&self, input: usize) -> bool {
        self.node.inputs.get(input).is_some_and(|name| !name.is_empty())
    }

    /// Returns the integers of an attribute of old versions, or of an input; empty if neither is there, `None` if the input is
    /// not a constant.
    fn integers(&self, attribute: &str, input: usize) -> Option<Vec<i64>> {
        if self.has(input) {
            let constant = self.constant(input).filter(|constant| constant.data.len() <= MAX_INTEGERS)?;
            return Some(constant.integers());
        }
        Some(self.node.integers(attribute).to_vec())
    }

    fn axis(&self, default: i64) -> i64 {
        self.node.integers("axis").first().copied().unwrap_or(default)
    }

    fn flow(&self, is_activation: bool) -> Option<ForeignFlow> {
        Some(match self.node.operator.as_str() {
            "Identity" | "Cast" | "Dropout" | "BatchNormalization" | "DequantizeLinear"
            | "QuantizeLinear" | "Clip" | "PRelu" | "Floor" | "Ceil" | "Neg" | "Exp" | "Sqrt" | "Abs" => {
                ForeignFlow::SAME
            }
            "Add" | "Sum" => self.arithmetic(Some(ForeignFlow::Sum))?,
            "Mul" => self.arithmetic(Some(ForeignFlow::Product))?,
            "Sub" | "Div" | "Min" | "Max" | "Pow" => self.arithmetic(None)?,
            "Concat" => ForeignFlow::Concat { axis: self.axis(1) },
            "Split" => ForeignFlow::Split { axis: self.axis(0), sizes: self.integers("split", 1)? },
            "Slice" => self.slice()?,
            "Gather" => self.gather()?,
            "Reshape" => self.reshape()?,
            "Transpose" => ForeignFlow::Transpose(self.node.integers("perm").to_vec()),
            "Squeeze" => ForeignFlow::Squeeze(self.integers("axes", 1)?),
            "Unsqueeze" => ForeignFlow::Unsqueeze(self.integers("axes", 1)?),
            "Flatten" => ForeignFlow::Flatten { axis: self.axis(1) },
            "Resize" | "Upsample" => resize::read(self.node, self.constants)?,
            "ReduceMean" => self.mean()?,
            "Pad" => self.pad()?,
            _ if is_activation => ForeignFlow::SAME,
            _ => return None,
        })
    }

    /// An operation of one value with constants, or of several values.
    fn arithmetic(&self, of_several: Option<ForeignFlow>) -> Option<ForeignFlow> {
        let inputs = 0..self.node.inputs.len();
        let constants: Vec<&Constant> = inputs.clone().filter_map(|input| self.constant(input)).collect();
        let mut others = inputs.filter(|&input| self.constant(input).is_none());
        match (others.next()?, others.next(), constants.as_slice()) {
            (input, None, []) => Some(ForeignFlow::Elementwise { input, values: 1 }),
            (input, None, [constant]) => {
                Some(ForeignFlow::Elementwise { input, values: constant.data.len() })
            }
            (_, Some(_), []) => of_several,
            _ => None,
        }
    }

    fn slice(&self) -> Option<ForeignFlow> {
        let (starts, ends) = (self.integers("starts", 1)?, self.integers("ends", 2)?);
        let (axes, steps) = (self.integers("axes", 3)?, self.integers("steps", 4)?);
        let axes = if axes.is_empty() { (0..starts.len() as i64).collect() } else { axes };
        let steps = if steps.is_empty() { vec![1; starts.len()] } else { steps };
        let is_sound = [ends.len(), axes.len(), steps.len()].iter().all(|&length| length == starts.len());
        if starts.is_empty() || starts.len() > 8 || !is_sound {
            return None;
        }
        let range =
            |at: usize| ForeignRange { axis: axes[at], start: starts[at], end: ends[at], step: steps[at] };
        Some(ForeignFlow::Slice((0..starts.len()).map(range).collect()))
    }

    fn gather(&self) -> Option<ForeignFlow> {
        let constant = self.constant(1).filter(|constant| constant.data.len() <= MAX_INTEGERS)?;
        let is_removed = constant.shape.is_empty();
        (constant.shape.len() <= 1).then(|| ForeignFlow::Gather {
            axis: self.axis(0),
            indices: constant.integers(),
            is_removed,
        })
    }

    fn reshape(&self) -> Option<ForeignFlow> {
        let extents = match self.node.inputs.get(1) {
            Some(name) => self.shapes.get(name, self.constants)?,
            None => self.node.integers("shape").iter().copied().map(Some).collect(),
        };
        let keeps_zeros = self.node.integers("allowzero").first().is_none_or(|&value| value == 0);
        let extents = extents.into_iter().map(|extent| extent.filter(|&extent| extent != -1)).collect();
        keeps_zeros.then_some(ForeignFlow::Reshape(extents))
    }

    /// The mean over height and width, which remain as axes of extent 1.
    fn mean(&self) -> Option<ForeignFlow> {
        let axes = self.integers("axes", 1)?;
        let is_kept = self.node.integers("keepdims").first().is_none_or(|&value| value != 0);
        let is_whole = matches!(axes.as_slice(), [2, 3] | [3, 2] | [-2, -1] | [-1, -2]);
        (is_kept && is_whole).then_some(ForeignFlow::Pool(ForeignPool::Whole))
    }

    /// A padding of height and width.
    fn pad(&self) -> Option<ForeignFlow> {
        let pads = self.integers("pads", 1)?;
        let is_in_space = pads.len() == 8 && [0, 1, 4, 5].iter().all(|&side| pads[side] == 0);
        (is_in_space && !self.has(3)).then_some(ForeignFlow::SAME)
    }
}
