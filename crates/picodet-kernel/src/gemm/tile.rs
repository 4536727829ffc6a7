//! The loop of every matrix product: a tile of up to 12 rows by one panel of columns, whose sums stay in
//! registers over the whole depth.

use picodet_simd::{Dot, Outlined, Simd, prefetch};

use super::epilogue::Epilogue;
use super::pack::panels;
use crate::tuning;

/// 32-bit units in a cache line.
const LINE: usize = 16;

/// Rows of the left-hand matrix, in units.
#[derive(Clone, Copy)]
pub(super) struct Lhs<'a, U> {
    /// First unit of the first row.
    pub(super) start: *const U,
    /// Units from one row to the next.
    pub(super) stride: usize,
    /// The units of a row that take part: first and number, in the order of the packed rows.
    pub(super) ranges: &'a [(usize, usize)],
    /// Whether the rows come from memory and the next tile's are prefetched.
    pub(super) prefetched: bool,
}

/// How a tile steps through its operands.
pub(super) trait Layout: Copy {
    /// Whether the right-hand matrix is packed in panels, with zeros after its last column.
    const PACKED: bool;
    /// Units from one step of the depth to the next in a left row.
    fn lhs_along(self) -> usize;
    /// Units from one left row to the next.
    fn lhs_across(self, stride: usize) -> usize;
    /// Units from one right row to the next; only of matrices that are not packed.
    fn rhs_row(self) -> usize;
    /// Columns in the last vector of a tile; only of matrices that are not packed.
    fn last(self) -> usize;
}

/// Packed panels and left rows of neighbouring units.
#[derive(Clone, Copy)]
pub(super) struct Packed;

impl Layout for Packed {
    const PACKED: bool = true;
    #[inline(always)]
    fn lhs_along(self) -> usize {
        1
    }
    #[inline(always)]
    fn lhs_across(self, stride: usize) -> usize {
        stride
    }
    #[inline(always)]
    fn rhs_row(self) -> usize {
        0
    }
    #[inline(always)]
    fn last(self) -> usize {
        0
    }
}

/// Calls `tile::<.., height, ..>` for a height known at run time; those that registers have no room for are not compiled.
macro_rules! of_height {
    ($height:expr, $tile:ident::<$D:ident, $E:ident, _, $NV:ident>($tiles:expr)) => {
        match $height {
            12 if const { tuning::has_height::<<$D as Dot>::Simd>($NV, 12) } => {
                $tile::<$D, $E, _, 12, $NV>($tiles)
            }
            11 if const { tuning::has_height::<<$D as Dot>::Simd>($NV, 11) } => {
                $tile::<$D, $E, _, 11, $NV>($tiles)
            }
            10 if const { tuning::has_height::<<$D as Dot>::Simd>($NV, 10) } => {
                $tile::<$D, $E, _, 10, $NV>($tiles)
            }
            9 if const { tuning::has_height::<<$D as Dot>::Simd>($NV, 9) } => {
                $tile::<$D, $E, _, 9, $NV>($tiles)
            }
            8 if const { tuning::has_height::<<$D as Dot>::Simd>($NV, 8) } => {
                $tile::<$D, $E, _, 8, $NV>($tiles)
            }
            7 if const { tuning::has_height::<<$D as Dot>::Simd>($NV, 7) } => {
                $tile::<$D, $E, _, 7, $NV>($tiles)
            }
            6 if const { tuning::has_height::<<$D as Dot>::Simd>($NV, 6) } => {
                $tile::<$D, $E, _, 6, $NV>($tiles)
            }
            5 if const { tuning::has_height::<<$D as Dot>::Simd>($NV, 5) } => {
                $tile::<$D, $E, _, 5, $NV>($tiles)
            }
            4 if const { tuning::has_height::<<$D as Dot>::Simd>($NV, 4) } => {
                $tile::<$D, $E, _, 4, $NV>($tiles)
            }
            3 if const { tuning::has_height::<<$D as Dot>::Simd>($NV, 3) } => {
                $tile::<$D, $E, _, 3, $NV>($tiles)
            }
            2 if const { tuning::has_height::<<$D as Dot>::Simd>($NV, 2) } => {
                $tile::<$D, $E, _, 2, $NV>($tiles)
            }
            _ => $tile::<$D, $E, _, 1, $NV>($tiles),
        }
    };
}

