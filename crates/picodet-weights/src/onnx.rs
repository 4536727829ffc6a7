//! ONNX models: nodes and initialisers in a protocol buffer.

use std::collections::{BTreeMap, HashMap};

use half::f16;
use picodet_format::protobuf::{Field, Reader, push_integers};
use picodet_graph::Tensor;

use crate::{ForeignConvolution, ForeignNetwork, ForeignNode, ReadError};

/// Largest number of nodes.
const MAX_NODES: usize = 100_000;
/// Largest rank of a tensor.
const MAX_RANK: usize = 8;

/// Reads a network from the bytes of an `.onnx` file.
///
/// A batch norm or an addition of constants is folded into the convolution before it, if it is its only
/// reader.
///
/// # Errors
/// [`ReadError`] when the bytes are not an ONNX model, weights are stored in another file, or a convolution
/// is of an unsupported kind.
pub fn read(bytes: &[u8]) -> Result<ForeignNetwork, ReadError> {
    let mut graph = None;
    let mut metadata = BTreeMap::new();
    let mut model = Reader::new(bytes);
    while let Some((number, field)) = model.next_field()? {
        match (number, field) {
            (7, Field::Bytes(bytes)) => graph = Some(bytes),
            (2, Field::Bytes(bytes)) => {
                metadata.insert("producer".to_owned(), text(bytes));
            }
            (14, Field::Bytes(bytes)) => {
                let (mut key, mut value) = (String::new(), String::new());
                let mut entry = Reader::new(bytes);
                while let Some((number, field)) = entry.next_field()? {
                    match (number, field) {
                        (1, Field::Bytes(bytes)) => key = text(bytes),
                        (2, Field::Bytes(bytes)) => value = text(bytes),
                        _ => {}
                    }
                }
                metadata.insert(key, value);
            }
            _ => {}
        }
    }
    let graph = graph.ok_or_else(|| ReadError::Format {
        format: "an ONNX file",
        problem: "the model has no graph".to_owned(),
    })?;
    let (nodes, constants) = read_graph(graph)?;
    let epsilons: Vec<f32> = nodes.iter().map(|node| node.epsilon).collect();
    let mut network = ForeignNetwork { nodes: assemble(nodes, &constants)?, metadata };
    fold_followers(&mut network, &constants, &epsilons);
    Ok(network)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A node whose weights are not resolved yet.
#[derive(Default)]
struct RawNode {
    name: String,
    operator: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    integers: HashMap<String, Vec<i64>>,
    epsilon: f32,
    texts: HashMap<String, String>,
}

type Constants = HashMap<String, Tensor>;

fn read_graph(bytes: &[u8]) -> Result<(Vec<RawNode>, Constants), ReadError> {
    let mut nodes = Vec::new();
    let mut constants = Constants::new();
    let mut graph = Reader::new(bytes);
    while let Some((number, field)) = graph.next_field()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => {
                let (node, value) = read_node(bytes)?;
                if nodes.len() == MAX_NODES {
                    let problem = format!("more than {MAX_NODES} nodes");
                    return Err(ReadError::Format { format: "a supported ONNX file", problem });
                }
                if let (Some(value), Some(output)) = (value, node.outputs.first()) {
                    constants.insert(output.clone(), value);
                }
                nodes.push(node);
            }
            (5, Field::Bytes(bytes)) => {
                if let (name, Some(tensor)) = read_tensor(bytes)? {
                    constants.insert(name, tensor);
                }
            }
            _ => {}
        }
    }
    Ok((nodes, constants))
}

/// A node, and its tensor if it is a constant.
fn read_node(bytes: &[u8]) -> Result<(RawNode, Option<Tensor>), ReadError> {
    let mut node = RawNode { epsilon: 1e-5, ..RawNode::default() };
    let mut value = None;
    let mut message = Reader::new(bytes);
    while let Some((number, field)) = message.next_field()? {
        let Field::Bytes(bytes) = field else { continue };
        match number {
            1 => node.inputs.push(text(bytes)),
            2 => node.outputs.push(text(bytes)),
            3 => node.name = text(bytes),
            4 => node.operator = text(bytes),
            5 => read_attribute(bytes, &mut node, &mut value)?,
            _ => {}
        }
    }
    Ok((node, value))
}

