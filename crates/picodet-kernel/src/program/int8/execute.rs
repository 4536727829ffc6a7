//! Executes the rows of one band of a step on maps of bytes.

use std::ops::Range;

use picodet_graph::DType;

use super::{ByteMap, Depthwise, Elementwise, ElementwiseKind, Int8, Product, Window, windows_len};
use crate::depthwise::int8::{DepthwiseInt8, depthwise_int8};
use crate::gemm::{GemmInt8, Requantise, gemm_column_int8, gemm_int8};
use crate::map::ChannelRange;
use crate::program::access::row_of;
use crate::program::band::Band;
use crate::program::execute::band;
use crate::program::operation::{BufferId, Step, WORD};
use crate::quantised::{
    ByteKind, Bytes, Gate, ImportBytes, Operand, PoolRow, SumBytes, bytes, gate, import_bytes, pool_row,
    sum_bytes, upsample_row,
};

/// Each method executes `rows` of a step. The extents of all pointers have been checked by `verify`.
impl Band<'_> {
    pub(in crate::program) fn int8(
        self,
        step: &Step,
        int8: &Int8,
        rows: Range<usize>,
        between: Option<usize>,
    ) {
        match int8 {
            Int8::Import { to, levels } => self.import_bytes(step, rows, *to, *levels),
            Int8::Product(product) => match &product.window {
                Window::Pixel => self.pixels(step, product, rows, between),
                Window::Image { pool, scratch } => {
                    let scratch = pool.then_some(*scratch);
                    self.stem_int8(step, product, rows, scratch);
                }
                Window::Map { .. } => self.windows(step, product, rows),
            },
            Int8::Depthwise(depthwise) => self.depthwise_int8(step, depthwise, rows, between),
            Int8::Elementwise(elementwise) => self.elementwise_int8(step, elementwise, rows),
            Int8::Resample { pool, from, to, ranges } => {
                self.resample(step, rows, *pool, (*from, *to), ranges);
            }
            Int8::Sum { from, ranges, to } => {
                let channels = ranges.iter().map(|range| range.destination + range.len).max().unwrap_or(0);
                let args = SumBytes {
                    source: self.pixel(*from, rows.start * step.size.1).cast(),
                    stride: self.stride(*from),
                    pixels: rows.len() * step.size.1,
                    ranges,
                    out: self.at(*to).wrapping_add(self.worker * row_of(channels)).cast(),
                };
                // SAFETY: the source has these pixels and ranges, and the sums a row for each worker.
                unsafe { sum_bytes(self.schedule.isa, &args) }
            }
            Int8::Mean { sums, levels, to, column } => self.mean_int8(step, *sums, levels, *to, *column),
            Int8::Gate { from, first, weights, bias, columns, act, to, column } => {
                let args = Gate {
                    source: self.at(*from).wrapping_add(*first),
                    weights,
                    bias,
                    columns: *columns,
                    act: *act,
                    out: self.at(*to).wrapping_add(*column),
                };
                // SAFETY: the source has one column per row of `weights`, and the result has these columns.
                unsafe { gate(self.schedule.isa, &args) }
            }
        }
    }

    /// The address of a column of a map of bytes.
    fn byte(&self, buffer: BufferId, pixel: usize, column: usize) -> *mut u8 {
        self.column(buffer, self.pixel(buffer, pixel), column).cast()
    }

    fn operand<'m>(&self, map: &'m ByteMap, pixel: usize) -> Operand<'m> {
        Operand {
            map: self.byte(map.buffer, pixel, map.column),
            stride: self.stride(map.buffer),
            scale: &map.scale,
            zero: &map.zero,
        }
    }

    fn import_bytes(self, step: &Step, rows: Range<usize>, to: BufferId, levels: [(f32, f32); 3]) {
        let (height, width) = step.size;
        let at = self.at(to).cast::<u32>();
        let row = width + 1;
        for y in rows {
            // SAFETY: the image has row `y` in each of three planes; the buffer has a row and a column more than the
            // image, of a word per pixel.
            unsafe {
                if y == 0 {
                    std::slice::from_raw_parts_mut(at, row).fill(0);
                }
                let out = at.add((y + 1) * row);
                out.write(0);
                let image = self.memory.image.add(y * width);
                let args =
                    ImportBytes { image, plane: height * width, pixels: width, levels, out: out.add(1) };
                import_bytes(self.schedule.isa, &args);
            }
        }
    }

    /// The end of a product whose first left row is pixel `pixel` of the result.
    fn requantise<'p>(&self, product: &'p Product, pixel: usize) -> Requantise<'p> {
        Requantise {
            columns: product.columns,
            constants: &product.constants,
            residual: product.residual.as_ref().map(|map| self.operand(map, pixel)),
            act: product.act,
            out: self.byte(product.to, pixel, product.column),
            out_stride: self.stride(product.to),
            out_dtype: self.dtype(product.to),
        }
    }

    fn pixels(self, step: &Step, product: &Product, rows: Range<usize>, between: Option<usize>) {
        let first = rows.start * step.size.1;
        let args = GemmInt8 {
            a: self.pixel(product.from, between.unwrap_or(first)).cast_const().cast(),
            a_stride: self.words(product.from),
            ranges: &product.ranges,
            rows: rows.len() * step.size.1,
            b: &product.weights,
            epilogue: self.requantise(product, first),
        };
        // SAFETY: source, residual and result have these pixels and columns.
        unsafe { gemm_int8(self.schedule.int8, &args) }
    }

    /// Computes rows of a stem, with a pool in `scratch`.
    fn stem_int8(self, step: &Step, product: &Product, rows: Range<usize>, scratch: Option<BufferId>) {
        let full = (step.size.0 / 2, step.size.1 / 2);
        let Some(scratch) = scratch else {
            for y in rows {
                let to = self.byte(product.to, y * full.1, product.column);
                // SAFETY: the result has row `y`.
                unsafe { self.stem_row(step, product, y, (to, self.stride(product.to))) };
            }
            return;
        };
        let stride = row_of(product.columns);
        let row_len = full.1 * stride;
        let strip =
            self.at(scratch).cast::<u8>().wrapping_add(self.worker * (3 * row_len).div_ceil(WORD) * WORD);
        let strip_row = |row: usize| strip.wrapping_add(row % 3 * row_len);
        let ranges = [ChannelRange { source: 0, other: 0, destination: 0, len: product.columns }];
        // Row `y` of the pool reads rows 2y - 1 to 2y + 1, each at its place among three; a row outside of the map is
        // replaced by its neighbour.
        for (done, y) in rows.enumerate() {
            let last = (2 * y + 1).min(full.0 - 1);
            let first = (2 * y).saturating_sub(1);
            for row in if done == 0 { first } else { 2 * y }..=last {
                // SAFETY: the strip has three rows of the convolution.
                unsafe { self.stem_row(step, product, row, (strip_row(row), stride)) };
            }
            let args = PoolRow {
                rows: [first, 2 * y, last].map(|row| strip_row(row).cast_const()),
                width: full.1,
                stride,
                out: self.byte(product.to, y * step.out_size.1, product.column),
                out_stride: self.stride(product.to),
                ranges: &ranges,
            };
            // SAFETY: the three rows are in the strip, and the result has row `y`.
            unsafe { pool_row(self.schedule.isa, &args) };
        }
    }

    /// Computes row `y` of a stem at `out`.
    ///
    /// # Safety
    /// The row exists, and `out` is valid for writes of it.
    unsafe fn stem_row(self, step: &Step, product: &Product, y: usize, (out, out_stride): (*mut u8, usize)) {
        let (width, len) = (step.size.1, product.constants.len() / 4);
        let a = self.at(product.from).cast_const().cast::<u32>().wrapping_add(2 * y * (width + 1));
        let top = if y == 0 { 2 * len } else { 0 };
        // The first pixel has other constants than the rest.
        for (first, rows, set) in [(0, 1, top + len), (1, width / 2 - 1, top)] {
            let constants = &product.constants[set..set + len];
            let out = out.wrapping_add(first * out_stride * self.dtype(product.to).size());
            let epilogue = Requantise { constants, out, out_stride, ..self.requantise(product, 0) };
            let args = GemmInt8 {
                a: a.wrapping_add(2 * first),
                a_stride: 2,
                ranges: &product.ranges,
                rows,
                b: &product.weights,
                epilogue,
            };
            // SAFETY: the windows are inside the imported image.
            unsafe { gemm_int8(self.schedule.int8, &args) }
        }
    }

    /// Computes rows of a dense convolution from copies of the source rows of each.
    fn windows(self, step: &Step, product: &Product, rows: Range<usize>) {
        let Window::Map { kernel, stride, channels, zeros, scratch } = &product.window else { return };
        let (height, width) = step.size;
        let (pad, row_len) = (kernel / 2, (width + kernel - 1) * zeros.len());
        let scratch = self.at(*scratch).wrapping_add(self.worker * windows_len(kernel * row_len / WORD));
        for y in rows {
            for ky in 0..*kernel {
                let row = (y * stride + ky).checked_sub(pad).filter(|&row| row < height);
                // SAFETY: the copy has `kernel` rows of `row_len` bytes, and the map row `row`.
                unsafe {
                    let copy = scratch.cast::<u8>().add(ky * row_len);
                    let copy = std::slice::from_raw_parts_mut(copy, row_len);
                    for (x, pixel) in copy.chunks_exact_mut(zeros.len().max(1)).enumerate() {
                        pixel.copy_from_slice(zeros);
                        let column = x.checked_sub(pad).filter(|&column| column < width);
                        let Some((row, column)) = row.zip(column) else { continue };
                        let from = self.byte(product.from, row * width + column, 0);
                        for range in channels {
                            let from = std::slice::from_raw_parts(from.add(range.source), range.len);
                            pixel[range.destination..range.destination + range.len].copy_from_slice(from);
                        }
                    }
                }
            }
            let args = GemmInt8 {
                a: scratch.cast_const().cast(),
                a_stride: stride * zeros.len() / WORD,
                ranges: &product.ranges,
                rows: step.out_size.1,
                b: &product.weights,
                epilogue: self.requantise(product, y * step.out_size.1),
            };
            // SAFETY: windows, and a vector after each, are inside the copy; residual and result have row `y`.
            unsafe {
                if product.columns == 1 {
                    gemm_column_int8(self.schedule.int8, &args);
                } else {
                    gemm_int8(self.schedule.int8, &args);
                }
            }
        }
    }

    fn depthwise_int8(self, step: &Step, depthwise: &Depthwise, rows: Range<usize>, between: Option<usize>) {
        let out_width = step.out_size.1;
        let to = depthwise.to;
        let out = match between {
            // The pixel that would be the map's first one if the part in memory started at `rows.start`.
            Some(pixel) => self.pixel(to, pixel).wrapping_sub(rows.start * out_width * self.words(to)),
            None => self.at(to),
        };
        let args = DepthwiseInt8 {
            source: self.at(depthwise.from).cast(),
            source_stride: self.stride(depthwise.from),
            size: step.size,
            out: out.cast::<u8>().wrapping_add(depthwise.column),
            out_stride: self.stride(to),
            out_width,
            rows,
            kernel: depthwise.kernel,
            stride: depthwise.stride,
            ranges: &depthwise.ranges,
            weights: &depthwise.weights,
            constants: &depthwise.constants,
            zeros: &depthwise.zeros,
            act: depthwise.act,
        };
        // SAFETY: source and result have these pixels and ranges.
        unsafe { depthwise_int8(self.schedule.int8, &args) }
    }

    fn elementwise_int8(self, step: &Step, elementwise: &Elementwise, rows: Range<usize>) {
        let (to, first) = (elementwise.to, rows.start * step.size.1);
        let kind = match &elementwise.kind {
            ElementwiseKind::Dequantise => ByteKind::Dequantise,
            ElementwiseKind::Quantise => ByteKind::Quantise,
            ElementwiseKind::Scale { factors } => ByteKind::Scale { factors: self.at(*factors) },
            ElementwiseKind::Add { other, act, factor } => {
                ByteKind::Add { other: self.operand(other, first), act: *act, factor }
            }
        };
        let is_float = self.dtype(to) == DType::F32;
        debug_assert_eq!(is_float, matches!(kind, ByteKind::Dequantise), "checked by `verify`");
        let args = Bytes {
            kind,
            source: self.operand(&elementwise.from, first),
            out: self.byte(to, first, elementwise.column),
            out_stride: self.stride(to),
            pixels: rows.len() * step.size.1,
            ranges: &elementwise.ranges,
            out_zero: &elementwise.out_zero,
        };
        // SAFETY: the maps have these pixels and ranges, and the factors these columns.
        unsafe { bytes(self.schedule.int8, &args) }
    }

    fn resample(
        self,
        step: &Step,
        rows: Range<usize>,
        pool: bool,
        (from, to): (BufferId, BufferId),
        ranges: &[ChannelRange],
    ) {
        let ((height, width), out_width) = (step.size, step.out_size.1);
        let row = |y: usize| self.byte(from, y * width, 0).cast_const();
        let (stride, out_stride) = (self.stride(from), self.stride(to));
        for y in rows {
            let out = self.byte(to, y * out_width, 0);
            // SAFETY: the source has these rows, and the result row `y`.
            unsafe {
                if pool {
                    let rows = [(2 * y).saturating_sub(1), 2 * y, (2 * y + 1).min(height - 1)].map(row);
                    pool_row(self.schedule.isa, &PoolRow { rows, width, stride, out, out_stride, ranges });
                } else {
                    upsample_row((row(y / 2), stride), (out, out_stride), out_width, ranges);
                }
            }
        }
    }

    fn mean_int8(self, step: &Step, sums: BufferId, levels: &[(i64, f32)], to: BufferId, column: usize) {
        let workers = self.schedule.workers;
        let (sums, out) = (self.at(sums).cast::<u32>(), self.at(to).wrapping_add(column));
        for (c, &(zero, factor)) in levels.iter().enumerate() {
            // Workers without rows have written no sums.
            let rows = (0..workers).filter(|&worker| !band(step.size.0, worker, workers).is_empty());
            // SAFETY: the sums have a row for each worker, and the result these columns.
            unsafe {
                let sum: i64 =
                    rows.map(|worker| i64::from(*sums.add(worker * row_of(levels.len()) + c))).sum();
                *out.add(c) = (sum - zero) as f32 * factor;
            }
        }
    }
}
