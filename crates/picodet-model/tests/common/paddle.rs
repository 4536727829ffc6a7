//! Writes a graph as Paddle exports it: a program as a protocol buffer (Paddle 2) or as JSON (Paddle 3), and its parameters.

use picodet_format::protobuf::Message;
use picodet_graph::{Activation, Graph, Op, ResizeFactor, Weights};
use serde_json::{Value, json};

/// The value of an attribute.
#[derive(Clone)]
pub(crate) enum Attribute {
    Integers(Vec<i64>),
    Floats(Vec<f32>),
    Flag(bool),
    Text(&'static str),
}

use Attribute::{Flag, Floats, Integers, Text};

/// An operation of both forms.
pub(crate) struct Operation {
    /// Its kind in a protocol buffer and in JSON.
    pub(crate) kinds: [&'static str; 2],
    /// Values with their slots.
    pub(crate) inputs: Vec<(&'static str, String)>,
    pub(crate) outputs: Vec<String>,
    pub(crate) attributes: Vec<(&'static str, Attribute)>,
    /// Lists that are attributes in a protocol buffer and operands in JSON.
    pub(crate) operands: Vec<(&'static str, Vec<i64>)>,
}

impl Operation {
    pub(crate) fn new(kinds: [&'static str; 2], inputs: &[String], output: String) -> Self {
        Self {
            kinds,
            inputs: inputs.iter().map(|input| ("X", input.clone())).collect(),
            outputs: vec![output],
            attributes: Vec::new(),
            operands: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: Attribute) -> Self {
        self.attributes.push((name, value));
        self
    }

    pub(crate) fn with_operand(mut self, name: &'static str, values: &[i64]) -> Self {
        self.operands.push((name, values.to_vec()));
        self
    }

    fn with_slots(mut self, slots: &[&'static str]) -> Self {
        self.inputs.iter_mut().zip(slots).for_each(|(input, slot)| input.0 = slot);
        self
    }

    /// Returns the list of an attribute or operand.
    pub(crate) fn list(&mut self, name: &str) -> Option<&mut Vec<i64>> {
        let attributes = self.attributes.iter_mut().filter_map(|(other, value)| match value {
            Integers(values) if *other == name => Some(values),
            _ => None,
        });
        let operands = self.operands.iter_mut().filter(|(other, _)| *other == name).map(|(_, values)| values);
        attributes.chain(operands).next()
    }

    /// Sets an attribute.
    pub(crate) fn set(&mut self, name: &str, value: &Attribute) -> bool {
        let found = self.attributes.iter_mut().find(|(other, _)| *other == name);
        found.is_some_and(|found| {
            found.1 = value.clone();
            true
        })
    }
}

/// Returns the operations of a graph; shapes are those of an input of 64×96 pixels.
pub(crate) fn operations(graph: &Graph) -> Vec<Operation> {
    let mut all = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let inputs: Vec<String> = node.inputs.iter().map(|input| format!("v{}", input.0)).collect();
        let params: Vec<String> = graph.params_of(node).map(|param| param.name.clone()).collect();
        let with_params = [&inputs[..], &params[..]].concat();
        let output = format!("v{index}");
        let of = |kinds: [&'static str; 2]| Operation::new(kinds, &inputs, output.clone());
        let pair = |value: usize| Integers(vec![value as i64; 2]);
        let pool = |kind: &'static str, side: i64, padding: usize| {
            let pool = of(["pool2d"; 2]).with("pooling_type", Text(kind)).with("strides", pair(2));
            pool.with("paddings", pair(padding)).with_operand("ksize", &[side; 2])
        };
        match node.op {
            Op::Input => all.push(of(["feed", "data"])),
            Op::Convolution(op) => {
                let kind = if op.groups > 1 { "depthwise_conv2d" } else { "conv2d" };
                let result = if op.bias { format!("{output}.product") } else { output.clone() };
                let operation = Operation::new([kind; 2], &with_params[..2], result.clone());
                let operation = operation.with_slots(&["Input", "Filter"]).with("strides", pair(op.stride));
                let operation =
                    operation.with("paddings", pair((op.kernel - 1) / 2)).with("dilations", pair(1));
                all.push(operation.with("groups", Integers(vec![op.groups as i64])));
                if op.bias {
                    let bias = format!("{output}.bias");
                    let shape = [1, op.out_channels as i64, 1, 1];
                    let reshape = ["reshape2", "reshape"];
                    let reshape = Operation::new(reshape, &params[1..], bias.clone());
                    all.push(reshape.with_operand("shape", &shape));
                    let sum = ["elementwise_add", "add"];
                    let sum = Operation::new(sum, &[result, bias], output.clone());
                    all.push(sum.with_slots(&["X", "Y"]));
                }
            }
            Op::BatchNorm => {
                // gamma, beta, mean, variance to x, mean, variance, scale, bias.
                let order = [0, 3, 4, 1, 2].map(|at| with_params[at].clone());
                let norm = Operation::new(["batch_norm", "batch_norm_"], &order, output.clone());
                let norm = norm.with_slots(&["X", "Mean", "Variance", "Scale", "Bias"]);
                all.push(norm.with("epsilon", Floats(vec![1e-5])));
            }
            Op::Activation(activation) => all.push(match activation {
                Activation::HardSwish => of(["hard_swish", "hardswish"]),
                Activation::Relu => of(["relu"; 2]),
                Activation::Relu6 => of(["relu6"; 2]),
                Activation::LeakyRelu { slope } => of(["leaky_relu"; 2])
                    .with("alpha", Floats(vec![slope]))
                    .with("negative_slope", Floats(vec![slope])),
                Activation::HardSigmoid { slope } => of(["hard_sigmoid", "hardsigmoid"])
                    .with("slope", Floats(vec![slope]))
                    .with("offset", Floats(vec![0.5])),
                Activation::Sigmoid => of(["sigmoid"; 2]),
            }),
            Op::MaxPool => all.push(pool("max", 3, 1)),
            Op::AveragePool => all.push(pool("avg", 2, 0).with("ceil_mode", Flag(true))),
            Op::GlobalAveragePool => all.push(pool("avg", 1, 0).with("adaptive", Flag(true))),
            Op::Add => all.push(of(["elementwise_add", "add"]).with_slots(&["X", "Y"])),
            Op::Scale => all.push(of(["elementwise_mul", "multiply"]).with_slots(&["X", "Y"])),
            Op::Concat => all.push(of(["concat"; 2]).with_operand("axis", &[1])),
            Op::Slice { start, len } => {
                let channels = graph.node(node.inputs[0]).shape.channels;
                let parts = [
                    (start, format!("{output}.before")),
                    (len, output.clone()),
                    (channels - start - len, format!("{output}.after")),
                ];
                let parts: Vec<(usize, String)> = parts.into_iter().filter(|(size, _)| *size > 0).collect();
                let sizes: Vec<i64> = parts.iter().map(|(size, _)| *size as i64).collect();
                let mut split = of(["split"; 2]).with_operand("sections", &sizes).with_operand("axis", &[1]);
                split.outputs = parts.into_iter().map(|(_, name)| name).collect();
                all.push(split);
            }
            Op::ChannelShuffle => {
                let [channels, height, width] = node.shape.resolve((64, 96)).map(|extent| extent as i64);
                let reshape = ["reshape2", "reshape"];
                let [halves, pairs] = ["halves", "pairs"].map(|name| format!("{output}.{name}"));
                let step = |kinds, input: &str, output: &str| {
                    Operation::new(kinds, &[input.to_owned()], output.to_owned())
                };
                all.push(
                    step(reshape, &inputs[0], &halves)
                        .with_operand("shape", &[-1, 2, channels / 2, height, width]),
                );
                let order = Integers(vec![0, 2, 1, 3, 4]);
                let transpose = step(["transpose2", "transpose"], &halves, &pairs);
                all.push(transpose.with("axis", order.clone()).with("perm", order));
                all.push(
                    step(reshape, &pairs, &output).with_operand("shape", &[-1, channels, height, width]),
                );
            }
            Op::UpsampleNearest => {
                all.push(of(["nearest_interp_v2", "nearest_interp"]).with("scale", Floats(vec![2.0; 2])))
            }
            Op::ResizeBilinear(factor) => {
                let scale = if factor == ResizeFactor::Double { 2.0 } else { 0.5 };
                let resize =
                    of(["bilinear_interp_v2", "bilinear_interp"]).with("scale", Floats(vec![scale; 2]));
                all.push(resize.with("align_mode", Integers(vec![0])).with("align_corners", Flag(false)));
            }
            Op::GeometricMean { epsilon } => {
                let [product, sum] = ["product", "sum"].map(|name| format!("{output}.{name}"));
                let step = |kinds, input: &str, output: &str| {
                    Operation::new(kinds, &[input.to_owned()], output.to_owned())
                };
                all.push(
                    Operation::new(["elementwise_mul", "multiply"], &inputs, product.clone())
                        .with_slots(&["X", "Y"]),
                );
                all.push(step(["scale"; 2], &product, &sum).with("bias", Floats(vec![epsilon])));
                all.push(step(["sqrt"; 2], &sum, &output));
            }
            Op::Dropout { .. } => all.push(of(["dropout"; 2])),
            Op::Linear { .. } => {}
        }
    }
    all
}

/// Returns the program as a protocol buffer.
pub(crate) fn protocol_buffer(graph: &Graph, operations: &[Operation]) -> Vec<u8> {
    let slot = |name: &str, values: &[&str]| {
        values.iter().fold(Message::default().text(1, name), |slot, value| slot.text(2, value))
    };
    let mut block = Message::default().integer(1, 0).integer(2, -1);
    for param in &graph.params {
        let kind = Message::default().integer(1, 7);
        block = block.message(3, &Message::default().text(1, &param.name).message(2, &kind).integer(3, 1));
    }
    for operation in operations {
        let mut message = Message::default();
        let mut slots: Vec<&str> = operation.inputs.iter().map(|(slot, _)| *slot).collect();
        slots.dedup();
        for name in slots {
            let values = operation.inputs.iter().filter(|(slot, _)| *slot == name);
            message =
                message.message(1, &slot(name, &values.map(|(_, value)| value.as_str()).collect::<Vec<_>>()));
        }
        let outputs: Vec<&str> = operation.outputs.iter().map(String::as_str).collect();
        let name = if operation.kinds[0] == "batch_norm" { "Y" } else { "Out" };
        message = message.message(2, &slot(name, &outputs)).text(3, operation.kinds[0]);
        let integers = operation.operands.iter().map(|(name, values)| (*name, Integers(values.clone())));
        for (name, value) in operation.attributes.iter().cloned().chain(integers) {
            let attribute = Message::default().text(1, name);
            message = message.message(
                4,
                &match value {
                    Integers(values) if values.len() == 1 => attribute.integer(3, values[0]),
                    Integers(values) => {
                        values.iter().fold(attribute, |attribute, &value| attribute.integer(6, value))
                    }
                    Floats(values) if values.len() == 1 => attribute.float(4, values[0]),
                    Floats(values) => {
                        values.iter().fold(attribute, |attribute, &value| attribute.float(7, value))
                    }
                    Flag(value) => attribute.integer(10, i64::from(value)),
                    Text(text) => attribute.text(5, text),
                },
            );
        }
        block = block.message(4, &message);
    }
    Message::default().message(1, &block).into_bytes()
}

/// Returns the program as JSON.
pub(crate) fn json_text(graph: &Graph, operations: &[Operation]) -> Vec<u8> {
    let mut numbers = std::collections::HashMap::new();
    let mut count = 0;
    let mut number = |name: &str| {
        let next = numbers.len() + 1;
        *numbers.entry(name.to_owned()).or_insert(next)
    };
    let value = |number: usize| json!({ "%": number });
    let mut all: Vec<Value> = Vec::new();
    for param in &graph.params {
        all.push(json!({"#": "p", "A": [0, 1, 1, param.name], "O": value(number(&param.name))}));
    }
    let array = |kind: &str, items: Vec<Value>| {
        let items: Vec<Value> = items.into_iter().map(|item| json!({"#": kind, "D": item})).collect();
        json!({"#": "0.a_array", "D": items})
    };
    for operation in operations {
        let mut inputs: Vec<Value> = operation.inputs.iter().map(|(_, name)| value(number(name))).collect();
        let mut fresh = || {
            count += 1;
            format!("constant {count}")
        };
        if operation.kinds[1] == "concat" {
            let list = value(number(&fresh()));
            all.push(json!({"#": "0.combine", "A": [], "I": inputs, "O": [list]}));
            inputs = vec![list];
        }
        for (_, values) in &operation.operands {
            let constant = value(number(&fresh()));
            let list = array("0.a_i64", values.iter().map(|value| json!(value)).collect());
            all.push(
                json!({"#": "1.full_int_array", "A": [{"N": "value", "AT": list}], "I": [], "O": [constant]}),
            );
            inputs.push(constant);
        }
        if operation.kinds[1].contains("_interp") {
            inputs.extend([value(0), value(0), value(0)]);
        }
        let attributes: Vec<Value> = operation
            .attributes
            .iter()
            .map(|(name, attribute)| {
                let value = match attribute {
                    Integers(values) if values.len() == 1 => json!({"#": "0.a_i32", "D": values[0]}),
                    Integers(values) => array("0.a_i32", values.iter().map(|value| json!(value)).collect()),
                    Floats(values) if values.len() == 1 => json!({"#": "0.a_f32", "D": values[0]}),
                    Floats(values) => array("0.a_f64", values.iter().map(|value| json!(value)).collect()),
                    Flag(value) => json!({"#": "0.a_bool", "D": value}),
                    Text(text) => json!({"#": "0.a_str", "D": text}),
                };
                json!({"N": name, "AT": value})
            })
            .collect();
        let outputs: Vec<Value> = operation.outputs.iter().map(|name| value(number(name))).collect();
        let kind = format!("1.{}", operation.kinds[1]);
        if operation.kinds[1] == "split" {
            let list = value(number(&fresh()));
            all.push(json!({"#": kind, "A": attributes, "I": inputs, "O": [list]}));
            all.push(json!({"#": "0.split", "A": [], "I": [list], "O": outputs}));
        } else {
            all.push(json!({"#": kind, "A": attributes, "I": inputs, "O": outputs}));
        }
    }
    let program =
        json!({"regions": [{"#": "region_0", "blocks": [{"#": "block_0", "args": [], "ops": all}]}]});
    json!({"base_code": {"magic": "pir", "version": 1}, "program": program}).to_string().into_bytes()
}

/// Returns the stream of the parameters.
pub(crate) fn parameters(weights: &Weights) -> Vec<u8> {
    let mut stream = Vec::new();
    for tensor in weights.values() {
        let description = Message::default().integer(1, 5);
        let description = tensor
            .shape
            .iter()
            .fold(description, |message, &extent| message.integer(2, extent as i64))
            .into_bytes();
        stream.extend([0; 16]);
        stream.extend((description.len() as u32).to_le_bytes());
        stream.extend(description);
        stream.extend(tensor.data.iter().flat_map(|value| value.to_le_bytes()));
    }
    stream
}
