//! Training and inference see the same fused blocks in every network.

use picodet_graph::pass::{self, Block};
use picodet_graph::{Graph, NodeId, Op};

/// The blocks of a graph in words, without batch norms, which only the training graph has.
fn described(graph: &Graph) -> Vec<String> {
    let fusion = pass::fuse(graph);
    let node = |id: NodeId| format!("{} {}", graph.node(id).scope, graph.node(id).op);
    let describe = |block: &Block| {
        let convolution = block.convolution?;
        let Op::Convolution(op) = graph.node(convolution).op else { return None };
        let weight = &graph.params_of(graph.node(convolution)).next()?.name;
        let tail = block.nodes().skip(1).filter(|&id| graph.node(id).op != Op::BatchNorm).map(node);
        let tail: Vec<String> = tail.collect();
        // Folding a batch norm adds a bias.
        let shape = (op.kernel, op.stride, op.groups, op.out_channels);
        Some(format!(
            "{weight} {shape:?}: {tail:?}, adds {:?}",
            block.sum.map(|sum| scope(graph, sum.addend))
        ))
    };
    fusion.blocks().iter().filter_map(describe).collect()
}

/// The scope around a map: a folded map is that of the convolution instead of the batch norm next to it.
fn scope(graph: &Graph, id: NodeId) -> &str {
    graph.node(id).scope.rsplit_once('.').map_or("", |(parent, _)| parent)
}

#[test]
fn every_block_is_the_same_before_and_after_batch_norms_are_folded() {
    let mut differing = Vec::new();
    let mut activated = 0;
    let detectors = picodet_zoo::variants().iter();
    let detectors =
        detectors.map(|variant| (variant.name, variant.architecture.graph(variant.classes.len())));
    let classifiers =
        picodet_zoo::classifiers().iter().map(|variant| (variant.name, variant.classifier.graph(10)));
    for (name, training) in detectors.chain(classifiers) {
        let inference = pass::fold_batch_norm_structure(&training);
        let (training_blocks, inference_blocks) = (described(&training), described(&inference));
        let convolutions = training.nodes.iter().filter(|node| matches!(node.op, Op::Convolution(_))).count();
        assert_eq!(training_blocks.len(), convolutions, "{name}: every convolution begins a block");
        activated += pass::fuse(&training).blocks().iter().filter(|block| block.activation.is_some()).count();
        if training_blocks != inference_blocks {
            let pairs = training_blocks.iter().zip(&inference_blocks);
            let first = pairs.into_iter().find(|(training, inference)| training != inference);
            differing.push(format!("{name}: {first:?}"));
        }
    }
    assert!(differing.is_empty(), "{differing:#?}");
    assert!(activated > 500, "only {activated} blocks have an activation");
}
