//! Between channels-last maps and planes `[c, h, w]`.

use picodet_graph::Activation;
use picodet_simd::{Isa, Kernel, Simd, Vector, dispatch, prefetch};

use crate::activation::activate;

/// Pixels that are moved at a time: a cache line of each plane.
const BLOCK: usize = 16;

/// Arguments of [`to_planes`]: `out[c · plane + p] = act(source[p · stride + columns[c]])`.
#[derive(Clone, Copy, Debug)]
pub struct ToPlanes<'a> {
    /// First pixel.
    pub source: *const f32,
    /// Elements from one pixel to the next.
    pub stride: usize,
    /// The column of each plane.
    pub columns: &'a [usize],
    /// Number of pixels.
    pub pixels: usize,
    /// First element of the first plane.
    pub out: *mut f32,
    /// Elements from one plane to the next.
    pub plane: usize,
    /// Applied to every value.
    pub act: Option<Activation>,
}

/// Copies channels to planes.
///
/// # Safety
/// * `source` is valid for reads of the columns of `pixels` pixels, `out` for writes of `pixels` elements of
///   each plane,
/// * no other thread writes what is read or accesses what is written.
pub unsafe fn to_planes(isa: Isa, args: &ToPlanes<'_>) {
    dispatch(isa, args);
}

impl Kernel for &ToPlanes<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let in_order = self.columns.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        let lines = if in_order { self.columns.len() } else { 0 };
        for first in (0..self.pixels).step_by(BLOCK) {
            let count = (self.pixels - first).min(BLOCK);
            // More rows and planes than the processor prefetches by itself.
            for pixel in first + BLOCK..first + 2 * BLOCK {
                for column in (0..lines).step_by(BLOCK) {
                    prefetch(self.source.wrapping_add(pixel * self.stride + self.columns[0] + column));
                }
            }
            let mut c = 0;
            while c < self.columns.len() {
                // SAFETY: `count` pixels remain from `first` on, and `c` is a plane.
                unsafe {
                    let from = self.source.add(first * self.stride + self.columns[c]);
                    let to = self.out.add(c * self.plane + first);
                    let eight = in_order && count == BLOCK && c + 8 <= self.columns.len();
                    let planes = self.square(s, eight, count, from, to);
                    for plane in 0..planes {
                        prefetch(to.wrapping_add(plane * self.plane + BLOCK));
                    }
                    // Blocks of eight planes are activated already.
                    if self.act.is_some() && planes == 1 {
                        for done in (0..count).step_by(S::LEN) {
                            let n = (count - done).min(S::LEN);
                            let value = activate(s.load_part(to.add(done), n), self.act);
                            value.store_part(to.add(done), n);
                        }
                    }
                    c += planes;
                }
            }
        }
    }
}

impl ToPlanes<'_> {
    /// Copies `count` pixels of one plane or, if `eight` and the instruction set transposes squares, a whole
    /// block of eight neighbouring planes, which are activated too; returns the number of planes.
    ///
    /// # Safety
    /// As [`to_planes`]; `from` and `to` are the first elements of the first plane, `count` pixels remain,
    /// and [`BLOCK`] pixels of eight planes if `eight`.
    #[inline(always)]
    unsafe fn square<S: Simd>(
        &self,
        s: S,
        eight: bool,
        count: usize,
        from: *const f32,
        to: *mut f32,
    ) -> usize {
        if S::SQUARE == 8 && eight {
            for half in [0, 8] {
                // SAFETY: eight pixels from `half` on are inside the block, and the array has eight rows of
                // eight.
                unsafe {
                    let (from, to) = (from.add(half * self.stride), to.add(half));
                    let Some(act) = self.act else {
                        s.transpose(from, self.stride, to, self.plane);
                        continue;
                    };
                    let mut rows = [0.0f32; 64];
                    if act == Activation::Sigmoid {
                        // The usual one, decided on once.
                        activate_rows(s.half(), from, self.stride, &mut rows, Activation::Sigmoid);
                    } else {
                        activate_rows(s.half(), from, self.stride, &mut rows, act);
                    }
                    s.transpose(rows.as_ptr(), 8, to, self.plane);
                }
            }
            return 8;
        }
        for p in 0..count {
            // SAFETY: `p` is below `count`.
            unsafe { *to.add(p) = *from.add(p * self.stride) };
        }
        1
    }
}

/// Activates eight rows of eight values.
///
/// # Safety
/// `from` is valid for reads of eight values at each of eight multiples of `stride`; vectors have eight
/// lanes.
#[inline(always)]
unsafe fn activate_rows<S: Simd>(
    s: S,
    from: *const f32,
    stride: usize,
    rows: &mut [f32; 64],
    act: Activation,
) {
    for i in 0..8 {
        // SAFETY: `i` is below 8.
        unsafe {
            activate(s.load(from.add(i * stride)), Some(act)).store(rows.as_mut_ptr().add(8 * i));
        }
    }
}

/// Copies planes to channels: `out[p · stride + columns[c]] = source[c · plane + p]`.
///
/// # Safety
/// * `source` is valid for reads of `pixels` elements of each plane, `out` for writes of the columns of
///   `pixels` pixels,
/// * no other thread writes what is read or accesses what is written.
pub unsafe fn from_planes(
    source: *const f32,
    plane: usize,
    columns: &[usize],
    pixels: usize,
    out: *mut f32,
    stride: usize,
) {
    for (c, &column) in columns.iter().enumerate() {
        for p in 0..pixels {
            // SAFETY: `p` is below `pixels`, and `c` is a plane.
            unsafe { *out.add(p * stride + column) = *source.add(c * plane + p) };
        }
    }
}
