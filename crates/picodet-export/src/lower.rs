//! Translates each operation of a graph to ONNX nodes.

use std::collections::HashMap;

use picodet_format::protobuf::Message;
use picodet_graph::{
    Activation, BATCH_NORM_EPSILON, Convolution, Graph, Node, NodeId, Op, ResizeFactor, Weights,
};

use crate::message::{Attribute, float_tensor, integer_tensor, node};

/// The nodes and constants of an ONNX graph under construction.
pub(crate) struct Lowering {
    pub(crate) nodes: Vec<Message>,
    pub(crate) constants: Vec<Message>,
    opset: i64,
    input_size: (usize, usize),
}

impl Lowering {
    pub(crate) fn new(opset: i64, input_size: (usize, usize)) -> Self {
        Self { nodes: Vec::new(), constants: Vec::new(), opset, input_size }
    }

    /// Appends a node with one output that has the name of the node; returns that name.
    pub(crate) fn push(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) -> String {
        let inputs: Vec<String> = inputs.iter().map(ToString::to_string).collect();
        self.nodes.push(node(operator, name, &inputs, &[name.to_owned()], attributes));
        name.to_owned()
    }

    /// Appends the `count` largest values along axis 1, in descending order; returns the names of the values
    /// and of their indices.
    pub(crate) fn push_top_k(&mut self, name: &str, x: &str, count: &str) -> [String; 2] {
        let outputs = [name.to_owned(), format!("{name}.index")];
        let inputs = [x.to_owned(), count.to_owned()];
        self.nodes.push(node("TopK", name, &inputs, &outputs, &[("axis", Attribute::Integer(1))]));
        outputs
    }

    /// Adds a constant of integers of rank 1; returns its name.
    pub(crate) fn integers(&mut self, name: &str, values: &[i64]) -> String {
        self.constants.push(integer_tensor(name, values));
        name.to_owned()
    }

