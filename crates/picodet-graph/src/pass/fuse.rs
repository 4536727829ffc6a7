//! Recognises fused blocks and channel aliases.
//!
//! Inference and training lower the same graph to different steps, but both start from the blocks found here, so that
//! a block edge of one is a block edge of the other: this is where values are rounded, or quantised.

use crate::{Activation, Graph, NodeId, Op};

/// A convolution, or a batch norm that is not the only reader of a convolution, and the operations that one kernel can compute
/// with it: `convolution [+ batch norm] [+ sum] [+ activation] [+ max pool]`.
///
/// Each part is the only reader of the part before it, which is no output of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The convolution; `None` for a batch norm that reads another node or one with several readers.
    pub convolution: Option<NodeId>,
    /// The batch norm; `None` where the graph has none or it has been folded.
    pub norm: Option<NodeId>,
    /// The residual sum.
    pub sum: Option<Sum>,
    /// The activation.
    pub activation: Option<NodeId>,
    /// The max pool; only after a convolution of the image.
    pub pool: Option<NodeId>,
    /// The last of these nodes, whose value the block computes.
    pub last: NodeId,
}

/// A residual sum at the end of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The [`Op::Add`].
    pub node: NodeId,
    /// The other input of the sum.
    pub addend: NodeId,
}

impl Block {
    /// The nodes of the block in topological order.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        let sum = self.sum.map(|sum| sum.node);
        [self.convolution, self.norm, sum, self.activation, self.pool].into_iter().flatten()
    }

    /// The function of [`Block::activation`].
    #[must_use]
    pub fn function(&self, graph: &Graph) -> Option<Activation> {
        match graph.node(self.activation?).op {
            Op::Activation(function) => Some(function),
            _ => None,
        }
    }
}

/// Consecutive channels of a node that an alias takes its own from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelSource {
    /// The node.
    pub node: NodeId,
    /// The first channel.
    pub first: usize,
    /// The number of channels.
    pub len: usize,
}

/// What [`fuse`] finds in a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fusion {
    blocks: Vec<Block>,
    /// Index of the block of each node.
    block_of: Vec<Option<usize>>,
    folded_scales: Vec<bool>,
    shuffled_concats: Vec<bool>,
}

/// Finds the blocks and the aliases of a sound graph.
#[must_use]
pub fn fuse(graph: &Graph) -> Fusion {
    let count = graph.nodes.len();
    let mut fusion = Fusion {
        blocks: Vec::new(),
        block_of: vec![None; count],
        folded_scales: vec![false; count],
        shuffled_concats: vec![false; count],
    };
    let readers = SoleReaders::new(graph);
    for id in (0..count).map(NodeId) {
        let node = graph.node(id);
        match node.op {
            Op::Convolution(_) => {
                let block = convolution_block(graph, &readers, &fusion, id);
                fusion.push(block);
            }
            Op::BatchNorm if fusion.block(id).is_none() => {
                let activation = readers.of(id).filter(|&reader| is_activation(graph, reader));
                let last = activation.unwrap_or(id);
                fusion.push(Block {
                    convolution: None,
                    norm: Some(id),
                    sum: None,
                    activation,
                    pool: None,
                    last,
                });
            }
            Op::Scale => {
                fusion.folded_scales[id.0] = readers.of(id).is_some_and(|reader| {
                    let Op::Convolution(op) = graph.node(reader).op else { return false };
                    op.is_pointwise() || op.is_depthwise(node.shape.channels)
                })
            }
            Op::Concat => {
                let half = |input: &NodeId| 2 * graph.node(*input).shape.channels == node.shape.channels;
                let is_shuffled =
                    readers.of(id).is_some_and(|reader| graph.node(reader).op == Op::ChannelShuffle);
                fusion.shuffled_concats[id.0] =
                    is_shuffled && node.inputs.len() == 2 && node.inputs.iter().all(half);
            }
            _ => {}
        }
    }
    fusion
}

