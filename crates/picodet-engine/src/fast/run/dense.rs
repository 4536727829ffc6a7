//! The dense convolutions: the stem, with or without its pool, and those of general size.
#![allow(unsafe_code)]

use std::ops::Range;

use picodet_graph::DType;

use super::Maps;
use crate::fast::schedule::{DenseKind, DenseSource, Operation, Step};
use picodet_kernel::Run;
use picodet_kernel::elementwise::{Elementwise, Kind, elementwise};
use picodet_kernel::gemm::{Activate, Gemm, gemm};
use picodet_kernel::round::{Round, round};
use picodet_kernel::stem::{Stem, stem};

/// Makes some rows of a dense step; nothing for any other.
///
/// # Safety
/// As [`super::run_step`].
pub(super) unsafe fn dense(maps: &Maps<'_>, step: &Step, worker: usize, rows: Range<usize>) {
    let Operation::Dense {
        kind,
        source,
        channels,
        kernel,
        stride: step_size,
        runs,
        weights,
        bias,
        columns,
        residual,
        act,
        pool,
        to,
        column,
        scratch,
    } = &step.operation
    else {
        return;
    };
    let (isa, workers) = (maps.schedule.isa, maps.schedule.workers);
    let (height, width) = step.size;
    let out_width = step.out_size.1;
    // SAFETY: the caller's promise covers every pointer made here: buffers lie inside the arena, cells inside buffers.
    unsafe {
        let full = (height.div_ceil(*step_size), width.div_ceil(*step_size));
        let padded = (kernel * (width + kernel - 1) * channels).next_multiple_of(16);
        // Rows of the strip that the pool reads.
        let strip_stride = columns.next_multiple_of(16);
        let strip_row = full.1 * strip_stride;
        let scratch = maps.at(*scratch).add(worker * (maps.words(*scratch) / workers));
        let strip = scratch.wrapping_add(padded);
        let planar = matches!(source, DenseSource::Image);
        let a_stride = if planar { *step_size } else { step_size * channels };
        let make_row = |y: usize, out: *mut f32, out_stride: usize| {
            if let DenseKind::Stem { half } = *kind {
                stem(
                    isa,
                    &Stem {
                        image: maps.memory.image,
                        size: (height, width),
                        row: y,
                        half,
                        weights,
                        // A strip has room for whole vectors, as the weights have.
                        columns: if *pool { bias.len() } else { *columns },
                        bias,
                        out,
                        out_stride,
                        act: *act,
                    },
                );
                return;
            }
            let first = (y * step_size) as isize - (kernel / 2) as isize;
            match source {
                DenseSource::Image => {
                    pad_planar(maps.memory.image, *channels, (height, width), *kernel, first, scratch);
                }
                DenseSource::Buffer(from, copied) => {
                    let source = (maps.at(*from).cast_const(), maps.words(*from));
                    pad_cells(source, copied, *channels, (height, width), *kernel, first, scratch);
                }
            }
            let (residual, residual_stride) = residual.map_or((std::ptr::null(), 0), |(buffer, column)| {
                let cell = maps.at(buffer).add(y * full.1 * maps.words(buffer));
                (cell.add(column).cast_const(), maps.words(buffer))
            });
            gemm(
                isa,
                &Gemm {
                    a: scratch,
                    a_stride,
                    runs,
                    rows: full.1,
                    b: weights,
                    epilogue: Activate {
                        columns: *columns,
                        bias,
                        residual,
                        residual_stride,
                        act: *act,
                        out,
                        out_stride,
                        out_dtype: DType::F32,
                    },
                },
            );
        };
        // A row of the result goes to the map or, where that has 16 bits, to the end of the scratch memory first.
        let unrounded = strip.wrapping_add(if *pool { 3 * strip_row } else { 0 });
        let is_wide = maps.dtype(*to) == DType::F32;
        let put = |y: usize, make: &dyn Fn(*mut f32, usize)| {
            let cell = maps.column(*to, maps.at(*to).add(y * out_width * maps.words(*to)), *column);
            if is_wide {
                make(cell, maps.words(*to));
                return;
            }
            make(unrounded, strip_stride);
            let (cells, columns) = (out_width, *columns);
            let (source_stride, out_stride) = (strip_stride, maps.stride(*to));
            let Some(bf16) = isa.bf16() else { return };
            let out = cell.cast();
            round(bf16, &Round { source: unrounded, source_stride, pixels: cells, columns, out, out_stride });
        };
        if !pool {
            rows.for_each(|y| put(y, &|out, out_stride| make_row(y, out, out_stride)));
            return;
        }
        // Three rows at a time stay in the cache, each where the one three above it was: their order does not
        // matter. In place of a row outside there is its neighbour once more.
        let copied = [Run { source: 0, other: 0, destination: 0, len: *columns }];
        for (done, y) in rows.enumerate() {
            for below in if done == 0 { 0 } else { 1 }..3 {
                let row = (2 * y + below).saturating_sub(1).min(full.0 - 1);
                make_row(row, strip.add((2 * y + below) % 3 * strip_row), strip_stride);
            }
            put(y, &|out, out_stride| {
                elementwise(
                    isa,
                    &Elementwise {
                        kind: Kind::MaxPool,
                        // Row 1 of a pool reads rows 1 to 3.
                        source: strip.wrapping_sub(strip_row),
                        source_stride: strip_stride,
                        size: (4, full.1),
                        other: std::ptr::null(),
                        other_stride: 0,
                        out: out.wrapping_sub(out_width * out_stride),
                        out_stride,
                        out_width,
                        rows: 1..2,
                        runs: &copied,
                    },
                );
            });
        }
    }
}