fn read_attribute(bytes: &[u8], node: &mut RawNode, value: &mut Option<Tensor>) -> Result<(), ReadError> {
    let mut name = String::new();
    let mut integers = Vec::new();
    let mut message = Reader::new(bytes);
    let mut word = None;
    while let Some((number, field)) = message.next_field()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => name = text(bytes),
            (2, Field::Fixed32(bytes)) if name == "epsilon" => node.epsilon = f32::from_le_bytes(bytes),
            (3 | 8, field) => push_integers(field, &mut integers)?,
            (4, Field::Bytes(bytes)) => word = Some(text(bytes)),
            (5, Field::Bytes(bytes)) => *value = read_tensor(bytes)?.1,
            _ => {}
        }
    }
    if let Some(word) = word {
        node.texts.insert(name.clone(), word);
    }
    node.integers.insert(name, integers);
    Ok(())
}

/// The name of a tensor, and its values if they are floats.
fn read_tensor(bytes: &[u8]) -> Result<(String, Option<Tensor>), ReadError> {
    let mut name = String::new();
    let (mut extents, mut dtype, mut raw, mut listed, mut outside) = (Vec::new(), 0, None, Vec::new(), false);
    let mut message = Reader::new(bytes);
    while let Some((number, field)) = message.next_field()? {
        match (number, field) {
            (1, field) => push_integers(field, &mut extents)?,
            (2, Field::Integer(value)) => dtype = value,
            (4, Field::Bytes(bytes)) => listed.extend(floats(bytes)),
            (4, Field::Fixed32(bytes)) => listed.push(f32::from_le_bytes(bytes)),
            (8, Field::Bytes(bytes)) => name = text(bytes),
            (9, Field::Bytes(bytes)) => raw = Some(bytes),
            (14, Field::Integer(location)) => outside = location == 1,
            _ => {}
        }
    }
    let wrong = |problem: String| ReadError::Tensor { name: name.clone(), problem };
    if outside {
        return Err(wrong("is stored in another file; export the model with embedded weights".to_owned()));
    }
    const FLOAT: u64 = 1;
    const HALF: u64 = 10;
    let data = match (dtype, raw) {
        (FLOAT, Some(raw)) => floats(raw),
        (FLOAT, None) => listed,
        (HALF, Some(raw)) => {
            raw.as_chunks::<2>().0.iter().map(|chunk| f16::from_le_bytes(*chunk).to_f32()).collect()
        }
        _ => return Ok((name, None)),
    };
    let shape: Option<Vec<usize>> = extents.iter().map(|&extent| usize::try_from(extent).ok()).collect();
    let shape = shape
        .filter(|shape| shape.len() <= MAX_RANK)
        .ok_or_else(|| wrong(format!("shape {extents:?} is not supported")))?;
    let tensor = Tensor::new(shape, data).map_err(|error| wrong(error.to_string()))?;
    Ok((name, Some(tensor)))
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
}

fn assemble(nodes: Vec<RawNode>, constants: &Constants) -> Result<Vec<ForeignNode>, ReadError> {
    let mut assembled = Vec::with_capacity(nodes.len());
    for node in nodes {
        let convolution = match node.operator.as_str() {
            "Conv" => Some(convolution(&node, constants)?),
            _ => None,
        };
        let RawNode { name, operator: kind, inputs, outputs, .. } = node;
        assembled.push(ForeignNode { name, kind, inputs, outputs, convolution });
    }
    Ok(assembled)
}

