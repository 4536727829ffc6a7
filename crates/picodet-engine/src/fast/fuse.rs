//! Depthwise and pointwise convolutions in one step: some rows at a time, so that what the depthwise one makes is still in
//! the cache when the pointwise one reads it, and never goes to memory as a whole.

use super::Isa;
use super::kernel::depthwise::rounds;
use super::schedule::{Buffer, Operation, Step, Weights};

/// Bytes of a band of rows between the two: a part of a level-2 cache.
const BAND_BYTES: usize = 192 << 10;

/// Joins each depthwise step with the pointwise step that alone reads its result.
pub(crate) fn separable(buffers: &mut [Buffer], steps: Vec<Step>, isa: Isa, workers: usize) -> Vec<Step> {
    let mut users = vec![Vec::new(); buffers.len()];
    for (index, step) in steps.iter().enumerate() {
        for buffer in step.operation.buffers() {
            users[buffer].push(index);
        }
    }
    let mut pending: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    for first in 0..pending.len() {
        let Some(Step { operation: Operation::Depthwise { to, .. }, .. }) = &pending[first] else { continue };
        let to = *to;
        let &[_, second] = users[to].as_slice() else { continue };
        match pending[second].as_ref().map(|step| &step.operation) {
            Some(Operation::Pointwise { from, to: result, .. }) if *from == to && *result != to => {}
            _ => continue,
        }
        let (Some(mut depthwise), Some(mut pointwise)) = (pending[first].take(), pending[second].take())
        else {
            continue;
        };
        if let Some(columns) = round_between(&mut depthwise, &mut pointwise, isa) {
            buffers[to].stride = columns / 2;
        }
        let (height, width) = depthwise.out_size;
        let row = (width * buffers[to].stride * size_of::<f32>()).max(1);
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

/// Has the depthwise step round its result to 16 bits, if the pointwise one would do that itself and the kernels can, and
/// returns the number of columns.
fn round_between(depthwise: &mut Step, pointwise: &mut Step, isa: Isa) -> Option<usize> {
    let out_width = depthwise.out_size.1;
    let Operation::Depthwise { kernel, stride, runs: made, column: 0, narrow, .. } = &mut depthwise.operation
    else {
        return None;
    };
    let Operation::Pointwise { runs, weights: Weights::Pairs { factors: None, rounded, .. }, .. } =
        &mut pointwise.operation
    else {
        return None;
    };
    let &[(0, columns)] = runs.as_slice() else { return None };
    let all = made.iter().map(|run| run.len).sum::<usize>() == columns;
    if !all || columns % 2 > 0 || !rounds(isa, *kernel, *stride, out_width) {
        return None;
    }
    (*narrow, *rounded) = (true, true);
    Some(columns)
}
