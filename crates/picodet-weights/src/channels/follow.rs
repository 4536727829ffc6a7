//! Follows the channels through a network: a label for each channel of every value.

use crate::ForeignFlow;

use super::label::{Form, Label};
use super::map::Map;

/// Largest number of labels of one network, which bounds the work on a hostile file. Every network of the zoo has fewer, which
/// the tests of this module show.
const MAX_LABELS: usize = 1 << 20;
/// Channels of an image.
const IMAGE: usize = 3;

/// Computes the values of nodes.
pub(super) struct Follower {
    /// Number of labels that may still be computed.
    budget: usize,
}

impl Follower {
    pub(super) fn new() -> Self {
        Self { budget: MAX_LABELS }
    }

    /// Returns the image.
    pub(super) fn image() -> Option<Map> {
        Map::new((0..IMAGE).map(|channel| Label::source(None, channel)).collect(), false)
    }

    /// Returns the result of the convolution with the number `site`.
    pub(super) fn convolved(&mut self, site: usize, channels: usize, input: Option<&Map>) -> Option<Map> {
        self.spend(channels)?;
        let labels = (0..channels).map(|channel| Label::source(Some(site), channel)).collect();
        Map::new(labels, input.is_some_and(Map::is_pooled))
    }

    fn spend(&mut self, labels: usize) -> Option<()> {
        self.budget = self.budget.checked_sub(labels)?;
        Some(())
    }

    /// Returns the results of an operation without weights; `None` for unknown ones.
    pub(super) fn results(
        &mut self,
        flow: &ForeignFlow,
        inputs: &[Option<&Map>],
        count: usize,
    ) -> Vec<Option<Map>> {
        let first = inputs.first().copied().flatten();
        match flow {
            ForeignFlow::Elementwise { input, values } => {
                let map = inputs.get(*input).copied().flatten();
                // More constants than channels repeat the channels.
                let map = map.filter(|map| *values == 1 || *values == map.labels().len());
                vec![map.cloned(); count]
            }
            ForeignFlow::Split { axis, sizes } => {
                let parts = first
                    .filter(|map| self.spend(map.labels().len()).is_some())
                    .and_then(|map| map.split(*axis, sizes, count));
                parts.map_or_else(|| vec![None; count], |parts| parts.into_iter().map(Some).collect())
            }
            _ => {
                let mut results = vec![None; count];
                if let Some(result) = results.first_mut() {
                    *result = self.result(flow, inputs);
                }
                results
            }
        }
    }

    fn result(&mut self, flow: &ForeignFlow, inputs: &[Option<&Map>]) -> Option<Map> {
        if *flow == ForeignFlow::Image {
            return Self::image();
        }
        let mut maps = Vec::new();
        for input in inputs {
            self.spend(input.map_or(1, |map| map.labels().len()))?;
            maps.push(*input);
        }
        let first = || maps.first().copied().flatten();
        let combined = |form: Form| {
            let mut others = maps.iter();
            let start = (*others.next()?)?.clone();
            others.try_fold(start, |result, map| result.combined((*map)?, form))
        };
        match flow {
            ForeignFlow::Sum => combined(Form::Sum),
            ForeignFlow::Product => combined(Form::Product),
            ForeignFlow::Concat { axis } => {
                let maps: Vec<&Map> = maps.iter().copied().collect::<Option<_>>()?;
                Map::concat(&maps, *axis)
            }
            ForeignFlow::Slice(ranges) => {
                let start = first()?.clone();
                let part = |map: Map, range: &crate::ForeignRange| {
                    map.slice(range.axis, range.start, range.end, range.step)
                };
                ranges.iter().try_fold(start, part)
            }
            ForeignFlow::Gather { axis, indices, is_removed } => first()?.gather(*axis, indices, *is_removed),
            ForeignFlow::Shuffle { groups } => first()?.shuffle(*groups),
            ForeignFlow::Reshape(extents) => first()?.reshape(extents),
            ForeignFlow::Transpose(order) => first()?.transpose(order),
            ForeignFlow::Squeeze(axes) => first()?.squeeze(axes),
            ForeignFlow::Unsqueeze(axes) => first()?.unsqueeze(axes),
            ForeignFlow::Flatten { axis } => first()?.flatten(*axis),
            ForeignFlow::Resize { mode, factors } => {
                Some(first()?.map(|label| label.resized(*mode, *factors)))
            }
            ForeignFlow::Pool(kind) => {
                let map = first()?.map(|label| label.pooled(*kind));
                Some(if *kind == crate::ForeignPool::Whole { map.pooled() } else { map })
            }
            _ => None,
        }
    }
}