/// The block that begins with the convolution `id`; sums of earlier blocks are not part of it.
fn convolution_block(graph: &Graph, readers: &SoleReaders, fusion: &Fusion, id: NodeId) -> Block {
    let mut block =
        Block { convolution: Some(id), norm: None, sum: None, activation: None, pool: None, last: id };
    let next = |last: NodeId, accepts: &dyn Fn(NodeId) -> bool| readers.of(last).filter(|&id| accepts(id));
    if let Some(norm) = next(block.last, &|id| graph.node(id).op == Op::BatchNorm) {
        (block.norm, block.last) = (Some(norm), norm);
    }
    let input = graph.node(id).inputs[0];
    let is_depthwise = matches!(graph.node(id).op, Op::Convolution(op)
        if op.is_depthwise(graph.node(input).shape.channels));
    let adds = |id: NodeId| graph.node(id).op == Op::Add && !is_depthwise && fusion.block(id).is_none();
    if let Some(node) = next(block.last, &adds)
        && let Some(&addend) = graph.node(node).inputs.iter().find(|&&input| input != block.last)
    {
        (block.sum, block.last) = (Some(Sum { node, addend }), node);
    }
    if let Some(activation) = next(block.last, &|id| is_activation(graph, id)) {
        (block.activation, block.last) = (Some(activation), activation);
    }
    let pools = |reader: NodeId| graph.node(reader).op == Op::MaxPool && reads_image(graph, id);
    if let Some(pool) = next(block.last, &pools) {
        (block.pool, block.last) = (Some(pool), pool);
    }
    block
}

fn is_activation(graph: &Graph, id: NodeId) -> bool {
    matches!(graph.node(id).op, Op::Activation(_))
}

/// Whether a node is a spatial convolution of the image, whose planes it can read without a conversion of layout.
#[must_use]
pub fn reads_image(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    matches!(node.op, Op::Convolution(op) if op.groups == 1 && !op.is_pointwise())
        && graph.node(node.inputs[0]).op == Op::Input
}

/// For each node the one node that reads it, unless it is an output.
struct SoleReaders(Vec<Option<NodeId>>);

impl SoleReaders {
    fn new(graph: &Graph) -> Self {
        let sole = |readers: Vec<NodeId>| if let [reader] = readers[..] { Some(reader) } else { None };
        let mut readers: Vec<Option<NodeId>> = graph.readers().into_iter().map(sole).collect();
        graph.outputs.iter().for_each(|output| readers[output.node.0] = None);
        Self(readers)
    }

    fn of(&self, id: NodeId) -> Option<NodeId> {
        self.0[id.0]
    }
}

impl Fusion {
    fn push(&mut self, block: Block) {
        block.nodes().for_each(|node| self.block_of[node.0] = Some(self.blocks.len()));
        self.blocks.push(block);
    }

    /// The blocks in the order of their first nodes.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The block that a node is part of.
    #[must_use]
    pub fn block(&self, id: NodeId) -> Option<&Block> {
        self.block_of[id.0].map(|block| &self.blocks[block])
    }

    /// Whether a node is a [`Op::Scale`] whose factors can be multiplied into the weights of the convolution that
    /// reads it.
    #[must_use]
    pub fn folds_scale(&self, id: NodeId) -> bool {
        self.folded_scales[id.0]
    }

    /// Whether a node is a concat of two maps of one size that only a channel shuffle reads, which can read the two
    /// maps instead.
    #[must_use]
    pub fn is_shuffled_concat(&self, id: NodeId) -> bool {
        self.shuffled_concats[id.0]
    }

