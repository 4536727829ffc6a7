//! Shapes that nodes of an ONNX graph compute, as far as constants determine them.
//!
//! Exporters of networks for any batch or size compute the shape of a reshape from that of its input: single extents are
//! gathered from a `Shape` and concatenated with constants.

use std::collections::HashMap;

use super::message::RawNode;
use super::value::Constants;

/// Largest number of extents.
const MAX_RANK: usize = 8;

/// Lists of integers by the name of their value; `None` for one that is not a constant.
#[derive(Default)]
pub(super) struct Shapes(HashMap<String, Vec<Option<i64>>>);

impl Shapes {
    /// Returns the integers of a value.
    pub(super) fn get(&self, name: &str, constants: &Constants) -> Option<Vec<Option<i64>>> {
        match constants.get(name) {
            Some(constant) if constant.data.len() <= MAX_RANK => {
                Some(constant.integers().into_iter().map(Some).collect())
            }
            Some(_) => None,
            None => self.0.get(name).cloned(),
        }
    }

    /// Notes the result of a node.
    pub(super) fn follow(&mut self, node: &RawNode, constants: &Constants) {
        let result = self.result(node, constants).filter(|list| list.len() <= MAX_RANK);
        self.0.extend(node.outputs.first().cloned().zip(result));
    }

    fn result(&self, node: &RawNode, constants: &Constants) -> Option<Vec<Option<i64>>> {
        let operand = |input: usize| self.get(node.inputs.get(input)?, constants);
        let bound = |attribute: &str, input: usize| match node.inputs.get(input) {
            Some(name) => {
                let constant = constants.get(name).filter(|constant| constant.data.len() == 1)?;
                constant.integers().first().copied()
            }
            None => node.integers(attribute).first().copied(),
        };
        match node.operator.as_str() {
            "Cast" | "Identity" | "Squeeze" | "Unsqueeze" => operand(0),
            "Concat" if node.inputs.len() <= MAX_RANK => {
                let parts = (0..node.inputs.len()).map(operand).collect::<Option<Vec<_>>>()?;
                Some(parts.concat())
            }
            "Gather" => Some(vec![None; constants.get(node.inputs.get(1)?)?.data.len().min(MAX_RANK + 1)]),
            "Slice" => {
                let length = bound("ends", 2)?.checked_sub(bound("starts", 1)?)?;
                let length = usize::try_from(length).ok().filter(|&length| length <= MAX_RANK)?;
                Some(vec![None; length])
            }
            "Add" | "Sub" | "Mul" | "Div" => {
                let (one, other) = (operand(0)?, operand(1)?);
                (one.len() == 1 && other.len() == 1).then(|| vec![None])
            }
            _ => None,
        }
    }
}