/// `[channels][kernel][width + kernel - 1]` from rows `first..first + kernel` of an image, zeros beside it.
///
/// # Safety
/// `image` is `[channels, height, width]`; `out` is valid for the result.
unsafe fn pad_planar(
    image: *const f32,
    channels: usize,
    (height, width): (usize, usize),
    kernel: usize,
    first: isize,
    out: *mut f32,
) {
    let (pad, padded) = (kernel / 2, width + kernel - 1);
    for c in 0..channels {
        for ky in 0..kernel {
            let y = first + ky as isize;
            // SAFETY: the caller's promise; rows outside the image are not read.
            unsafe {
                let row = std::slice::from_raw_parts_mut(out.add((c * kernel + ky) * padded), padded);
                if y < 0 || y >= height as isize {
                    row.fill(0.0);
                } else {
                    row[..pad].fill(0.0);
                    row[pad + width..].fill(0.0);
                    let from =
                        std::slice::from_raw_parts(image.add((c * height + y as usize) * width), width);
                    row[pad..pad + width].copy_from_slice(from);
                }
            }
        }
    }
}

/// `[kernel][width + kernel - 1][channels]` from rows `first..first + kernel` of a map, zeros beside it.
///
/// # Safety
/// `source` is the first cell of `height · width` and the numbers between cells; `runs` lie inside cells; `out` is
/// valid for the result.
unsafe fn pad_cells(
    source: (*const f32, usize),
    runs: &[Run],
    channels: usize,
    (height, width): (usize, usize),
    kernel: usize,
    first: isize,
    out: *mut f32,
) {
    let (pad, padded) = (kernel / 2, width + kernel - 1);
    for ky in 0..kernel {
        let y = first + ky as isize;
        // SAFETY: the caller's promise; rows outside the map are not read.
        unsafe {
            let row = out.add(ky * padded * channels);
            if y < 0 || y >= height as isize {
                std::slice::from_raw_parts_mut(row, padded * channels).fill(0.0);
                continue;
            }
            std::slice::from_raw_parts_mut(row, pad * channels).fill(0.0);
            std::slice::from_raw_parts_mut(
                row.add((pad + width) * channels),
                (padded - pad - width) * channels,
            )
            .fill(0.0);
            for x in 0..width {
                let cell = source.0.add((y as usize * width + x) * source.1);
                let to = row.add((pad + x) * channels);
                for run in runs {
                    std::ptr::copy_nonoverlapping(cell.add(run.source), to.add(run.destination), run.len);
                }
            }
        }
    }
}