fn convolution(node: &RawNode, constants: &Constants) -> Result<ForeignConvolution, ReadError> {
    let wrong = |problem: &str| ReadError::Tensor { name: node.name.clone(), problem: problem.to_owned() };
    let constant = |input: usize| node.inputs.get(input).and_then(|name| constants.get(name));
    let weight =
        constant(1).ok_or_else(|| wrong("the weight of this convolution is not a constant"))?.clone();
    let &[out, _, kernel, width] = weight.shape.as_slice() else {
        return Err(wrong("the weight of this convolution does not have rank 4"));
    };
    let attribute = |name: &str| node.integers.get(name).map(Vec::as_slice).unwrap_or_default();
    let all = |name: &str, value: usize| attribute(name).iter().all(|&v| usize::try_from(v) == Ok(value));
    let stride = attribute("strides").first().map_or(Ok(1), |&s| usize::try_from(s)).unwrap_or(0);
    let groups = attribute("group").first().map_or(Ok(1), |&g| usize::try_from(g)).unwrap_or(0);
    let pads = attribute("pads");
    let padded = match node.texts.get("auto_pad").map(String::as_str) {
        None | Some("NOTSET") => all("pads", (kernel.max(1) - 1) / 2) && (kernel == 1 || !pads.is_empty()),
        Some(word) => word == "VALID" && kernel == 1,
    };
    if kernel == 0
        || kernel != width
        || !all("dilations", 1)
        || !all("strides", stride)
        || stride == 0
        || groups == 0
    {
        return Err(wrong("only square, undilated convolutions are supported"));
    }
    if !padded {
        return Err(wrong("only convolutions with padding (kernel - 1) / 2 are supported"));
    }
    let bias = match node.inputs.get(2) {
        None => None,
        Some(_) => match constant(2) {
            Some(bias) if bias.data.len() == out => Some(bias.clone()),
            _ => return Err(wrong("the bias of this convolution is not one constant per channel")),
        },
    };
    Ok(ForeignConvolution { weight, bias, stride, groups })
}

/// Folds batch norms and additions of constants into the convolution before them, if they are its only
/// reader.
fn fold_followers(network: &mut ForeignNetwork, constants: &Constants, epsilons: &[f32]) {
    let mut readers: HashMap<String, usize> = HashMap::new();
    for input in network.nodes.iter().flat_map(|node| &node.inputs) {
        *readers.entry(input.clone()).or_default() += 1;
    }
    let mut producers: HashMap<String, usize> = HashMap::new();
    for index in 0..network.nodes.len() {
        if let Some((producer, folded)) =
            fold_one(network, &producers, &readers, constants, epsilons[index], index)
        {
            network.nodes[producer].convolution = Some(folded);
            // The folded node becomes an identity, through which later nodes find the convolution.
            network.nodes[index].kind = "Identity".to_owned();
            network.nodes[index].inputs.truncate(1);
            let output = network.nodes[producer].outputs.first().cloned().unwrap_or_default();
            network.nodes[index].inputs = vec![output];
            producers.insert(network.nodes[index].outputs.first().cloned().unwrap_or_default(), producer);
            continue;
        }
        for output in network.nodes[index].outputs.clone() {
            producers.insert(output, index);
        }
    }
}

fn fold_one(
    network: &ForeignNetwork,
    producers: &HashMap<String, usize>,
    readers: &HashMap<String, usize>,
    constants: &Constants,
    epsilon: f32,
    index: usize,
) -> Option<(usize, ForeignConvolution)> {
    let node = &network.nodes[index];
    let source = node.inputs.iter().find(|input| !constants.contains_key(*input))?;
    let producer = *producers.get(source)?;
    let convolution = network.nodes[producer].convolution.as_ref()?;
    let out = convolution.weight.shape[0];
    if readers.get(source) != Some(&1) {
        return None;
    }
    let vector = |input: usize| {
        let tensor = constants.get(node.inputs.get(input)?)?;
        (tensor.data.len() == out).then_some(tensor.data.as_slice())
    };
    let (factor, shift): (Vec<f64>, Vec<f64>) = match node.kind.as_str() {
        "BatchNormalization" => {
            let (gamma, beta, mean, variance) = (vector(1)?, vector(2)?, vector(3)?, vector(4)?);
            let factor: Vec<f64> = (0..out)
                .map(|c| f64::from(gamma[c]) / (f64::from(variance[c]) + f64::from(epsilon)).sqrt())
                .collect();
            let shift = (0..out).map(|c| f64::from(beta[c]) - f64::from(mean[c]) * factor[c]).collect();
            (factor, shift)
        }
        "Add" => {
            let addend = vector(0).or_else(|| vector(1))?;
            (vec![1.0; out], addend.iter().map(|&value| f64::from(value)).collect())
        }
        _ => return None,
    };
    let mut folded = convolution.clone();
    let row = folded.weight.data.len() / out;
    for (values, factor) in folded.weight.data.chunks_mut(row.max(1)).zip(&factor) {
        values.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
    }
    let before = |c: usize| convolution.bias.as_ref().map_or(0.0, |bias| f64::from(bias.data[c]));
    let bias = (0..out).map(|c| (before(c) * factor[c] + shift[c]) as f32).collect();
    folded.bias = Some(Tensor { shape: vec![out], data: bias });
    Some((producer, folded))
}
