//! Dense convolutions: the stem, with or without its pool, and those of general size.

use std::ops::Range;

use picodet_graph::DType;

use super::access::ScratchLayout;
use super::band::Band;
use super::operation::{DenseKind, DenseSource, Operation, Step};
use crate::elementwise::{Elementwise, Kind, elementwise};
use crate::gemm::{Activate, Gemm, gemm};
use crate::half::round_f16;
use crate::map::ChannelRange;
use crate::round::{Round, round};
use crate::stem::{Stem, stem};

/// A dense convolution and the worker's scratch memory.
struct Dense<'a> {
    band: Band<'a>,
    step: &'a Step,
    layout: ScratchLayout,
    /// The padded rows.
    padded: *mut f32,
    /// Rows of the result before the pool or the rounding.
    strip: *mut f32,
}

/// Executes some rows of a dense step.
pub(super) fn dense(band: Band<'_>, step: &Step, rows: Range<usize>) {
    let Operation::Dense { channels, kernel, stride, columns, pool, scratch, .. } = &step.operation else {
        return;
    };
    let full_width = step.size.1.div_ceil(*stride);
    let layout = ScratchLayout::new(step.size.1, full_width, *kernel, *channels, *columns);
    let padded = band.at(*scratch).wrapping_add(band.worker * (band.words(*scratch) / band.schedule.workers));
    let strip = padded.wrapping_add(layout.padded);
    let dense = Dense { band, step, layout, padded, strip };
    if *pool {
        dense.pooled(rows);
    } else {
        rows.for_each(|y| dense.put(y, y..y + 1));
    }
}

/// Rows are those of the band; `verify` has checked the scratch memory of each worker.
impl Dense<'_> {
    /// Computes rows and pools them.
    fn pooled(&self, rows: Range<usize>) {
        let Operation::Dense { stride, .. } = &self.step.operation else { return };
        let height = self.step.size.0.div_ceil(*stride);
        // Three rows at a time stay in the cache, each at the position of the one three above it: their order
        // does not matter. A row outside the map is replaced by its neighbour.
        for (done, y) in rows.enumerate() {
            for below in if done == 0 { 0 } else { 1 }..3 {
                let row = (2 * y + below).saturating_sub(1).min(height - 1);
                let to = self.strip.wrapping_add((2 * y + below) % 3 * self.layout.row);
                // SAFETY: `row` is a row of the convolution, and the strip has three rows of whole vectors.
                unsafe { self.convolve(row, to, self.layout.stride) };
            }
            self.put(y, 0..0);
        }
    }

    /// Computes row `y` of the result in the map or, if that has 16 bits, at the end of the scratch memory first,
    /// from a row of the convolution or, if `row` is empty, by pooling the strip.
    fn put(&self, y: usize, row: Range<usize>) {
        let Operation::Dense { columns, to, column, .. } = &self.step.operation else { return };
        let (band, width) = (&self.band, self.step.out_size.1);
        let pixel = band.column(*to, band.pixel(*to, y * width), *column);
        let unrounded = self.strip.wrapping_add(if row.is_empty() { 3 * self.layout.row } else { 0 });
        let is_wide = band.dtype(*to) == DType::F32;
        let (out, stride) = if is_wide { (pixel, band.words(*to)) } else { (unrounded, self.layout.stride) };
        // SAFETY: the map has this row and these columns; the scratch memory has an f32 row if the map has
        // 16 bits.
        unsafe {
            match row.is_empty() {
                true => self.pool(out, stride),
                false => self.convolve(row.start, out, stride),
            }
            if is_wide {
                return;
            }
            let args = Round {
                source: unrounded,
                source_stride: self.layout.stride,
                pixels: width,
                columns: *columns,
                out: pixel.cast(),
                out_stride: band.stride(*to),
            };
            let isa = band.schedule.isa;
            match (band.dtype(*to), isa.bf16(), isa.f16()) {
                (DType::Bf16, Some(bf16), _) => round(bf16, &args),
                (DType::F16, _, Some(f16)) => round_f16(f16, &args),
                _ => {}
            }
        }
    }

    /// Pools the three rows of the strip into a row at `out`.
    ///
    /// # Safety
    /// `out` is valid for writes of the columns of a row of the result, and the strip is filled.
    unsafe fn pool(&self, out: *mut f32, out_stride: usize) {
        let Operation::Dense { columns, stride, .. } = &self.step.operation else { return };
        let out_width = self.step.out_size.1;
        let ranges = [ChannelRange { source: 0, other: 0, destination: 0, len: *columns }];
        let args = Elementwise {
            kind: Kind::MaxPool,
            // Row 1 of a pool reads rows 1 to 3.
            source: self.strip.wrapping_sub(self.layout.row),
            source_stride: self.layout.stride,
            size: (4, self.step.size.1.div_ceil(*stride)),
            other: std::ptr::null(),
            other_stride: 0,
            out: out.wrapping_sub(out_width * out_stride),
            out_stride,
            out_width,
            rows: 1..2,
            ranges: &ranges,
        };
        // SAFETY: the strip has three rows, and `out` is row 1 of the result.
        unsafe { elementwise(self.band.schedule.isa, &args) }
    }

    /// Computes row `y` of the convolution at `out`.
    ///
    /// # Safety
    /// See the impl block; `out` is valid for writes of a row of the convolution, of whole vectors if a pool
    /// follows.
    unsafe fn convolve(&self, y: usize, out: *mut f32, out_stride: usize) {
        let Operation::Dense {
            kind,
            source,
            channels,
            kernel,
            stride,
            ranges,
            weights,
            bias,
            columns,
            residual,
            act,
            pool,
            ..
        } = &self.step.operation
        else {
            return;
        };
        let (band, isa) = (&self.band, self.band.schedule.isa);
        let (height, width) = self.step.size;
        // SAFETY: the image and the source have this size; the padded rows are inside the scratch memory; the
        // residual has the rows and columns of the result.
        unsafe {
            if let DenseKind::Stem { half } = *kind {
                let args = Stem {
                    image: band.memory.image,
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
                };
                stem(isa, &args);
                return;
            }
            let first = (y * stride) as isize - (kernel / 2) as isize;
            let a_stride = match source {
                DenseSource::Image => {
                    pad_planar(band.memory.image, *channels, (height, width), *kernel, first, self.padded);
                    *stride
                }
                DenseSource::Buffer(from, copied) => {
                    let source = (band.at(*from).cast_const(), band.words(*from));
                    pad_pixels(source, copied, *channels, (height, width), *kernel, first, self.padded);
                    stride * channels
                }
            };
            let full_width = width.div_ceil(*stride);
            let (residual, residual_stride) = residual.map_or((std::ptr::null(), 0), |(buffer, column)| {
                let pixel = band.pixel(buffer, y * full_width).wrapping_add(column);
                (pixel.cast_const(), band.words(buffer))
            });
            let epilogue = Activate {
                columns: *columns,
                bias,
                residual,
                residual_stride,
                act: *act,
                out,
                out_stride,
                out_dtype: DType::F32,
            };
            gemm(isa, &Gemm { a: self.padded, a_stride, ranges, rows: full_width, b: weights, epilogue });
        }
    }
}

