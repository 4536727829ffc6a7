//! Weights of an exported network (ncnn, ONNX, Paddle), matched by structure, batch norms folded.

use std::collections::BTreeMap;

use picodet_graph::{Graph, NodeId};
use picodet_weights::{ForeignNetwork, HeadReading, HeadRole, Imported, compare_channels, compare_head};
use picodet_zoo::{HeadKind, HeadMap, REG_CHANNELS, Variant};

use super::error::WeightsError;
use super::network::Network;
use super::{activations, layers};

/// Assigns the convolutions of an exported network to those of `variant`, and compares the operations between them.
pub(super) fn network(variant: &Variant, network: &ForeignNetwork) -> Result<Network, WeightsError> {
    let Imported { graph, weights, names, matches } = imported(variant, network)?;
    activations::check(&graph, network)?;
    layers::check(&graph, network)?;
    compare_channels(&graph, network, &matches)?;
    let HeadReading { of_image, .. } = compare_head(&graph, network, &matches, &head_maps(variant, &graph))?;
    let notes = note_of_image(&of_image).into_iter().collect();
    Ok(Network { graph, weights, folded: true, names, notes })
}

/// Returns the maps of the head with their roles.
fn head_maps(variant: &Variant, graph: &Graph) -> Vec<(NodeId, HeadRole)> {
    let roles = [
        (HeadMap::ClassLogit, HeadRole::Class),
        (HeadMap::Box, HeadRole::Box),
        (HeadMap::AlignLogit, HeadRole::Alignment),
        (HeadMap::Score, HeadRole::Score),
    ];
    let is_of_two = variant.architecture.head.kind == HeadKind::PicoHeadV2;
    // The scores of the first generation have the channels of its class logits.
    let roles = roles.into_iter().filter(|(_, role)| *role != HeadRole::Score || is_of_two);
    let levels = 0..variant.architecture.levels();
    let of_level = |(map, role): (HeadMap, HeadRole)| {
        levels.clone().filter_map(move |level| Some((graph.output(&map.name(level))?, role)))
    };
    roles.flat_map(of_level).collect()
}

/// Returns the note about layers in front of the first convolution.
fn note_of_image(layers: &[String]) -> Option<String> {
    const SHOWN: usize = 4;
    let names: Vec<String> = layers.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = if layers.len() > SHOWN { " and others" } else { "" };
    let list = names.join(", ");
    (!layers.is_empty()).then(|| {
        format!(
            "the file changes the values of the image in its layers {list}{more}, which are not converted: picodet divides \
             by 255 and subtracts and divides by its own mean and standard deviation"
        )
    })
}

fn imported(variant: &Variant, network: &ForeignNetwork) -> Result<Imported, WeightsError> {
    let mut problem = WeightsError::NoPrediction;
    for classes in possible_class_counts(variant, network) {
        match picodet_weights::import(&variant.architecture.graph(classes), network) {
            Ok(imported) => {
                imported.graph.check_weights(&imported.weights)?;
                return Ok(imported);
            }
            Err(error) => problem = error.into(),
        }
    }
    Err(problem)
}

/// Returns the class counts that follow from the 1×1 convolutions of a network, that of the variant first.
///
/// The head has one such convolution of equal output channels per pyramid level.
fn possible_class_counts(variant: &Variant, network: &ForeignNetwork) -> Vec<usize> {
    let convolutions = network.nodes.iter().filter_map(|node| node.convolution.as_ref());
    let mut count_by_channels: BTreeMap<usize, usize> = BTreeMap::new();
    for convolution in convolutions.filter(|convolution| convolution.weight.shape.ends_with(&[1, 1])) {
        *count_by_channels.entry(convolution.weight.shape[0]).or_default() += 1;
    }
    let levels = variant.architecture.levels();
    let box_channels = match variant.architecture.head.kind {
        HeadKind::PicoHead => REG_CHANNELS,
        HeadKind::PicoHeadV2 => 0,
    };
    let frequent = count_by_channels.into_iter().filter(|(_, count)| *count >= levels);
    let classes = frequent.map(|(channels, _)| channels.saturating_sub(box_channels));
    let mut classes: Vec<usize> = classes.filter(|&classes| classes > 0).collect();
    classes.sort_unstable_by_key(|&classes| (classes != variant.classes.len(), classes));
    classes
}