/// Multiplies `rows` rows of `lhs` by all panels; the result's first row is `row`.
///
/// # Safety
/// `lhs` is valid for `rows` rows of its ranges, `rhs` is packed for `columns` and the sum of the ranges, and
/// `epilogue` is valid for rows `row..row + rows`.
#[inline(always)]
pub(super) unsafe fn block<D: Dot, E: Epilogue<D>>(
    dot: D,
    lhs: Lhs<'_, D::Unit>,
    rhs: &[D::Unit],
    columns: usize,
    (row, rows): (usize, usize),
    epilogue: &E,
) {
    let depth = usize::from(D::HAS_OFFSETS) + lhs.ranges.iter().map(|range| range.1).sum::<usize>();
    for (first, vectors) in panels(columns, D::LEN) {
        // SAFETY: panels of `columns` start at `first * depth` and the caller vouches for the rows.
        unsafe {
            let rhs = rhs.as_ptr().add(first * depth);
            match vectors {
                1 => panel::<D, E, 1>(dot, lhs, rhs, first, (row, rows), epilogue),
                2 => panel::<D, E, 2>(dot, lhs, rhs, first, (row, rows), epilogue),
                _ => panel::<D, E, 3>(dot, lhs, rhs, first, (row, rows), epilogue),
            }
        }
    }
}

/// Multiplies rows by one panel, in tiles of nearly equal height or of [`tuning::height`].
///
/// # Safety
/// As [`block`]; `rhs` is the panel of `NV` vectors whose first column is `first`.
#[inline(always)]
pub(super) unsafe fn panel<D: Dot, E: Epilogue<D>, const NV: usize>(
    dot: D,
    lhs: Lhs<'_, D::Unit>,
    rhs: *const D::Unit,
    first: usize,
    (row, rows): (usize, usize),
    epilogue: &E,
) {
    let mut done = 0;
    while done < rows {
        let height = tuning::height::<D::Simd>(rows - done, NV);
        let tiles = if tuning::tiles_at_once::<D::Simd>() { (rows - done) / height } else { 1 };
        // SAFETY: rows `done..done + tiles * height` are below `rows`, and `height` is at most `most`.
        unsafe {
            let lhs = Lhs { start: lhs.start.add(done * lhs.stride), ..lhs };
            let operands =
                Operands { dot, layout: Packed, lhs, rhs, at: (row + done, first), tiles, epilogue };
            of_height!(height, tile::<D, E, _, NV>(&operands));
        }
        done += tiles * height;
    }
}

/// The operands of a tile.
pub(super) struct Operands<'a, D: Dot, E, L> {
    pub(super) dot: D,
    pub(super) layout: L,
    pub(super) lhs: Lhs<'a, D::Unit>,
    pub(super) rhs: *const D::Unit,
    /// First row and column in the result.
    pub(super) at: (usize, usize),
    /// Number of tiles, one below the other; more than one only with [`tuning::tiles_at_once`].
    pub(super) tiles: usize,
    pub(super) epilogue: &'a E,
}

/// Multiplies `MR` rows by `NV` vectors of columns.
///
/// # Safety
/// `lhs` is valid for `MR` rows, `rhs` for one row of `NV` vectors per unit of `lhs.ranges` (the last
/// vector for `layout.last()` columns unless packed) after one of offsets if there are any, and `epilogue` for the tile.
#[inline(always)]
pub(super) unsafe fn tile<D: Dot, E: Epilogue<D>, L: Layout, const MR: usize, const NV: usize>(
    operands: &Operands<'_, D, E, L>,
) {
    operands.dot.simd().outlined(Tile::<_, _, _, MR, NV>(operands));
}

/// A tile of `MR` rows and `NV` vectors; the caller of [`tile`] vouches for the operands.
struct Tile<'a, D: Dot, E, L, const MR: usize, const NV: usize>(&'a Operands<'a, D, E, L>);

