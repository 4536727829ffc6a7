//! The integers of a quantised network while it is lowered.

use picodet_graph::quantised::maps_of;
use picodet_graph::{MapQuantisation, NodeId, Quantisation};
use picodet_simd::Int8Isa;

use crate::PlanError;
use crate::cpu::schedule::{BufferId, View};

/// The integers of a network, and what lowering derives from them.
pub(super) struct Integers<'a> {
    pub(super) quantisation: &'a Quantisation,
    /// The scales of each node that is bytes.
    pub(super) maps: Vec<Option<MapQuantisation>>,
    pub(super) isa: Int8Isa,
    /// The image as bytes.
    pub(super) image: Option<BufferId>,
    /// The values in f32 of byte nodes that f32 operations read.
    pub(super) floats: Vec<Option<View>>,
    /// The first node that no kernel of bytes computes.
    pub(super) unsupported: Option<String>,
}

impl<'a> Integers<'a> {
    pub(super) fn new(
        graph: &picodet_graph::Graph,
        fusion: &picodet_graph::pass::Fusion,
        quantisation: &'a Quantisation,
        isa: Int8Isa,
    ) -> Self {
        Self {
            quantisation,
            maps: maps_of(graph, fusion, quantisation),
            isa,
            image: None,
            floats: vec![None; graph.nodes.len()],
            unsupported: None,
        }
    }

    /// The scales of a node that is bytes.
    pub(super) fn map(&self, id: NodeId) -> Option<&MapQuantisation> {
        self.maps[id.0].as_ref()
    }

    pub(super) fn is_bytes(&self, index: usize) -> bool {
        self.maps[index].is_some()
    }

    /// The value of a byte node in f32, if it has been converted.
    pub(super) fn float(&self, id: NodeId) -> Option<&View> {
        self.floats[id.0].as_ref()
    }

    /// Returns an error if a node is not supported.
    pub(super) fn result(self) -> Result<(), PlanError> {
        self.unsupported.map_or(Ok(()), |scope| Err(PlanError::NotQuantisable { scope }))
    }
}
