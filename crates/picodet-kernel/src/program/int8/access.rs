//! The memory accesses of steps on maps of bytes.

use picodet_graph::DType;

use super::{Depthwise, Elementwise, ElementwiseKind, Int8, Product, Window, windows_len};
use crate::map::ChannelRange;
use crate::program::access::{Accesses, Pixels, row_of};
use crate::program::operation::{BufferId, Step, WORD};

/// Height and width, each plus one: an imported image.
fn bordered(size: (usize, usize)) -> usize {
    size.0.saturating_add(1).saturating_mul(size.1.saturating_add(1))
}

/// The columns of ranges in the source, counted from `first`.
fn destinations(ranges: &[ChannelRange]) -> usize {
    ranges.iter().map(|range| range.destination.saturating_add(range.len)).max().unwrap_or(0)
}

impl Accesses<'_> {
    /// As [`Accesses::columns`], of a buffer that must be of bytes.
    fn bytes(&mut self, id: BufferId, first: usize, len: usize, count: usize, pixels: Pixels, writes: bool) {
        let dtype = self.buffer(id).dtype;
        self.require(dtype == DType::U8, "a buffer that should be of bytes");
        self.columns(id, first..first.saturating_add(len), count, pixels, writes);
    }

    /// Some columns of a result, bytes or f32.
    fn result(&mut self, id: BufferId, first: usize, len: usize, count: usize, pixels: Pixels) {
        let dtype = self.buffer(id).dtype;
        self.require(matches!(dtype, DType::U8 | DType::F32), "a buffer that should be of bytes or f32");
        self.columns(id, first..first.saturating_add(len), count, pixels, true);
    }

    /// The accesses of a step; `between` as for [`Accesses::step`].
    pub(in crate::program) fn int8(&mut self, step: &Step, int8: &Int8, between: bool) {
        let source = step.size.0.saturating_mul(step.size.1);
        let result = step.out_size.0.saturating_mul(step.out_size.1);
        match int8 {
            Int8::Import { to, .. } => {
                let size = self.input_size();
                self.require(step.size == size && step.out_size == size, "another image size");
                self.bytes(*to, 0, 4, bordered(step.size), Pixels::Own, true);
            }
            Int8::Product(product) => self.product(step, product, between),
            Int8::Depthwise(depthwise) => self.depthwise_int8(step, depthwise, between),
            Int8::Elementwise(elementwise) => self.elementwise_int8(step, elementwise),
            Int8::Resample { pool, from, to, ranges } => {
                let (size, out) = (step.size, step.out_size);
                let fits = if *pool {
                    out == (size.0.div_ceil(2), size.1.div_ceil(2))
                } else {
                    out.0.div_ceil(2) <= size.0 && out.1.div_ceil(2) <= size.1
                };
                self.require(fits && source > 0, "a pool or a resize of another size");
                for range in ranges {
                    self.bytes(*from, range.source, range.len, source, Pixels::All, false);
                    self.bytes(*to, range.destination, range.len, result, Pixels::Own, true);
                }
            }
            Int8::Sum { from, ranges, to } => {
                self.require(step.out_size == step.size, "sums over rows of another size");
                for range in ranges {
                    self.bytes(*from, range.source, range.len, source, Pixels::Own, false);
                }
                let words = self.workers().saturating_mul(row_of(destinations(ranges)));
                self.words(*to, words, Pixels::Part, true);
            }
            Int8::Mean { sums, levels, to, column } => {
                self.require(step.out_size.0 <= 1, "a mean in several rows");
                let words = self.workers().saturating_mul(row_of(levels.len()));
                self.words(*sums, words, Pixels::All, false);
                self.floats(*to, *column..column.saturating_add(levels.len()), 1, Pixels::All, true);
            }
            Int8::Gate { from, first, weights, bias, columns, to, column, .. } => {
                self.require(step.out_size.0 <= 1, "a gate in several rows");
                let inputs = weights.len() / bias.len().max(1);
                self.floats(*from, *first..first.saturating_add(inputs), 1, Pixels::All, false);
                self.floats(*to, *column..column.saturating_add(*columns), 1, Pixels::All, true);
            }
        }
    }

    fn product(&mut self, step: &Step, product: &Product, between: bool) {
        let (size, out) = (step.size, step.out_size);
        let (source, result) = (size.0.saturating_mul(size.1), out.0.saturating_mul(out.1));
        match &product.window {
            Window::Pixel => {
                self.require(size == out, "a pointwise convolution that changes the size");
                let (pixels, count) = if between { (Pixels::Part, 0) } else { (Pixels::Own, source) };
                for &(first, len) in &product.ranges {
                    let (first, len) = (first.saturating_mul(WORD), len.saturating_mul(WORD));
                    self.bytes(product.from, first, len, count, pixels, false);
                }
            }
            Window::Image { pool, scratch } => {
                let half = |size: (usize, usize)| (size.0.div_ceil(2), size.1.div_ceil(2));
                let full = half(size);
                let pooled = if *pool { half(full) } else { full };
                let even = size.0.is_multiple_of(2) && size.1.is_multiple_of(2) && size.1 > 0;
                let row = size.1.saturating_add(1);
                let windows = product.ranges == [(0, 3), (row, 3), (2 * row, 3)];
                let plain = product.residual.is_none() && even && windows;
                self.require(plain && out == pooled && !between, "a stem that is none");
                self.bytes(product.from, 0, 4, bordered(size), Pixels::All, false);
                if *pool {
                    let row = full.1.saturating_mul(row_of(product.columns));
                    let need = row.saturating_mul(3).div_ceil(WORD).saturating_mul(self.workers());
                    self.words(*scratch, need, Pixels::Part, true);
                    let is_bytes = self.buffer(product.to).dtype == DType::U8;
                    self.require(is_bytes, "a pool of a buffer that should be of bytes");
                }
            }
            Window::Map { kernel, stride, channels, zeros, scratch } => {
                let (kernel, stride) = (*kernel, (*stride).max(1));
                let full = (size.0.div_ceil(stride), size.1.div_ceil(stride));
                self.require(out == full && kernel > 0 && !between, "a dense convolution of another size");
                for range in channels {
                    self.bytes(product.from, range.source, range.len, source, Pixels::All, false);
                }
                let inside = destinations(channels) <= zeros.len() && zeros.len().is_multiple_of(WORD);
                let row = size.1.saturating_add(kernel).saturating_sub(1);
                let padded = row.saturating_mul(kernel).saturating_mul(zeros.len() / WORD);
                let last = full.1.saturating_sub(1).saturating_mul(stride).saturating_mul(zeros.len() / WORD);
                let windows = product.ranges.iter();
                let inside = inside
                    && windows.fold(0, |end, range| end.max(range.0.saturating_add(range.1)))
                        <= padded.saturating_sub(last);
                self.require(inside, "a window outside of the padded rows");
                let words = windows_len(padded).saturating_mul(self.workers());
                self.words(*scratch, words, Pixels::Part, true);
            }
        }
        if let Some(residual) = &product.residual {
            self.bytes(residual.buffer, residual.column, product.columns, result, Pixels::Own, false);
        }
        self.result(product.to, product.column, product.columns, result, Pixels::Own);
    }

    fn depthwise_int8(&mut self, step: &Step, depthwise: &Depthwise, between: bool) {
        let stride = depthwise.stride.max(1);
        let out = (step.size.0.div_ceil(stride), step.size.1.div_ceil(stride));
        self.require(step.out_size == out, "a depthwise convolution of another size");
        let source = step.size.0.saturating_mul(step.size.1);
        for range in &depthwise.ranges {
            self.bytes(depthwise.from, range.source, range.len, source, Pixels::All, false);
        }
        let result = out.0.saturating_mul(out.1);
        let (pixels, count) = if between { (Pixels::Part, 0) } else { (Pixels::Own, result) };
        self.bytes(depthwise.to, depthwise.column, depthwise.zeros.len(), count, pixels, true);
    }

    fn elementwise_int8(&mut self, step: &Step, elementwise: &Elementwise) {
        let cells = step.size.0.saturating_mul(step.size.1);
        self.require(step.size == step.out_size, "an elementwise step of another size");
        for range in &elementwise.ranges {
            let (from, columns) =
                (elementwise.from.buffer, range.source..range.source.saturating_add(range.len));
            match elementwise.kind {
                ElementwiseKind::Quantise => self.floats(from, columns, cells, Pixels::Own, false),
                _ => self.bytes(from, range.source, range.len, cells, Pixels::Own, false),
            }
        }
        let others = elementwise.ranges.iter().map(|range| range.other.saturating_add(range.len)).max();
        match &elementwise.kind {
            ElementwiseKind::Dequantise | ElementwiseKind::Quantise => {}
            ElementwiseKind::Scale { factors } => {
                self.words(*factors, others.unwrap_or(0), Pixels::All, false);
            }
            ElementwiseKind::Add { other, .. } => {
                for range in &elementwise.ranges {
                    self.bytes(other.buffer, range.other, range.len, cells, Pixels::Own, false);
                }
            }
        }
        let is_float = matches!(elementwise.kind, ElementwiseKind::Dequantise);
        let expected = if is_float { DType::F32 } else { DType::U8 };
        let dtype = self.buffer(elementwise.to).dtype;
        self.require(dtype == expected, "a result of another type");
        let columns = destinations(&elementwise.ranges);
        self.result(elementwise.to, elementwise.column, columns, cells, Pixels::Own);
    }
}
