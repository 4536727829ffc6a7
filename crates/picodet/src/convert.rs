//! Weights that people have, in the files that they have them in, as native models.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use picodet_detect::Model;
use picodet_graph::{CheckError, Graph, Weights};
use picodet_weights::Metadata;
use picodet_zoo::{HeadKind, REG_CHANNELS, Variant, names};

/// What a conversion needs to know besides the file.
#[derive(Clone, Debug, Default)]
pub struct ConvertOptions {
    /// Names of the classes in order; the variant's own when there are as many, else `class_0`, `class_1`, ….
    pub classes: Option<Vec<String>>,
    /// Height and width of the network input; the variant's own when not given.
    pub input_size: Option<(usize, usize)>,
    /// The resize that the model was trained with; `cubic` when not given.
    pub resize: Option<String>,
    /// Where the weights come from; the file's name when not given.
    pub origin: Option<String>,
    /// The licence of the weights; `unknown` when not given.
    pub licence: Option<String>,
    /// The ncnn `.bin`, when it does not lie beside its `.param`.
    pub bin: Option<PathBuf>,
}

/// Why a file is not converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A file cannot be read from disk.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The format is not one of ours.
    #[error("{0}: cannot tell the format; .pdparams, .safetensors, .param (ncnn) and .onnx are read")]
    Format(String),
    /// The file is broken.
    #[error("{path}: {problem}")]
    Parse {
        /// The file.
        path: String,
        /// What is wrong and where.
        problem: String,
    },
    /// The file holds another network.
    #[error("{path} does not hold the weights of {variant}: {problem}")]
    Weights {
        /// The file.
        path: String,
        /// The variant that was asked for.
        variant: String,
        /// The tensors at fault.
        problem: String,
    },
    /// The class names do not fit the file.
    #[error("the file predicts {found} classes, but {given} names were given")]
    Classes {
        /// What the file holds.
        found: usize,
        /// What was given.
        given: usize,
    },
}

/// Reads `source` as the weights of `variant`.
///
/// The format follows the file's name: `.pdparams`, `.safetensors` with the reference's names, `.param` with its
/// `.bin` beside it, `.onnx`. ncnn and ONNX files arrive with their batch norms folded, and stay so.
///
/// # Errors
/// Says which tensor is missing, extra or mis-shaped.
pub fn convert(
    source: &Path,
    variant: &'static Variant,
    options: &ConvertOptions,
) -> Result<Model, ConvertError> {
    let name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let path = source.display().to_string();
    let parse = |problem: String| ConvertError::Parse { path: path.clone(), problem };
    let bytes = read(source)?;
    let (graph, weights, folded) = match name.rsplit('.').next() {
        Some("pdparams") => {
            let tensors =
                picodet_weights::pdparams::read(&bytes).map_err(|error| parse(error.to_string()))?;
            from_reference(&path, variant, tensors)?
        }
        Some("safetensors") => {
            let (tensors, _) =
                picodet_weights::read_tensors(&bytes).map_err(|error| parse(error.to_string()))?;
            from_reference(&path, variant, tensors)?
        }
        Some("param") => {
            let bin = options.bin.clone().unwrap_or_else(|| source.with_extension("bin"));
            let weights = read(&bin)?;
            let network =
                picodet_weights::ncnn::read(&bytes, &weights).map_err(|error| parse(error.to_string()))?;
            from_exported(&path, variant, &network)?
        }
        Some("onnx") => {
            let network = picodet_weights::onnx::read(&bytes).map_err(|error| parse(error.to_string()))?;
            from_exported(&path, variant, &network)?
        }
        _ => return Err(ConvertError::Format(path)),
    };
    let count = class_count(&graph);
    let classes = match &options.classes {
        Some(names) if names.len() != count => {
            return Err(ConvertError::Classes { found: count, given: names.len() });
        }
        Some(names) => names.clone(),
        None if count == variant.classes.len() => variant.classes.iter().map(ToString::to_string).collect(),
        None => (0..count).map(|class| format!("class_{class}")).collect(),
    };
    let published = classes.iter().map(String::as_str).eq(variant.classes.iter().copied());
    let category_ids = if published { variant.category_ids() } else { (1..=count as u32).collect() };
    let metadata = Metadata {
        variant: variant.name.to_owned(),
        classes,
        category_ids,
        input_size: options.input_size.unwrap_or(variant.input_size),
        mean: variant.mean,
        std: variant.std,
        resize: options.resize.clone().unwrap_or_else(|| "cubic".to_owned()),
        strides: variant.architecture.strides(),
        folded,
        origin: options.origin.clone().unwrap_or_else(|| format!("converted from {name}")),
        licence: options.licence.clone().unwrap_or_else(|| "unknown".to_owned()),
        ..Metadata::default()
    };
    Ok(Model { variant, graph, weights, metadata })
}

