//! Constants of each instruction set that kernels are tuned with.

use picodet_simd::{IsaKind, Simd};

/// The largest number of rows whose sums the registers hold, of a matrix tile one, two or three vectors wide.
pub(crate) const fn tile_rows<S: Simd>() -> [usize; 3] {
    match S::KIND {
        IsaKind::Avx512 | IsaKind::Neon => [12, 12, 8],
        IsaKind::Avx2 => [8, 6, 4],
        // Short code, see `compact`.
        IsaKind::Portable if cfg!(target_arch = "x86_64") => [4, 2, 1],
        _ => [8, 4, 3],
    }
}

/// Whether there is code for tiles of this height, one, two or three vectors wide. WebAssembly, which is downloaded, has
/// few heights; they divide the blocks that a map is cut into.
pub(crate) const fn has_height<S: Simd>(vectors: usize, height: usize) -> bool {
    let most = tile_rows::<S>()[vectors - 1];
    match S::KIND {
        IsaKind::Neon => height <= 4 || height == 8 || height == most,
        IsaKind::Simd128 => height == 1 || height == most,
        _ => height <= most,
    }
}

/// The height of the next tile, one, two or three vectors wide, where `rows` remain: heights are nearly equal, but on NEON
/// and in WebAssembly the largest that there is code for.
#[inline(always)]
pub(crate) fn height<S: Simd>(rows: usize, vectors: usize) -> usize {
    let most = tile_rows::<S>()[vectors - 1];
    match S::KIND {
        IsaKind::Neon | IsaKind::Simd128 => {
            (1..=rows.min(most)).rfind(|&height| has_height::<S>(vectors, height)).unwrap_or(1)
        }
        _ => rows.div_ceil(rows.div_ceil(most)),
    }
}

/// Whether code should be short rather than fast: plain Rust on x86-64 runs only on processors without AVX2.
pub(crate) const fn compact<S: Simd>() -> bool {
    matches!(S::KIND, IsaKind::Portable) && cfg!(target_arch = "x86_64")
}

/// Whether one call computes all tiles of a panel, one below the other: calls are dear in WebAssembly.
pub(crate) const fn tiles_at_once<S: Simd>() -> bool {
    matches!(S::KIND, IsaKind::Simd128)
}

/// Whether left rows of a matrix product that are in several places are copied first: WebAssembly cannot prefetch them.
pub(crate) const fn copies_rows<S: Simd>() -> bool {
    matches!(S::KIND, IsaKind::Simd128)
}

/// Whether a maximum that keeps NaN takes much longer than one of numbers: on x86-64 engines of WebAssembly need eight instructions
/// for it.
pub(crate) const fn prefers_numbers<S: Simd>() -> bool {
    matches!(S::KIND, IsaKind::Simd128)
}

/// Whether loops of known length should remain loops.
pub(crate) const fn rolls<S: Simd>() -> bool {
    matches!(S::KIND, IsaKind::Simd128)
}

/// Whether the columns of a convolution's window should remain a loop: engines of WebAssembly load the operands of all columns
/// first, which the registers do not hold. Without fused products it is slower, since these need registers too.
pub(crate) const fn rolls_columns<S: Simd>() -> bool {
    matches!(S::KIND, IsaKind::Simd128) && cfg!(target_feature = "relaxed-simd")
}

/// Whether depthwise convolutions go through strips of columns, which takes 32 registers and pays off for
/// long vectors.
pub(crate) const fn strips<S: Simd>() -> bool {
    matches!(S::KIND, IsaKind::Avx512)
}

/// Whether [`depthwise_widths`] has this one.
pub(crate) const fn has_width<S: Simd>(width: usize) -> bool {
    contains(depthwise_widths::<S>(), width)
}

/// Whether `width` is one of `widths`.
pub(crate) const fn contains(widths: &[usize], width: usize) -> bool {
    let mut index = 0;
    while index < widths.len() {
        if widths[index] == width {
            return true;
        }
        index += 1;
    }
    false
}

/// Widths of a tile of a depthwise convolution, in pixels.
pub(crate) const fn depthwise_widths<S: Simd>() -> &'static [usize] {
    match S::KIND {
        IsaKind::Avx512 => &[8, 5],
        IsaKind::Portable => &[5],
        // The module for browsers is downloaded: one width, which wastes least on maps of 10 to 104 columns.
        IsaKind::Simd128 => &[7],
        _ => &[8, 7, 5],
    }
}
