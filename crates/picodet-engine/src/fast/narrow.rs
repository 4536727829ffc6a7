//! Maps of 16-bit numbers (bf16): those that only operations with kernels for them touch. They take half of the memory and
//! of its bandwidth, and pointwise convolutions multiply them as they are.

use super::schedule::{Buffer, BufferId, DenseSource, Elementwise, Operation, Step, Weights};

/// Makes buffers narrow, with their strides, where a schedule with 16-bit weights allows it.
pub(crate) fn narrow(buffers: &mut [Buffer], steps: &mut [Step]) {
    let mut fit: Vec<bool> = buffers.iter().map(|buffer| buffer.cells > 1).collect();
    // Without 16-bit weights nothing is gained, and results are to be those of 32 bits.
    if !steps.iter().any(|step| multiplies_pairs(&step.operation)) {
        return;
    }
    for step in steps.iter() {
        let able = able(step);
        for buffer in step.operation.buffers() {
            fit[buffer] &= able.contains(&buffer);
        }
    }
    // What is copied stays what it is.
    while let Some((from, to)) = steps.iter().filter_map(copies).find(|&(from, to)| fit[from] != fit[to]) {
        fit[from] = false;
        fit[to] = false;
    }
    for (buffer, _) in buffers.iter_mut().zip(&fit).filter(|(_, fit)| **fit) {
        buffer.narrow = true;
        buffer.stride = buffer.stride.div_ceil(2);
    }
    for step in steps {
        if let Operation::Elementwise { kind: Elementwise::Upsample, from, runs, .. } = &mut step.operation
            && fit[*from]
        {
            // Two at a time.
            for run in runs {
                run.source /= 2;
                run.destination /= 2;
                run.len /= 2;
            }
        }
    }
}

fn multiplies_pairs(operation: &Operation) -> bool {
    matches!(operation, Operation::Pointwise { weights: Weights::Pairs { .. }, .. })
}

/// The buffers that a step could read or write as 16-bit numbers.
fn able(step: &Step) -> Vec<BufferId> {
    match &step.operation {
        Operation::Pointwise { from, to, residual, .. } if multiplies_pairs(&step.operation) => {
            let added = residual.map(|(buffer, _)| buffer);
            [*from, *to].into_iter().filter(|&buffer| Some(buffer) != added).collect()
        }
        Operation::Depthwise { from, to, weights: Weights::RowPairs(_), .. } => vec![*from, *to],
        // What it reads has 32 bits, also where that lies in the buffer that it writes to.
        Operation::Dense { source, to, residual: None, .. } => match source {
            DenseSource::Buffer(from, _) if from == to => Vec::new(),
            _ => vec![*to],
        },
        Operation::SumCells { from, .. } => vec![*from],
        Operation::Elementwise { kind: Elementwise::Upsample, from, to, other: None, runs } => {
            let even = |run: &super::kernel::Run| {
                [run.source, run.destination, run.len].iter().all(|number| number % 2 == 0)
            };
            if runs.iter().all(even) { vec![*from, *to] } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

/// From where to where a step copies numbers without looking at them.
fn copies(step: &Step) -> Option<(BufferId, BufferId)> {
    match step.operation {
        Operation::Elementwise { kind: Elementwise::Upsample, from, to, .. } => Some((from, to)),
        _ => None,
    }
}