fn read(path: &Path) -> Result<Vec<u8>, ConvertError> {
    std::fs::read(path).map_err(|source| ConvertError::Read { path: path.display().to_string(), source })
}

/// The number of classes that a graph's head predicts.
fn class_count(graph: &Graph) -> usize {
    graph.output("cls_logit.0").map_or(0, |node| graph.node(node).shape.channels)
}

/// Weights by the reference's names, batch norms apart.
fn from_reference(
    path: &str,
    variant: &'static Variant,
    mut tensors: Weights,
) -> Result<(Graph, Weights, bool), ConvertError> {
    let refuse = |problem: String| ConvertError::Weights {
        path: path.to_owned(),
        variant: variant.name.to_owned(),
        problem,
    };
    let prediction = tensors.get("head.head_cls0.weight").and_then(|tensor| tensor.shape.first().copied());
    let outputs = prediction.ok_or_else(|| refuse("`head.head_cls0.weight` is missing".to_owned()))?;
    let classes = match variant.architecture.head.kind {
        HeadKind::PicoHead => outputs.saturating_sub(REG_CHANNELS),
        HeadKind::PicoHeadV2 => outputs,
    };
    const MOST_CLASSES: usize = 10_000;
    if !(1..=MOST_CLASSES).contains(&classes) {
        return Err(refuse(format!(
            "`head.head_cls0.weight` has {outputs} rows, which leaves {classes} classes"
        )));
    }
    let graph = variant.architecture.graph(classes);
    let mut weights = Weights::new();
    let mut missing = Vec::new();
    let mut taken = BTreeSet::new();
    for param in &graph.params {
        let theirs = names::reference_name(&variant.architecture, &param.name).unwrap_or_default();
        match tensors.remove(&theirs) {
            Some(mut tensor) => {
                // The reference stores some vectors of one value without an axis.
                if tensor.data.len() == param.len()
                    && tensor
                        .shape
                        .iter()
                        .filter(|extent| **extent != 1)
                        .eq(param.shape.iter().filter(|extent| **extent != 1))
                {
                    tensor.shape.clone_from(&param.shape);
                }
                taken.insert(theirs);
                weights.insert(param.name.clone(), tensor);
            }
            None => missing.push(format!("`{theirs}` is missing")),
        }
    }
    let extra = tensors
        .keys()
        .filter(|name| !names::is_unused(name))
        .map(|name| format!("`{name}` belongs to nothing"));
    let problems: Vec<String> = missing.into_iter().chain(extra).collect();
    if !problems.is_empty() {
        return Err(refuse(CheckError { problems }.to_string()));
    }
    graph.check_weights(&weights).map_err(|problem| refuse(problem.to_string()))?;
    Ok((graph, weights, false))
}

/// Weights of an exported network, matched by structure, batch norms folded.
fn from_exported(
    path: &str,
    variant: &'static Variant,
    network: &picodet_weights::ForeignNetwork,
) -> Result<(Graph, Weights, bool), ConvertError> {
    let refuse = |problem: String| ConvertError::Weights {
        path: path.to_owned(),
        variant: variant.name.to_owned(),
        problem,
    };
    let mut problem = String::from("it holds no convolution that could predict");
    for classes in possible_classes(variant, network) {
        match picodet_weights::import(&variant.architecture.graph(classes), network) {
            Ok((graph, weights)) => {
                graph.check_weights(&weights).map_err(|problem| refuse(problem.to_string()))?;
                return Ok((graph, weights, true));
            }
            Err(error) => problem = error.to_string(),
        }
    }
    Err(refuse(problem))
}

/// Class counts that the 1×1 convolutions of a network allow, the variant's own first.
fn possible_classes(variant: &Variant, network: &picodet_weights::ForeignNetwork) -> Vec<usize> {
    let convolutions = network.nodes.iter().filter_map(|node| node.convolution.as_ref());
    let mut heads = std::collections::BTreeMap::new();
    for convolution in convolutions.filter(|convolution| convolution.weight.shape.ends_with(&[1, 1])) {
        *heads.entry(convolution.weight.shape[0]).or_insert(0usize) += 1;
    }
    let levels = variant.architecture.levels();
    let fused = match variant.architecture.head.kind {
        HeadKind::PicoHead => REG_CHANNELS,
        HeadKind::PicoHeadV2 => 0,
    };
    let counted =
        heads.into_iter().filter(|(_, count)| *count >= levels).map(|(out, _)| out.saturating_sub(fused));
    let mut classes: Vec<usize> = counted.filter(|&classes| classes > 0).collect();
    classes.sort_unstable_by_key(|&classes| (classes != variant.classes.len(), classes));
    classes
}
