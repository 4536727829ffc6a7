//! The operations of a program.

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
    pub(super) strides: Vec<i64>,
    pub(super) paddings: Vec<i64>,
    pub(super) dilations: Vec<i64>,
    pub(super) groups: i64,
    pub(super) epsilon: f32,
    pub(super) padding_algorithm: String,
    pub(super) data_format: String,
}

impl Operation {
    pub(super) fn new(kind: String) -> Self {
        Self { kind, groups: 1, epsilon: 1e-5, ..Self::default() }
    }

    /// Sets a list of integers by the name of its attribute.
    pub(super) fn set_integers(&mut self, name: &str, values: Vec<i64>) {
        match name {
            "strides" => self.strides = values,
            "paddings" => self.paddings = values,
            "dilations" => self.dilations = values,
            "groups" => self.groups = values.first().copied().unwrap_or(1),
            _ => {}
        }
    }

    /// Sets a text by the name of its attribute.
    pub(super) fn set_text(&mut self, name: &str, value: String) {
        match name {
            "padding_algorithm" => self.padding_algorithm = value,
            "data_format" | "data_layout" => self.data_format = value,
            _ => {}
        }
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
