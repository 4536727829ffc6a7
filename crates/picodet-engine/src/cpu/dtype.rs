//! Chooses the element type of each buffer of a schedule.
//!
//! A buffer is bf16 or f16 where every step that touches it has kernels for it: that halves its memory and bandwidth, and
//! pointwise convolutions multiply it without conversion.

use picodet_graph::DType;
use picodet_simd::Isa;

use super::schedule::{Buffer, BufferId, DenseSource, Elementwise, Operation, Step, Weights};

/// Whether an instruction set has kernels for convolutions of a type.
pub(crate) fn is_supported(dtype: DType, isa: Isa) -> bool {
    match dtype {
        DType::F32 => true,
        DType::Bf16 => isa.bf16().is_some(),
        DType::F16 => isa.f16().is_some(),
        // Every set multiplies bytes.
        DType::U8 => true,
    }
}

/// Makes a buffer one of bytes.
pub(crate) fn make_bytes(buffer: &mut Buffer) {
    buffer.dtype = DType::U8;
}

/// Returns the precision that takes the least time on this processor: f16 on 64-bit ARM and bf16 on x86-64 where it has
/// the instructions, else f32.
#[must_use]
pub fn fastest_precision() -> DType {
    let isa = Isa::best();
    let has = |dtype: &DType| isa != Isa::PORTABLE && is_supported(*dtype, isa);
    [DType::F16, DType::Bf16].into_iter().find(has).unwrap_or_default()
}

/// Returns the name of a precision in arguments and reports: `int8` for bytes.
#[must_use]
pub fn precision_name(precision: DType) -> &'static str {
    if precision == DType::U8 { "int8" } else { precision.name() }
}

/// Makes buffers bf16 or f16 where the steps allow it; without weights of that type every buffer stays f32, because a
/// conversion would have no benefit.
pub(crate) fn assign_dtypes(buffers: &mut [Buffer], steps: &mut [Step]) {
    // Per-channel vectors (squeeze-excite factors, sums, weights) stay f32.
    let mut fits: Vec<bool> = buffers.iter().map(|buffer| buffer.cells > 1).collect();
    let Some(dtype) = steps.iter().find_map(|step| short(&step.operation)) else { return };
    for step in steps.iter() {
        let accepted = accepted(step);
        for buffer in step.operation.buffers() {
            fits[buffer] &= accepted.contains(&buffer);
        }
    }
    // A copy does not convert.
    while let Some((from, to)) = steps.iter().filter_map(copy).find(|&(from, to)| fits[from] != fits[to]) {
        fits[from] = false;
        fits[to] = false;
    }
    for (buffer, _) in buffers.iter_mut().zip(&fits).filter(|(_, fits)| **fits) {
        buffer.dtype = dtype;
    }
    for step in steps {
        if let Operation::Elementwise { kind: Elementwise::Upsample, from, ranges, .. } = &mut step.operation
            && fits[*from]
        {
            // The kernel copies words of the arena, each of two elements.
            for range in ranges {
                range.source /= 2;
                range.destination /= 2;
                range.len /= 2;
            }
        }
    }
}

/// The 16-bit type of the weights of a pointwise convolution.
fn short(operation: &Operation) -> Option<DType> {
    match operation {
        Operation::Pointwise { weights: Weights::Pairs { .. }, .. } => Some(DType::Bf16),
        Operation::Pointwise { weights: Weights::Halves { .. }, .. } => Some(DType::F16),
        _ => None,
    }
}

/// The buffers that a step could read or write in 16 bits.
fn accepted(step: &Step) -> Vec<BufferId> {
    match &step.operation {
        Operation::Pointwise { from, to, residual, .. } if short(&step.operation).is_some() => {
            let added = residual.map(|(buffer, _)| buffer);
            [*from, *to].into_iter().filter(|&buffer| Some(buffer) != added).collect()
        }
        Operation::Depthwise { from, to, weights: Weights::RowPairs(_) | Weights::Taps(_), .. } => {
            vec![*from, *to]
        }
        // The source is read as f32, also where it shares the buffer of the result.
        Operation::Dense { source, to, residual: None, .. } => match source {
            DenseSource::Buffer(from, _) if from == to => Vec::new(),
            _ => vec![*to],
        },
        Operation::SumCells { from, .. } => vec![*from],
        Operation::Elementwise { kind: Elementwise::Upsample, from, to, other: None, ranges } => {
            let is_even = |range: &picodet_kernel::ChannelRange| {
                [range.source, range.destination, range.len].iter().all(|column| column % 2 == 0)
            };
            if ranges.iter().all(is_even) { vec![*from, *to] } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

/// Source and destination of a step that copies elements without converting them.
fn copy(step: &Step) -> Option<(BufferId, BufferId)> {
    match step.operation {
        Operation::Elementwise { kind: Elementwise::Upsample, from, to, .. } => Some((from, to)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use picodet_graph::DType;

    /// Source files below a folder, without tests.
    fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(folder) else { panic!("{} is a folder", folder.display()) };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with("tests") {
                continue;
            }
            if path.is_dir() {
                sources(&path, files);
            } else if name.ends_with(".rs") {
                files.push(path);
            }
        }
    }

    /// Files that list types other than f32; with the kernel of the type itself these are the files that a new type
    /// touches.
    #[test]
    #[cfg_attr(any(miri, target_family = "wasm"), ignore = "reads the sources")]
    fn a_new_type_touches_three_files_and_its_kernel() {
        let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let graph = Path::new(env!("CARGO_MANIFEST_DIR")).join("../picodet-graph/src");
        let mut files = Vec::new();
        sources(&engine, &mut files);
        sources(&graph, &mut files);
        let others = DType::ALL.into_iter().filter(|&dtype| dtype != DType::F32);
        let variants: Vec<String> = others.map(|dtype| format!("::{dtype:?}")).collect();
        let lists = |path: &PathBuf| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            variants.iter().any(|variant| text.contains(variant.as_str()))
        };
        let mut found: Vec<String> = files
            .iter()
            .filter(|path| lists(path))
            .filter_map(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
            .collect();
        found.sort();
        assert_eq!(found, ["convolution.rs", "dtype.rs", "dtype.rs"]);
    }
}