/// Copies `[channels][kernel][width + kernel - 1]` from rows `first..first + kernel` of an image, zeros
/// outside it.
///
/// # Safety
/// `image` is valid for reads of `[channels, height, width]`, `out` for writes of the result.
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
            // SAFETY: row `c · kernel + ky` is in the result, and row `y`, unless outside, in the image.
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

/// Copies `[kernel][width + kernel - 1][channels]` from rows `first..first + kernel` of a map, zeros outside
/// it.
///
/// # Safety
/// `source` is the first pixel of `height · width` and the elements between pixels, valid for reads of the
/// ranges, whose destinations are below `channels`; `out` is valid for writes of the result.
unsafe fn pad_pixels(
    source: (*const f32, usize),
    ranges: &[ChannelRange],
    channels: usize,
    (height, width): (usize, usize),
    kernel: usize,
    first: isize,
    out: *mut f32,
) {
    let (pad, padded) = (kernel / 2, width + kernel - 1);
    for ky in 0..kernel {
        let y = first + ky as isize;
        // SAFETY: row `ky` is in the result, and row `y`, unless outside, in the map; ranges are inside pixels.
        unsafe {
            let row = out.add(ky * padded * channels);
            if y < 0 || y >= height as isize {
                std::slice::from_raw_parts_mut(row, padded * channels).fill(0.0);
                continue;
            }
            std::slice::from_raw_parts_mut(row, pad * channels).fill(0.0);
            let right = row.add((pad + width) * channels);
            std::slice::from_raw_parts_mut(right, (padded - pad - width) * channels).fill(0.0);
            for x in 0..width {
                let pixel = source.0.add((y as usize * width + x) * source.1);
                let to = row.add((pad + x) * channels);
                for range in ranges {
                    std::ptr::copy_nonoverlapping(
                        pixel.add(range.source),
                        to.add(range.destination),
                        range.len,
                    );
                }
            }
        }
    }
}