    /// Where the channels of a node come from, in order, if it only selects and orders channels: a concat, a slice, a
    /// channel shuffle, or a scale that [`Fusion::folds_scale`].
    #[must_use]
    pub fn channel_sources(&self, graph: &Graph, id: NodeId) -> Option<Vec<ChannelSource>> {
        let node = graph.node(id);
        let whole = |&node: &NodeId| ChannelSource { node, first: 0, len: graph.node(node).shape.channels };
        match node.op {
            Op::Concat => Some(node.inputs.iter().map(whole).collect()),
            Op::Slice { start, len } => Some(vec![ChannelSource { node: node.inputs[0], first: start, len }]),
            Op::ChannelShuffle => {
                let half = node.shape.channels / 2;
                let source = |first| ChannelSource { node: node.inputs[0], first, len: 1 };
                Some((0..half).flat_map(|i| [source(i), source(half + i)]).collect())
            }
            Op::Scale if self.folds_scale(id) => node.inputs.first().map(|input| vec![whole(input)]),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, Weights, pass};

    const HARD_SWISH: Activation = Activation::HardSwish;

    fn ops(graph: &Graph, block: &Block) -> Vec<String> {
        block.nodes().map(|id| graph.node(id).op.to_string()).collect()
    }

    /// A map of sixteen channels.
    fn stem(g: &mut Builder) -> NodeId {
        let image = g.input();
        g.scope("stem", |g| g.convolution(image, 16, 3, 2, 1))
    }

    #[test]
    fn a_block_ends_at_the_pool() {
        let mut g = Builder::new();
        let x = stem(&mut g);
        let x = g.batch_norm(x);
        let x = g.activation(x, HARD_SWISH);
        let x = g.max_pool(x);
        g.output("result", x);
        let graph = g.finish();
        let fusion = fuse(&graph);
        assert_eq!(fusion.blocks().len(), 1);
        let expected = ["conv 3x3 stride 2 -> 16", "batch_norm", "hard_swish", "max_pool 3x3 stride 2"];
        assert_eq!(ops(&graph, &fusion.blocks()[0]), expected);
        assert_eq!(fusion.blocks()[0].function(&graph), Some(HARD_SWISH));
        assert_eq!(fusion.block(x), Some(&fusion.blocks()[0]));
        // Folding removes only the batch norm.
        let (folded, _) = pass::fold_batch_norm(&graph, &Weights::new());
        assert_eq!(ops(&folded, &fuse(&folded).blocks()[0]).len(), 3);
    }

    #[test]
    fn an_output_or_a_second_reader_ends_a_block() {
        for second_reader in [false, true] {
            let mut g = Builder::new();
            let x = stem(&mut g);
            let y = g.activation(x, HARD_SWISH);
            if second_reader {
                let sum = g.add(x, y);
                g.output("sum", sum);
            } else {
                g.output("convolution", x);
            }
            g.output("result", y);
            let graph = g.finish();
            assert_eq!(fuse(&graph).blocks()[0].activation, None, "{second_reader}");
        }
    }

    #[test]
    fn one_convolution_takes_a_sum() {
        let mut g = Builder::new();
        let x = stem(&mut g);
        let a = g.scope("a", |g| g.convolution(x, 16, 1, 1, 1));
        let b = g.scope("b", |g| g.convolution(x, 16, 1, 1, 1));
        let sum = g.add(a, b);
        let y = g.activation(sum, HARD_SWISH);
        g.output("result", y);
        let fusion = fuse(&g.finish());
        let sums: Vec<_> = fusion.blocks().iter().map(|block| block.sum).collect();
        assert_eq!(sums, [None, Some(Sum { node: sum, addend: b }), None]);
        assert_eq!(fusion.blocks()[1].activation, Some(y));
    }

    #[test]
    fn a_batch_norm_of_another_node_is_a_block_of_its_own() {
        let mut g = Builder::new();
        let x = stem(&mut g);
        let pooled = g.max_pool(x);
        let norm = g.scope("separate", |g| g.batch_norm(pooled));
        let y = g.activation(norm, HARD_SWISH);
        g.output("result", y);
        let fusion = fuse(&g.finish());
        let block = fusion.block(norm).copied();
        assert_eq!(block.map(|block| (block.convolution, block.activation)), Some((None, Some(y))));
    }

    #[test]
    fn aliases_name_the_channels_that_they_take() {
        let mut g = Builder::new();
        let x = stem(&mut g);
        let (left, right) = g.halves(x);
        let joined = g.concat(&[right, left]);
        let shuffled = g.channel_shuffle(joined);
        g.output("result", shuffled);
        let graph = g.finish();
        let fusion = fuse(&graph);
        let source = |node, first, len| ChannelSource { node, first, len };
        assert_eq!(fusion.channel_sources(&graph, right), Some(vec![source(x, 8, 8)]));
        let expected = vec![source(right, 0, 8), source(left, 0, 8)];
        assert_eq!(fusion.channel_sources(&graph, joined), Some(expected));
        let alternating = fusion.channel_sources(&graph, shuffled).unwrap_or_default();
        assert_eq!(alternating[..3], [source(joined, 0, 1), source(joined, 8, 1), source(joined, 1, 1)]);
        assert_eq!(fusion.channel_sources(&graph, x), None);
        assert!(fusion.is_shuffled_concat(joined));
    }

    #[test]
    fn a_scale_is_folded_into_the_only_convolution_that_reads_it() {
        for kernel in [1, 3] {
            let mut g = Builder::new();
            let x = stem(&mut g);
            let mean = g.global_average_pool(x);
            let scaled = g.scale(x, mean);
            let y = g.scope("last", |g| g.convolution(scaled, 8, kernel, 1, 1));
            g.output("result", y);
            let graph = g.finish();
            let fusion = fuse(&graph);
            assert_eq!(fusion.folds_scale(scaled), kernel == 1);
            assert_eq!(fusion.channel_sources(&graph, scaled).is_some(), kernel == 1);
        }
    }
}
