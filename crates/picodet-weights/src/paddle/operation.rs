//! The operations of a program.

use std::collections::HashMap;

/// Largest number of operations and of variables.
pub(super) const MAX_OPERATIONS: usize = 100_000;

/// A program in its own order.
#[derive(Debug, Default)]
pub(super) struct Program {
    /// Names of the parameters; those of a JSON program with the value that holds each.
    pub(super) parameters: Vec<Parameter>,
    pub(super) operations: Vec<Operation>,
}

/// A parameter of a program.
#[derive(Debug)]
pub(super) struct Parameter {
    /// Name in the stream of tensors.
    pub(super) name: String,
    /// Name of the value in the operations.
    pub(super) value: String,
}

/// One operation; inputs are in the order of its kind.
#[derive(Debug, Default)]
pub(super) struct Operation {
    /// Name of its kind, as in `conv2d`.
    pub(super) kind: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    /// Values that take the place of attributes, by the name of their slot in a protocol buffer: `AxisTensor`.
    pub(super) slots: HashMap<String, Vec<String>>,
    /// Attributes that are numbers, truth values (0 or 1) or lists of these.
    numbers: HashMap<String, Vec<f64>>,
    texts: HashMap<String, String>,
}

impl Operation {
    pub(super) fn new(kind: String) -> Self {
        Self { kind, ..Self::default() }
    }

    /// Sets a list of numbers by the name of its attribute.
    pub(super) fn set_numbers(&mut self, name: &str, values: Vec<f64>) {
        self.numbers.insert(name.to_owned(), values);
    }

    /// Sets a text by the name of its attribute.
    pub(super) fn set_text(&mut self, name: &str, value: String) {
        self.texts.insert(name.to_owned(), value);
    }

    /// Returns the numbers of an attribute; empty if it is absent.
    pub(super) fn numbers(&self, name: &str) -> &[f64] {
        self.numbers.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns the first number of an attribute.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.numbers(name).first().copied()
    }

    /// Returns an attribute as integers; empty if it is absent.
    pub(super) fn integers(&self, name: &str) -> Vec<i64> {
        self.numbers(name).iter().map(|&value| value as i64).collect()
    }

    /// Whether an attribute is a number other than 0.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.number(name).is_some_and(|value| value != 0.0)
    }

    /// Returns the text of an attribute; empty if it is absent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.texts.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Returns the order of axes; empty if it is absent.
    pub(super) fn data_format(&self) -> &str {
        let layout = self.text("data_layout");
        if layout.is_empty() { self.text("data_format") } else { layout }
    }
}

/// Whether a kind of operation is a batch norm; its inputs are x, mean, variance, scale, bias.
pub(super) fn is_batch_norm(kind: &str) -> bool {
    kind.trim_end_matches('_').ends_with("batch_norm")
}

/// Whether a kind of operation is a convolution; its inputs are x and weight.
pub(super) fn is_convolution(kind: &str) -> bool {
    matches!(kind, "conv2d" | "depthwise_conv2d")
}

/// Whether a kind of operation is a resize.
pub(super) fn is_resize(kind: &str) -> bool {
    kind.ends_with("_interp") || kind.ends_with("_interp_v2")
}
