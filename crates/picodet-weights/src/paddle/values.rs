//! Lists of integers that operations of a Paddle program compute, as far as constants determine them, and lists of tensors.

use std::collections::HashMap;

use super::operation::Operation;

/// Largest number of integers of one list.
const MAX_LENGTH: usize = 256;

/// The integers and the lists of tensors by the names of their values.
#[derive(Default)]
pub(super) struct Values {
    /// `None` for an integer that is not a constant.
    integers: HashMap<String, Vec<Option<i64>>>,
    /// The tensors of the lists that `combine` creates.
    lists: HashMap<String, Vec<String>>,
}

impl Values {
    /// Returns the integers of a value.
    pub(super) fn integers(&self, name: &str) -> Option<&[Option<i64>]> {
        self.integers.get(name).map(Vec::as_slice)
    }

    /// Returns the integers of several values, one list after the other.
    pub(super) fn all(&self, names: &[String]) -> Option<Vec<Option<i64>>> {
        let mut all = Vec::new();
        if names.len() > MAX_LENGTH {
            return None;
        }
        for name in names {
            match self.lists.get(name) {
                Some(names) if names.len() > MAX_LENGTH => return None,
                Some(names) => {
                    for name in names {
                        all.extend_from_slice(self.integers(name)?);
                    }
                }
                None => all.extend_from_slice(self.integers(name)?),
            }
            if all.len() > MAX_LENGTH {
                return None;
            }
        }
        Some(all)
    }

    /// Returns the tensors of a list.
    pub(super) fn list(&self, name: &str) -> Option<&[String]> {
        self.lists.get(name).map(Vec::as_slice)
    }

    /// Notes the result of an operation.
    pub(super) fn follow(&mut self, operation: &Operation) {
        let Some(output) = operation.outputs.first() else { return };
        if operation.kind == "combine" {
            self.lists.insert(output.clone(), operation.inputs.clone());
            return;
        }
        if let Some(integers) = self.result(operation).filter(|list| list.len() <= MAX_LENGTH) {
            self.integers.insert(output.clone(), integers);
        }
    }

    fn result(&self, operation: &Operation) -> Option<Vec<Option<i64>>> {
        let known = |values: Vec<i64>| values.into_iter().map(Some).collect();
        let input = || self.integers(operation.inputs.first()?);
        let is_whole = |value: f64| value.fract() == 0.0;
        match operation.kind.trim_end_matches('_') {
            "full_int_array" => Some(known(operation.integers("value"))),
            "full" | "fill_constant" => {
                let value = operation.number("value").or_else(|| operation.text("str_value").parse().ok());
                let is_single = operation.numbers("shape").iter().product::<f64>() == 1.0;
                value.filter(|&value| is_single && is_whole(value)).map(|value| vec![Some(value as i64)])
            }
            "assign_value" => {
                let names = ["int32_values", "int64_values", "values"];
                let values =
                    names.map(|name| operation.integers(name)).into_iter().find(|list| !list.is_empty());
                values.map(known)
            }
            "shape" | "shape64" => Some(vec![None; 4]),
            // One extent of a shape.
            "slice" if operation.numbers("axes") == [0.0] && input().is_some() => {
                let bound = |attribute: &str, slot: &str| match operation.slots.get(slot) {
                    Some(names) => *self.all(names)?.first()?,
                    None => operation.integers(attribute).first().copied(),
                };
                let (start, end) = (bound("starts", "StartsTensor")?, bound("ends", "EndsTensor")?);
                let length = input()?.len() as i64;
                let clamp =
                    |index: i64| if index < 0 { index + length } else { index }.clamp(0, length) as usize;
                input()?.get(clamp(start)..clamp(end)).map(<[_]>::to_vec)
            }
            "stack" | "concat" => self.all(&operation.inputs),
            "cast" | "assign" | "share_data" | "squeeze" | "unsqueeze" | "squeeze2" | "unsqueeze2" => {
                Some(input()?.to_vec())
            }
            "add"
            | "subtract"
            | "multiply"
            | "floor_divide"
            | "divide"
            | "elementwise_add"
            | "elementwise_sub"
            | "elementwise_mul"
            | "elementwise_floordiv"
            | "elementwise_div"
            | "scale" => Some(vec![None; input()?.len()]),
            _ => None,
        }
    }
}
