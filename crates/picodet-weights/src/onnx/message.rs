//! The messages of an ONNX model: model, graph, nodes and attributes.

use std::collections::{BTreeMap, HashMap, HashSet};

use picodet_format::protobuf::{Field, Reader, push_integers};

use super::entry::{read_entry, text};
use super::external::ExternalData;
use super::tensor::{floats, read_tensor};
use super::value::{Constant, Constants};
use crate::ReadError;

/// The domain of ONNX Runtime's fused operators.
pub(super) const MICROSOFT: &str = "com.microsoft";
/// Largest number of nodes.
const MAX_NODES: usize = 100_000;

/// The parts of a model that its weights and structure follow from.
#[derive(Default)]
pub(super) struct Model {
    pub(super) nodes: Vec<RawNode>,
    pub(super) constants: Constants,
    /// Names of the inputs of the graph.
    pub(super) inputs: HashSet<String>,
    pub(super) metadata: BTreeMap<String, String>,
    /// Whether it has functions, whose operations are not those of the graph.
    pub(super) has_functions: bool,
}

/// A node with its attributes.
#[derive(Default)]
pub(super) struct RawNode {
    pub(super) name: String,
    pub(super) operator: String,
    pub(super) domain: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) integers: HashMap<String, Vec<i64>>,
    pub(super) texts: HashMap<String, String>,
    pub(super) floats: HashMap<String, Vec<f32>>,
    pub(super) epsilon: f32,
    /// Whether it has other graphs, as the branches of an `If`.
    pub(super) has_graph: bool,
    /// The value of a `Constant`.
    pub(super) value: Option<Constant>,
}

impl RawNode {
    /// Returns the values of an integer attribute; empty when it is absent.
    pub(super) fn integers(&self, name: &str) -> &[i64] {
        self.integers.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Model {
    /// Reads the model message.
    pub(super) fn read(bytes: &[u8], external: &mut ExternalData) -> Result<Self, ReadError> {
        let mut model = Self::default();
        let mut graph = None;
        let mut message = Reader::new(bytes);
        while let Some((number, field)) = message.next_field()? {
            match (number, field) {
                (7, Field::Bytes(bytes)) => graph = Some(bytes),
                (2, Field::Bytes(bytes)) => drop(model.metadata.insert("producer".to_owned(), text(bytes))),
                (25, Field::Bytes(_)) => model.has_functions = true,
                (14, Field::Bytes(bytes)) => model.metadata.extend([read_entry(bytes)?]),
                _ => {}
            }
        }
        let graph = graph.ok_or_else(|| ReadError::Format {
            format: "an ONNX file",
            problem: "the model has no graph".to_owned(),
        })?;
        model.read_graph(graph, external)?;
        Ok(model)
    }

    fn read_graph(&mut self, bytes: &[u8], external: &mut ExternalData) -> Result<(), ReadError> {
        let mut graph = Reader::new(bytes);
        while let Some((number, field)) = graph.next_field()? {
            let Field::Bytes(bytes) = field else { continue };
            match number {
                1 if self.nodes.len() == MAX_NODES => {
                    let problem = format!("more than {MAX_NODES} nodes");
                    return Err(ReadError::Format { format: "a supported ONNX file", problem });
                }
                1 => self.nodes.push(read_node(bytes, external)?),
                5 => {
                    if let (name, Some(tensor)) = read_tensor(bytes, external)? {
                        self.constants.insert(name, tensor);
                    }
                }
                11 => drop(self.inputs.insert(read_name(bytes)?)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reads the name of a `ValueInfoProto`.
fn read_name(bytes: &[u8]) -> Result<String, ReadError> {
    let mut message = Reader::new(bytes);
    while let Some((number, field)) = message.next_field()? {
        if let (1, Field::Bytes(bytes)) = (number, field) {
            return Ok(text(bytes));
        }
    }
    Ok(String::new())
}

fn read_node(bytes: &[u8], external: &mut ExternalData) -> Result<RawNode, ReadError> {
    let mut node = RawNode { epsilon: 1e-5, ..RawNode::default() };
    let mut message = Reader::new(bytes);
    while let Some((number, field)) = message.next_field()? {
        let Field::Bytes(bytes) = field else { continue };
        match number {
            1 => node.inputs.push(text(bytes)),
            2 => node.outputs.push(text(bytes)),
            3 => node.name = text(bytes),
            4 => node.operator = text(bytes),
            5 => read_attribute(bytes, &mut node, external)?,
            7 => node.domain = text(bytes),
            _ => {}
        }
    }
    Ok(node)
}

fn read_attribute(bytes: &[u8], node: &mut RawNode, external: &mut ExternalData) -> Result<(), ReadError> {
    let mut name = String::new();
    let (mut integers, mut listed, mut word) = (Vec::new(), Vec::new(), None);
    let mut message = Reader::new(bytes);
    while let Some((number, field)) = message.next_field()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => name = text(bytes),
            (2 | 7, Field::Fixed32(bytes)) => listed.push(f32::from_le_bytes(bytes)),
            (7, Field::Bytes(bytes)) => listed.extend(floats(bytes)),
            (3 | 8, field) => push_integers(field, &mut integers)?,
            (4, Field::Bytes(bytes)) => word = Some(text(bytes)),
            (6 | 11, Field::Bytes(_)) => node.has_graph = true,
            (5, Field::Bytes(bytes)) => node.value = read_tensor(bytes, external)?.1,
            _ => {}
        }
    }
    match (name.as_str(), listed.first()) {
        ("epsilon", Some(&epsilon)) => node.epsilon = epsilon,
        ("value_float", Some(_)) => node.value = Some(Constant::of_floats(Vec::new(), listed)),
        ("value_floats", Some(_)) => {
            node.value = Some(Constant::of_floats(vec![listed.len()], listed));
        }
        ("value_int" | "value_ints", None) if !integers.is_empty() => {
            let shape = if name == "value_int" { Vec::new() } else { vec![integers.len()] };
            node.value = Some(Constant::of_integers(shape, &integers));
        }
        (_, Some(_)) => drop(node.floats.insert(name.clone(), listed)),
        _ => {}
    }
    node.texts.extend(word.map(|word| (name.clone(), word)));
    node.integers.insert(name, integers);
    Ok(())
}
