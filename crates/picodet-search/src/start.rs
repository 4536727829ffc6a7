//! The initial weights of a supernet: random, or those of a model that is part of it.

use picodet_graph::pass::{slice_map, sort_channels};
use picodet_graph::{Graph, Role, Weights};
use picodet_model::{Model, graph_of};
use picodet_train::Objective;
use picodet_train::loader::Batch;
use picodet_train::transfer::{Transfer, initial_weights, transfer};
use picodet_zoo::{Architecture, Backbone, Neck};

use crate::{SearchError, Space};

/// Returns random weights of the supernet.
#[must_use]
pub fn random_weights(space: &Space, classes: usize, seed: u64) -> Weights {
    initial_weights(&graph_of(&space.supernet(), classes, false), seed)
}

/// Returns weights of the supernet with which every candidate that contains the network of `from` computes the same as it.
///
/// Channels that `from` has read only such channels; the others begin at random. Its channels are sorted by importance, so that
/// narrower networks begin with those that matter most. `batch` is a batch without augmentation, see [`transfer`].
///
/// # Errors
/// [`SearchError::NotASlice`] if the network is of another kind; if it cannot be run.
pub fn weights_of(
    space: &Space,
    classes: &[String],
    seed: u64,
    from: &Model,
    batch: &Batch,
) -> Result<(Weights, Transfer), SearchError> {
    let own = from.variant.architecture;
    let graph = |architecture: &Architecture| graph_of(architecture, classes.len(), false);
    let mut known = initial_weights(&graph(&own), seed);
    let report = transfer(&graph(&own), &mut known, classes, from, batch)?;
    let smallest = space.candidate(&space.smallest()).ok_or(SearchError::Empty)?.architecture;
    let [own_graph, narrow] = [&own, &smallest].map(|architecture| Objective::graph(&graph(architecture)));
    sort_channels(&own_graph, &narrow, &mut known);
    // A network with the larger value of each gene contains both.
    let supernet = space.supernet();
    let covering = graph(&larger(supernet, &own));
    let weights = extend(&covering, &graph(&own), &known, seed)?;
    let supernet = graph(&supernet);
    Ok((slice_map(&covering, &supernet)?.gather(&weights)?, report))
}

/// Returns weights of `graph` that contain `weights` of its part `sub`: the outputs of `sub` do not read other channels.
fn extend(graph: &Graph, sub: &Graph, weights: &Weights, seed: u64) -> Result<Weights, SearchError> {
    let mut extended = initial_weights(graph, seed);
    for slice in &slice_map(graph, sub)?.params {
        let (Some(own), Some(whole)) = (weights.get(slice.name()), extended.get_mut(slice.source())) else {
            continue;
        };
        let mut mask = vec![0.0f32; whole.data.len()];
        slice.scatter_add(&vec![1.0; own.data.len()], &mut mask);
        let is_weight =
            graph.params.iter().any(|param| param.name == slice.source() && param.role == Role::Weight);
        // The outputs are the columns of linear layers, `[in, out]`, and the rows of convolutions.
        let (outputs, is_linear) = match whole.shape[..] {
            [_, outputs] => (outputs, true),
            _ => (whole.shape[0], false),
        };
        let row = (whole.data.len() / outputs.max(1)).max(1);
        let output = |index: usize| if is_linear { index % outputs } else { index / row };
        let mut is_known = vec![false; outputs];
        (0..mask.len()).filter(|&index| mask[index] > 0.0).for_each(|index| is_known[output(index)] = true);
        for (index, value) in whole.data.iter_mut().enumerate() {
            if mask[index] > 0.0 || is_weight && is_known[output(index)] {
                *value = 0.0;
            }
        }
        slice.scatter_add(&own.data, &mut whole.data);
    }
    Ok(extended)
}

/// The architecture with the larger value of each gene.
fn larger(mut architecture: Architecture, other: &Architecture) -> Architecture {
    if let (Backbone::EsNet(own), Backbone::EsNet(other)) = (&mut architecture.backbone, &other.backbone) {
        own.ratios.iter_mut().zip(other.ratios).for_each(|(own, other)| *own = own.max(other));
    }
    match &mut architecture.neck {
        Neck::CspPan { channels, .. } | Neck::LcPan { channels, .. } | Neck::Pan { channels } => {
            *channels = (*channels).max(other.neck.channels());
        }
        _ => {}
    }
    if let Neck::CspPan { kernel, .. } | Neck::LcPan { kernel, .. } = &mut architecture.neck {
        *kernel = (*kernel).max(other.neck.kernel().unwrap_or_default());
    }
    let own = &mut architecture.head;
    own.tower_convolutions = own.tower_convolutions.max(other.head.tower_convolutions);
    own.tower_kernel = own.tower_kernel.max(other.head.tower_kernel);
    architecture
}