impl<D: Dot, E: Epilogue<D>, L: Layout, const MR: usize, const NV: usize> Outlined
    for Tile<'_, D, E, L, MR, NV>
{
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let &Operands { tiles, lhs, at: (row, first), .. } = self.0;
        if const { !tuning::tiles_at_once::<D::Simd>() } {
            // SAFETY: the caller vouches for the tile.
            unsafe { self.one(lhs, (row, first)) }
            return;
        }
        for tile in 0..tiles {
            // SAFETY: the caller vouches for the rows of all tiles.
            unsafe {
                let lhs = Lhs { start: lhs.start.add(tile * MR * lhs.stride), ..lhs };
                self.one(lhs, (row + tile * MR, first));
            }
        }
    }
}

impl<D: Dot, E: Epilogue<D>, L: Layout, const MR: usize, const NV: usize> Tile<'_, D, E, L, MR, NV> {
    /// Computes one tile.
    ///
    /// # Safety
    /// As [`tile`].
    #[inline(always)]
    unsafe fn one(&self, lhs: Lhs<'_, D::Unit>, (row, first): (usize, usize)) {
        let &Operands { dot, layout, rhs, epilogue, .. } = self.0;
        let len = D::LEN;
        let (along, across) = (layout.lhs_along(), layout.lhs_across(lhs.stride));
        // SAFETY: `rhs` is valid for the rows and `lhs` for the units that the loops step through; prefetched
        // addresses need not be valid.
        unsafe {
            let mut b = rhs;
            let mut sums = [[dot.zero(); NV]; MR];
            for j in 0..NV {
                let start = dot.offset(epilogue.start(dot, first + j * len), b.add(j * len));
                for line in &mut sums {
                    line[j] = start;
                }
            }
            if D::HAS_OFFSETS {
                b = b.add(NV * len);
            }
            if L::PACKED {
                epilogue.prefetch(row + MR, MR, (first, NV * len));
            }
            for &(column, units) in lhs.ranges {
                if L::PACKED && dot.tile(&mut sums, lhs.start.add(column * along), across, b, units) {
                    b = b.add(units * NV * len);
                    continue;
                }
                // Three moving pointers and one stride address all twelve rows without spilling.
                let mut a0 = lhs.start.add(column * along);
                let mut a4 = if MR > 4 { a0.add(4 * across) } else { a0 };
                let mut a8 = if MR > 8 { a0.add(8 * across) } else { a0 };
                let mut left = units;
                while left > 0 {
                    let part = if L::PACKED { left.min(LINE) } else { left };
                    left -= part;
                    if L::PACKED && lhs.prefetched {
                        // The next tile's rows, a cache line of each at a time.
                        let mut ahead = a0.wrapping_add(MR * across);
                        for _ in 0..MR {
                            prefetch(ahead);
                            ahead = ahead.wrapping_add(across);
                        }
                    }
                    for _ in 0..part {
                        let mut right = [dot.zero_units(); NV];
                        for (j, right) in right.iter_mut().enumerate() {
                            *right = if L::PACKED || j + 1 < NV {
                                dot.load_units(b.add(j * len))
                            } else {
                                dot.load_units_part(b.add(j * len), layout.last())
                            };
                        }
                        for i in 0..MR {
                            let pointer = match i / 4 {
                                0 => a0,
                                1 => a4,
                                _ => a8,
                            };
                            let left = dot.splat(dot.load_unit(pointer.add(i % 4 * across)));
                            for j in 0..NV {
                                sums[i][j] = dot.dot(sums[i][j], left, right[j]);
                            }
                        }
                        if L::PACKED {
                            b = b.add(NV * len);
                            a0 = a0.add(1);
                            a4 = a4.add(1);
                            a8 = a8.add(1);
                        } else {
                            // The last step may leave a matrix by more than one element.
                            b = b.wrapping_add(layout.rhs_row());
                            a0 = a0.wrapping_add(along);
                            a4 = a4.wrapping_add(along);
                            a8 = a8.wrapping_add(along);
                        }
                    }
                }
            }
            epilogue.store::<MR, NV>(dot, (row, first), &sums);
        }
    }
}
