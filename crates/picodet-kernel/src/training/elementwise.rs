//! Operations on corresponding pixels: sums, products, copies, activations.
#![allow(unsafe_code)]

use picodet_graph::Activation;
use picodet_simd::{Kernel, Simd, dispatch};

use super::activation::{Function, with_function};
use super::map::{Map, MapMut};
use super::split::block_pixels;
use super::{Executor, Lanes, for_each_vector};

/// An elementwise operation with its operands.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Elementwise<'a> {
    /// 0.
    Zero,
    /// `a`.
    Copy(Map<'a>),
    /// `a + b`.
    Add(Map<'a>, Map<'a>),
    /// `a · factor`.
    Scale(Map<'a>, Factors<'a>),
    /// The factor.
    Broadcast(Factors<'a>),
    /// `f(a)`.
    Activate(Activation, Map<'a>),
    /// `f'(a) · b`.
    ActivateBackward(Activation, Map<'a>, Map<'a>),
}

/// One value per channel.
#[derive(Clone, Copy, Debug)]
pub enum Factors<'a> {
    /// The same for all images.
    PerChannel(&'a [f32]),
    /// For each image a map of one pixel.
    PerImage(Map<'a>),
}

impl<'a> From<&'a [f32]> for Factors<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::PerChannel(values)
    }
}

impl<'a> Factors<'a> {
    fn of_image(&self, image: usize) -> &'a [f32] {
        match self {
            Self::PerChannel(values) => values,
            Self::PerImage(map) => map.pixel(image),
        }
    }
}

impl<'a> Elementwise<'a> {
    fn maps(&self) -> [Option<Map<'a>>; 2] {
        match *self {
            Self::Zero | Self::Broadcast(_) => [None, None],
            Self::Copy(a) | Self::Scale(a, _) | Self::Activate(_, a) => [Some(a), None],
            Self::Add(a, b) | Self::ActivateBackward(_, a, b) => [Some(a), Some(b)],
        }
    }

    fn factors(&self) -> Option<Factors<'a>> {
        match *self {
            Self::Scale(_, factors) | Self::Broadcast(factors) => Some(factors),
            _ => None,
        }
    }
}

/// Stores an elementwise operation in `out`, or adds it to `out` if `accumulate`.
///
/// # Panics
/// If the extents of the maps differ, or there is not one factor per channel.
pub fn elementwise(executor: &Executor, operation: &Elementwise<'_>, out: MapMut<'_>, accumulate: bool) {
    for map in operation.maps().into_iter().flatten() {
        assert_eq!((map.size(), map.channels()), (out.size(), out.channels()), "operand of another size");
    }
    let images: Vec<_> = out.images().into_iter().enumerate().collect();
    executor.pool.for_each(images, |(image, out)| {
        let [a, b] = operation.maps().map(|map| map.map(|map| map.image(image)));
        let factors = operation.factors().map(|factors| factors.of_image(image));
        assert!(factors.is_none_or(|factors| factors.len() == out.channels()), "one factor per channel");
        dispatch(executor.isa, Image { operation, a, b, factors, out, accumulate });
    });
}

/// Calls `task(pixel, elements of out)` for every pixel.
pub fn for_each_pixel(executor: &Executor, out: MapMut<'_>, task: impl Fn(usize, &mut [f32]) + Sync) {
    let block = block_pixels(out.channels());
    executor.pool.for_each(out.blocks(block), |(first, mut out)| {
        (0..out.pixels()).for_each(|pixel| task(first + pixel, out.pixel(pixel)));
    });
}

/// One image of an operation. Operands have the extents of `out`.
struct Image<'a, 'o> {
    operation: &'a Elementwise<'a>,
    a: Option<Map<'a>>,
    b: Option<Map<'a>>,
    factors: Option<&'a [f32]>,
    out: MapMut<'o>,
    accumulate: bool,
}

/// An operation as a type.
trait Operation: Copy {
    /// # Safety
    /// Each pointer that the operation uses is valid for reads of the number of elements that `n` moves.
    unsafe fn value<S: Simd, N: Lanes>(
        self,
        s: S,
        a: *const f32,
        b: *const f32,
        factor: *const f32,
        n: N,
    ) -> S::F32;
}

/// Defines a type for an [`Operation`].
macro_rules! operation {
    ($name:ident $(<$f:ident>)?, |$self:ident, $s:ident, $a:ident, $b:ident, $factor:ident, $n:ident| $value:expr) => {
        #[derive(Clone, Copy)]
        struct $name $(<$f>($f))?;

        impl $(<$f: Function>)? Operation for $name $(<$f>)? {
            #[inline(always)]
            unsafe fn value<S: Simd, N: Lanes>(
                $self,
                $s: S,
                $a: *const f32,
                $b: *const f32,
                $factor: *const f32,
                $n: N,
            ) -> S::F32 {
                // SAFETY: the operands that are loaded are those that the operation has, valid by the trait's contract.
                unsafe { $value }
            }
        }
    };
}

operation!(CopyA, |self, s, a, _b, _factor, n| n.load(s, a));
operation!(AddAb, |self, s, a, b, _factor, n| n.load(s, a) + n.load(s, b));
operation!(ScaleA, |self, s, a, _b, factor, n| n.load(s, a) * n.load(s, factor));
operation!(Spread, |self, s, _a, _b, factor, n| n.load(s, factor));
operation!(Apply<F>, |self, s, a, _b, _factor, n| self.0.value(n.load(s, a)));
operation!(Derive<F>, |self, s, a, b, _factor, n| self.0.slope(n.load(s, a)) * n.load(s, b));

impl Kernel for Image<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        match *self.operation {
            Elementwise::Zero => {
                if !self.accumulate {
                    (0..self.out.pixels()).for_each(|pixel| self.out.pixel(pixel).fill(0.0));
                }
            }
            Elementwise::Copy(_) => self.run_with(s, CopyA),
            Elementwise::Add(..) => self.run_with(s, AddAb),
            Elementwise::Scale(..) => self.run_with(s, ScaleA),
            Elementwise::Broadcast(_) => self.run_with(s, Spread),
            Elementwise::Activate(act, _) => with_function!(Some(act), |f| self.run_with(s, Apply(f))),
            Elementwise::ActivateBackward(act, ..) => {
                with_function!(Some(act), |f| self.run_with(s, Derive(f)));
            }
        }
    }
}

impl Image<'_, '_> {
    #[inline(always)]
    fn run_with<S: Simd>(&self, s: S, operation: impl Operation) {
        let factors = self.factors.map_or(std::ptr::null(), <[f32]>::as_ptr);
        let start = |map: &Option<Map<'_>>| match map {
            Some(map) => (map.at(0), map.stride()),
            None => (std::ptr::null(), 0),
        };
        let ((a, a_stride), (b, b_stride)) = (start(&self.a), start(&self.b));
        for pixel in 0..self.out.pixels() {
            let a = a.wrapping_add(pixel * a_stride);
            let b = b.wrapping_add(pixel * b_stride);
            let out = self.out.at(pixel);
            for_each_vector!(S, self.out.channels(), |c, n| {
                // SAFETY: operands have the pixels and channels of `out`, of which `c` and the lanes from it are part;
                // `wrapping_add` does not form an address outside them but from null, which is not loaded.
                unsafe {
                    let (a, b, factor) = (a.wrapping_add(c), b.wrapping_add(c), factors.wrapping_add(c));
                    let mut value = operation.value(s, a, b, factor, n);
                    if self.accumulate {
                        value = value + n.load(s, out.add(c));
                    }
                    n.store(value, out.add(c));
                }
            });
        }
    }
}
