//! Joins depthwise and pointwise convolutions to one step that computes a band of rows at a time, so that the depthwise
//! result stays in the cache until the pointwise convolution reads it.

use super::schedule::{Buffer, Operation, Step};

/// Bytes of a band of rows between the two: a part of a level-2 cache.
const BAND_BYTES: usize = 384 << 10;

/// Joins each depthwise step with the pointwise step that is the only reader of its result.
pub(crate) fn join(buffers: &mut [Buffer], steps: Vec<Step>, workers: usize) -> Vec<Step> {
    let mut users = vec![Vec::new(); buffers.len()];
    for (index, step) in steps.iter().enumerate() {
        for buffer in step.operation.buffers() {
            users[buffer].push(index);
        }
    }
    let mut pending: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    for first in 0..pending.len() {
        let Some(to) = pending[first].as_ref().and_then(|step| step.operation.depthwise_result()) else {
            continue;
        };
        let &[_, second] = users[to].as_slice() else { continue };
        match pending[second].as_ref().and_then(|step| step.operation.pointwise_buffers()) {
            Some((from, result)) if from == to && result != to => {}
            _ => continue,
        }
        let (Some(depthwise), Some(pointwise)) = (pending[first].take(), pending[second].take()) else {
            continue;
        };
        let (height, width) = depthwise.out_size;
        let row = (width * buffers[to].bytes_per_pixel()).max(1);
        // An even number: depthwise convolutions make two rows at a time.
        let rows = (BAND_BYTES / row / 2 * 2).clamp(2, height.div_ceil(workers).max(2));
        buffers[to].cells = workers * rows * width;
        pending[second] = Some(Step {
            scope: pointwise.scope.clone(),
            size: depthwise.size,
            out_size: depthwise.out_size,
            macs: depthwise.macs + pointwise.macs,
            operation: Operation::Separable {
                depthwise: Box::new(depthwise),
                pointwise: Box::new(pointwise),
                rows,
            },
        });
    }
    pending.into_iter().flatten().collect()
}
