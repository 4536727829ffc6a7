//! What forward and backward share: where maps are, who computes, and how work is cut.
//!
//! Cuts depend on the sizes of maps alone, so that results do not depend on the number of threads.

use std::cell::RefCell;

use crate::kernel::cellwise::{Each, Kind as CellKind, SumCells, each, sum_cells};
use crate::kernel::lanes::Isa;
use crate::kernel::{Map, Shared};
use crate::layout::Layout;
use crate::program::{Place, Program};
use crate::share::Share;
use crate::team::Team;

/// Numbers that a task should touch at least.
pub(crate) const TASK: usize = 16 * 1024;

thread_local! {
    /// Room for the windows of one task; kept from task to task.
    static COLUMNS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Lends room for `len` numbers of any value.
pub(crate) fn with_columns<R>(len: usize, use_it: impl FnOnce(&mut [f32]) -> R) -> R {
    COLUMNS.with_borrow_mut(|columns| {
        if columns.len() < len {
            columns.resize(len, 0.0);
        }
        use_it(&mut columns[..len])
    })
}

/// One pass over the steps of a program.
pub(crate) struct Context<'a> {
    pub(crate) program: &'a Program,
    pub(crate) layout: &'a Layout,
    pub(crate) arena: Shared,
    pub(crate) team: &'a Team,
    pub(crate) isa: Isa,
    /// As many zeros as the widest buffer has channels.
    pub(crate) zeros: &'a [f32],
    /// Seed of this pass's dropout.
    pub(crate) seed: u64,
    /// Which part of a batch this is, where others work on the rest.
    pub(crate) share: Option<&'a Share>,
}

impl Context<'_> {
    fn map(&self, place: Place, at: usize) -> Map {
        Map {
            data: self.arena.at(at + place.first),
            stride: self.program.buffers[place.buffer].shape.channels,
            channels: place.channels,
            size: self.layout.sizes[place.buffer],
        }
    }

    /// The values of a place.
    pub(crate) fn value(&self, place: Place) -> Map {
        self.map(place, self.layout.values[place.buffer])
    }

    /// The gradients of a place that a needed step reads or writes: the layout has room for them.
    pub(crate) fn gradient(&self, place: Place) -> Map {
        self.map(place, self.layout.gradients[place.buffer].unwrap_or(0))
    }

    /// What a step saved beside maps.
    pub(crate) fn saved(&self, step: usize) -> Shared {
        Shared(self.arena.at(self.layout.saved[step]))
    }

    /// The place in the whole batch of a map's first cell.
    pub(crate) fn first_cell(&self, map: &Map) -> usize {
        self.share.map_or(0, |share| share.first_image * map.plane())
    }

    /// Rows that one task takes of a map of `width` cells of `channels` numbers.
    pub(crate) fn band(width: usize, channels: usize) -> usize {
        (TASK / (width * channels).max(1)).max(1)
    }

    /// Runs `task(image, from row, to row)` over all rows of a map, in bands.
    pub(crate) fn bands(
        &self,
        size: [usize; 3],
        channels: usize,
        task: impl Fn(usize, (usize, usize)) + Sync + Send,
    ) {
        let [images, height, width] = size;
        let band = Self::band(width, channels).min(height);
        let bands = height.div_ceil(band);
        self.team.each(images * bands, |index| {
            let from = index % bands * band;
            task(index / bands, (from, (from + band).min(height)));
        });
    }

    /// Runs `task(from cell, cells)` over `cells`, in blocks.
    pub(crate) fn blocks(&self, cells: usize, channels: usize, task: impl Fn(usize, usize) + Sync + Send) {
        let block = Self::block(channels);
        self.team.each(cells.div_ceil(block), |index| {
            let from = index * block;
            task(from, block.min(cells - from));
        });
    }

    /// Cells that one task takes.
    pub(crate) fn block(channels: usize) -> usize {
        (TASK / channels.max(1)).clamp(32, 512)
    }

    /// An operation cell by cell; `factors` are those of each image where there is one.
    pub(crate) fn each(
        &self,
        kind: CellKind,
        [a, b]: [Option<Map>; 2],
        factors: Option<Map>,
        out: Map,
        accumulate: bool,
    ) {
        let plane = out.plane();
        self.team.each(out.size[0], |image| {
            let block = Self::block(out.channels);
            for from in (0..plane).step_by(block) {
                let cell = image * plane + from;
                let of = |map: Option<Map>| match map {
                    Some(map) => (map.at(cell).cast_const(), map.stride),
                    None => (std::ptr::null(), 0),
                };
                let ((a, a_stride), (b, b_stride)) = (of(a), of(b));
                let args = Each {
                    kind,
                    a,
                    a_stride,
                    b,
                    b_stride,
                    factors: factors.map_or(std::ptr::null(), |factors| factors.at(image).cast_const()),
                    out: out.at(cell),
                    out_stride: out.stride,
                    channels: out.channels,
                    cells: block.min(plane - from),
                    accumulate,
                };
                // SAFETY: the layout gives every live map its own memory; an image belongs to one task.
                #[allow(unsafe_code)]
                unsafe {
                    each(self.isa, &args);
                }
            }
        });
    }

    /// For each image, `scale · Σ a` or `scale · Σ a · b` of each channel, into `out`, `[n, c, 1, 1]`.
    pub(crate) fn sum_images(&self, a: Map, b: Option<Map>, scale: f32, out: Map) {
        let plane = a.plane();
        self.team.each(a.size[0], |image| {
            let args = SumCells {
                a: a.at(image * plane),
                a_stride: a.stride,
                b: b.map_or(std::ptr::null(), |b| b.at(image * plane).cast_const()),
                b_stride: b.map_or(0, |b| b.stride),
                channels: a.channels,
                cells: plane,
                scale,
                out: out.at(image),
            };
            // SAFETY: as in `each`.
            #[allow(unsafe_code)]
            unsafe {
                sum_cells(self.isa, &args);
            }
        });
    }
}

/// A hash of the seed, a step and the place of a number, as a share of one.
pub(crate) fn chance(seed: u64, step: usize, index: usize) -> f32 {
    let mut bits = seed ^ (step as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (index as u64).rotate_left(32);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    (bits >> 40) as f32 / (1u32 << 24) as f32
}