    /// Adds a constant of floats; returns its name.
    pub(crate) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        self.constants.push(float_tensor(name, shape, values));
        name.to_owned()
    }

    /// Appends a reshape to `shape`, in which 0 keeps the extent of the input.
    pub(crate) fn reshape(&mut self, name: &str, x: &str, shape: &[i64]) -> String {
        let shape = self.integers(&format!("{name}.shape"), shape);
        self.push("Reshape", name, &[x, &shape], &[])
    }

    /// Translates every node; returns the name of the output of each, which is that of `names` or of the
    /// node.
    pub(crate) fn graph(
        &mut self,
        graph: &Graph,
        weights: &Weights,
        names: &HashMap<NodeId, String>,
    ) -> Vec<String> {
        for param in &graph.params {
            let tensor = &weights[&param.name];
            self.constants.push(float_tensor(&param.name, &tensor.shape, &tensor.data));
        }
        let mut outputs: Vec<String> = Vec::with_capacity(graph.nodes.len());
        for (index, node) in graph.nodes.iter().enumerate() {
            let inputs: Vec<String> = node.inputs.iter().map(|input| outputs[input.0].clone()).collect();
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            let name = names.get(&NodeId(index)).unwrap_or(&node.scope);
            let output = self.node(graph, node, name, &inputs);
            outputs.push(output);
        }
        outputs
    }

    pub(crate) fn node(&mut self, graph: &Graph, node: &Node, name: &str, inputs: &[&str]) -> String {
        let params: Vec<&str> = graph.params_of(node).map(|param| param.name.as_str()).collect();
        let with_params = [inputs, &params].concat();
        let int = Attribute::Integer;
        let pair = |value: usize| Attribute::Integers(vec![value as i64; 2]);
        match node.op {
            Op::Input => "image".to_owned(),
            Op::Convolution(op) => self.push("Conv", name, &with_params, &convolution_attributes(&op)),
            Op::BatchNorm => {
                let epsilon = Attribute::Float(BATCH_NORM_EPSILON as f32);
                self.push("BatchNormalization", name, &with_params, &[("epsilon", epsilon)])
            }
            Op::Activation(activation) => self.activation(name, inputs[0], activation),
            Op::MaxPool => {
                let pads = Attribute::Integers(vec![1; 4]);
                let attributes = [("kernel_shape", pair(3)), ("strides", pair(2)), ("pads", pads)];
                self.push("MaxPool", name, inputs, &attributes)
            }
            Op::AveragePool => {
                let attributes = [("kernel_shape", pair(2)), ("strides", pair(2)), ("ceil_mode", int(1))];
                self.push("AveragePool", name, inputs, &attributes)
            }
            Op::GlobalAveragePool => self.push("GlobalAveragePool", name, inputs, &[]),
            Op::Add => self.push("Add", name, inputs, &[]),
            Op::Scale => self.push("Mul", name, inputs, &[]),
            Op::Concat => self.push("Concat", name, inputs, &[("axis", int(1))]),
            Op::Slice { start, len } => {
                let starts = self.integers(&format!("{name}.starts"), &[start as i64]);
                let ends = self.integers(&format!("{name}.ends"), &[(start + len) as i64]);
                let axes = self.integers(&format!("{name}.axes"), &[1]);
                self.push("Slice", name, &[inputs[0], &starts, &ends, &axes], &[])
            }
            Op::ChannelShuffle => {
                let [channels, height, width] =
                    node.shape.resolve(self.input_size).map(|extent| extent as i64);
                let x =
                    self.reshape(&format!("{name}.halves"), inputs[0], &[0, 2, channels / 2, height, width]);
                let order = Attribute::Integers(vec![0, 2, 1, 3, 4]);
                let x = self.push("Transpose", &format!("{name}.pairs"), &[&x], &[("perm", order)]);
                self.reshape(name, &x, &[0, channels, height, width])
            }
            Op::UpsampleNearest => self.resize(name, inputs[0], 2.0, "nearest", "asymmetric"),
            Op::ResizeBilinear(ResizeFactor::Double) => {
                self.resize(name, inputs[0], 2.0, "linear", "half_pixel")
            }
            Op::ResizeBilinear(ResizeFactor::Half) => {
                self.resize(name, inputs[0], 0.5, "linear", "half_pixel")
            }
            Op::Linear { out_features } => {
                let x = self.push("Flatten", &format!("{name}.flat"), inputs, &[("axis", int(1))]);
                let x = self.push("Gemm", &format!("{name}.product"), &[&x, params[0], params[1]], &[]);
                self.reshape(name, &x, &[0, out_features as i64, 1, 1])
            }
            Op::Dropout { rate } => {
                let factor = self.floats(&format!("{name}.factor"), &[1], &[1.0 - rate]);
                self.push("Mul", name, &[inputs[0], &factor], &[])
            }
            Op::GeometricMean { epsilon } => {
                let epsilon = self.floats(&format!("{name}.epsilon"), &[1], &[epsilon]);
                let alignment = self.expand(&format!("{name}.alignment"), inputs[1], node.shape.channels);
                let product = self.push("Mul", &format!("{name}.product"), &[inputs[0], &alignment], &[]);
                let sum = self.push("Add", &format!("{name}.sum"), &[&product, &epsilon], &[]);
                self.push("Sqrt", name, &[&sum], &[])
            }
        }
    }

    /// Repeats a map of one channel: OpenCV 5 does not multiply maps of `channels` by maps of one channel.
    fn expand(&mut self, name: &str, x: &str, channels: usize) -> String {
        let shape = self.integers(&format!("{name}.shape"), &[1, channels as i64, 1, 1]);
        self.push("Expand", name, &[x, &shape], &[])
    }

    pub(crate) fn activation(&mut self, name: &str, x: &str, activation: Activation) -> String {
        let float = Attribute::Float;
        match activation {
            Activation::HardSwish if self.opset >= 14 => self.push("HardSwish", name, &[x], &[]),
            Activation::HardSwish => {
                let attributes = [("alpha", float(1.0 / 6.0)), ("beta", float(0.5))];
                let gate = self.push("HardSigmoid", &format!("{name}.gate"), &[x], &attributes);
                self.push("Mul", name, &[x, &gate], &[])
            }
            Activation::Relu => self.push("Relu", name, &[x], &[]),
            Activation::Relu6 => {
                let low = self.floats(&format!("{name}.low"), &[], &[0.0]);
                let high = self.floats(&format!("{name}.high"), &[], &[6.0]);
                self.push("Clip", name, &[x, &low, &high], &[])
            }
            Activation::LeakyRelu { slope } => self.push("LeakyRelu", name, &[x], &[("alpha", float(slope))]),
            Activation::HardSigmoid { slope } => {
                self.push("HardSigmoid", name, &[x], &[("alpha", float(slope)), ("beta", float(0.5))])
            }
            Activation::Sigmoid => self.push("Sigmoid", name, &[x], &[]),
        }
    }

    fn resize(
        &mut self,
        name: &str,
        x: &str,
        factor: f32,
        mode: &'static str,
        transform: &'static str,
    ) -> String {
        let scales = self.floats(&format!("{name}.scales"), &[4], &[1.0, 1.0, factor, factor]);
        let roi = self.floats(&format!("{name}.roi"), &[0], &[]);
        let attributes = [
            ("mode", Attribute::Text(mode)),
            ("coordinate_transformation_mode", Attribute::Text(transform)),
            ("nearest_mode", Attribute::Text("floor")),
        ];
        self.push("Resize", name, &[x, &roi, &scales], &attributes)
    }
}

/// The attributes of a convolution.
pub(crate) fn convolution_attributes(op: &Convolution) -> [(&'static str, Attribute); 4] {
    let pair = |value: usize| Attribute::Integers(vec![value as i64; 2]);
    [
        ("kernel_shape", pair(op.kernel)),
        ("strides", pair(op.stride)),
        ("pads", Attribute::Integers(vec![(op.kernel as i64 - 1) / 2; 4])),
        ("group", Attribute::Integer(op.groups as i64)),
    ]
}
