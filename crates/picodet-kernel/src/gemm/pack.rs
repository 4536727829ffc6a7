//! The right-hand matrix in the order in which tiles read it.
//!
//! Columns are cut into panels of one to three vectors. A panel is `[depth][vectors · lanes]`, in units:
//! one f32, two bf16 or four bytes of neighbouring rows, one f16. Columns after the last one are zero. Where the products
//! have offsets, these are a row before the others.

use picodet_simd::{Int8Isa, to_bf16, to_f16};

/// Returns the panels of `columns`: first column and number of vectors of each.
pub fn panels(columns: usize, lanes: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut left = columns.div_ceil(lanes);
    let mut first = 0;
    std::iter::from_fn(move || {
        let vectors = match left {
            0 => return None,
            1 => 1,
            3 => 3,
            2 | 4 => 2,
            // Engines of WebAssembly load the operands of a step before its products, in fifteen registers: tiles of three rows
            // by three vectors have the most products.
            _ if cfg!(target_arch = "wasm32") => 3,
            _ => 2,
        };
        let panel = (first, vectors);
        left -= vectors;
        first += vectors * lanes;
        Some(panel)
    })
}

/// Packs units of `depth` rows each: `unit(row, column)` starts at that row.
fn pack_units<U: Default>(
    k: usize,
    depth: usize,
    columns: usize,
    lanes: usize,
    unit: impl Fn(usize, usize) -> U,
) -> Vec<U> {
    let mut packed = Vec::with_capacity(k.div_ceil(depth) * columns.next_multiple_of(lanes));
    for (first, vectors) in panels(columns, lanes) {
        for row in (0..k).step_by(depth) {
            for column in first..first + vectors * lanes {
                packed.push(if column < columns { unit(row, column) } else { U::default() });
            }
        }
    }
    packed
}

/// Packs `[k][columns]`, given by `at(k, column)`, as f32 for vectors of `lanes`.
#[must_use]
pub fn pack(k: usize, columns: usize, lanes: usize, at: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    pack_units(k, 1, columns, lanes, at)
}

/// Packs `[k][columns]`, given by `at(k, column)`, as pairs of bf16 for vectors of `lanes`.
#[must_use]
pub fn pack_bf16(k: usize, columns: usize, lanes: usize, at: impl Fn(usize, usize) -> f32) -> Vec<u32> {
    let half = |row: usize, column: usize| if row < k { u32::from(to_bf16(at(row, column))) } else { 0 };
    pack_units(k, 2, columns, lanes, |row, column| half(row, column) | half(row + 1, column) << 16)
}

/// Packs `[k][columns]`, given by `at(k, column)`, as f16 for vectors of `lanes`.
#[must_use]
pub fn pack_f16(k: usize, columns: usize, lanes: usize, at: impl Fn(usize, usize) -> f32) -> Vec<u16> {
    pack_units(k, 1, columns, lanes, |row, column| to_f16(at(row, column)))
}

/// Packs `[k][columns]`, given by `at(k, column)`, for the products of `isa`: quads of bytes, or pairs of i16. No weight
/// is -128.
#[must_use]
pub fn pack_int8(isa: Int8Isa, k: usize, columns: usize, at: impl Fn(usize, usize) -> i8) -> Vec<u32> {
    let at = |row: usize, column: usize| if row < k { at(row, column) } else { 0 };
    let quads = |row: usize, column: usize| {
        u32::from_le_bytes([0, 1, 2, 3].map(|i| at(row + i, column).cast_unsigned()))
    };
    let pairs = |row: usize, column: usize| {
        let [low, high] = [0, 1].map(|i| u32::from(i16::from(at(row + i, column)).cast_unsigned()));
        low | high << 16
    };
    let rows = k.next_multiple_of(4);
    if isa.pairs() {
        let mut packed = pack_units(rows.next_multiple_of(8), 4, columns, isa.lanes(), quads);
        pair_units(&mut packed, rows.div_ceil(8), columns, isa.lanes());
        return packed;
    }
    if let Some(subtracted) = isa.subtracted() {
        // The units begin with a row of offsets.
        let offset = |column: usize| subtracted * (0..k).map(|row| i32::from(at(row, column))).sum::<i32>();
        return pack_units(rows + 4, 4, columns, isa.lanes(), |row, column| match row.checked_sub(4) {
            Some(row) => quads(row, column),
            None => offset(column).cast_unsigned(),
        });
    }
    match isa.depth() {
        4 => pack_units(rows, 4, columns, isa.lanes(), quads),
        _ => pack_units(rows, 2, columns, isa.lanes(), pairs),
    }
}

/// Interleaves the units of two rows of a column in each vector of `lanes` columns of `steps` pairs of rows.
fn pair_units(packed: &mut [u32], steps: usize, columns: usize, lanes: usize) {
    let mut rest = packed;
    for (_, vectors) in panels(columns, lanes) {
        let row = vectors * lanes;
        let (panel, next) = rest.split_at_mut(2 * steps * row);
        for step in panel.chunks_exact_mut(2 * row) {
            let units = step.to_vec();
            for (column, pair) in step.as_chunks_mut().0.iter_mut().enumerate() {
                *pair = [units[column], units[row + column]];
            }
        }
        rest = next;
    }
}

/// Packs the only column of a matrix for [`super::gemm_column_int8`]: for each range of quads of a left row its weights,
/// given by their number, and zeros up to a whole vector.
#[must_use]
pub fn pack_column_int8(isa: Int8Isa, ranges: &[(usize, usize)], at: impl Fn(usize) -> i8) -> Vec<u32> {
    let mut packed = Vec::new();
    let mut done = 0;
    for &(_, len) in ranges {
        let quad = |i: usize| u32::from_le_bytes([0, 1, 2, 3].map(|b| at(4 * i + b).cast_unsigned()));
        packed.extend((done..done + len).map(quad));
        packed.resize(packed.len().next_multiple_of(isa.lanes()), 0);
        done += len;
    }
    packed
}
