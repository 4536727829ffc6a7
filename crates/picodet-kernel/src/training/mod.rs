//! Forward and backward kernels of training on channels-last f32 maps, vectorised over the channels.
//!
//! Functions take whole maps, check their extents, and split the work over a [`ThreadPool`] into tasks that depend on
//! the extents only, so that results do not depend on the number of threads.
//!
//! Matrix products and activations are those of inference. Elementwise operations, pooling and depthwise convolutions are
//! separate texts: here each may add to its result, stores the argmax or has a gradient, and none has the fused
//! activations, channel ranges and bf16 maps of inference, which would be dead branches in the innermost loops.

mod activation;
pub mod dense;
pub mod depthwise;
mod elementwise;
pub mod fake_quantise;
mod map;
mod matrix;
mod memory;
pub mod normalise;
pub mod pointwise;
mod reduce;
mod region;
pub mod resample;
mod shuffle;
mod split;
#[cfg(test)]
mod tests;
mod threads;
mod transpose;

use picodet_simd::{Isa, Simd, Vector};

pub use elementwise::{Elementwise, Factors, elementwise, for_each_pixel};
pub use map::{Band, Map, MapMut};
pub use memory::{Arena, LINE};
pub use reduce::{bias_gradient, sum_images};
pub use region::Region;
pub use shuffle::{deinterleave, interleave};
pub use threads::ThreadPool;
pub use transpose::copy_tensor;

/// Where kernels run.
#[derive(Debug)]
pub struct Executor {
    /// The threads.
    pub pool: ThreadPool,
    /// The instruction set.
    pub isa: Isa,
}

/// Memory for partial results, kept from kernel to kernel.
#[derive(Debug, Default)]
pub struct Scratch(Vec<f32>);

impl Scratch {
    /// Lends `len` elements of any value.
    pub fn lend(&mut self, len: usize) -> &mut [f32] {
        if self.0.len() < len {
            self.0.resize(len, 0.0);
        }
        &mut self.0[..len]
    }
}

/// How many channels one step of a loop over channels moves: a whole vector or the rest of a pixel.
#[allow(unsafe_code)]
trait Lanes: Copy {
    /// # Safety
    /// `from` is valid for reads of `count` elements.
    unsafe fn load<S: Simd>(self, s: S, from: *const f32) -> S::F32;
    /// # Safety
    /// `to` is valid for writes of `count` elements.
    unsafe fn store<V: Vector>(self, value: V, to: *mut f32);
    /// The number of elements.
    fn count<S: Simd>(self) -> usize;
}

/// A whole vector.
#[derive(Clone, Copy)]
struct Whole;

/// The first lanes of a vector.
#[derive(Clone, Copy)]
struct Part(usize);

#[allow(unsafe_code)]
impl Lanes for Whole {
    #[inline(always)]
    unsafe fn load<S: Simd>(self, s: S, from: *const f32) -> S::F32 {
        // SAFETY: valid for a vector by the contract of the trait.
        unsafe { s.load(from) }
    }
    #[inline(always)]
    unsafe fn store<V: Vector>(self, value: V, to: *mut f32) {
        // SAFETY: as above.
        unsafe { value.store(to) }
    }
    #[inline(always)]
    fn count<S: Simd>(self) -> usize {
        S::LEN
    }
}

#[allow(unsafe_code)]
impl Lanes for Part {
    #[inline(always)]
    unsafe fn load<S: Simd>(self, s: S, from: *const f32) -> S::F32 {
        // SAFETY: valid for `self.0` lanes by the contract of the trait.
        unsafe { s.load_part(from, self.0) }
    }
    #[inline(always)]
    unsafe fn store<V: Vector>(self, value: V, to: *mut f32) {
        // SAFETY: as above.
        unsafe { value.store_part(to, self.0) }
    }
    #[inline(always)]
    fn count<S: Simd>(self) -> usize {
        self.0
    }
}

/// Runs the block for every vector of `$channels` channels: `$c` is the first channel, `$n` the [`Lanes`] from there.
/// `$c` plus the lanes never exceeds `$channels`.
///
/// A macro, because a closure would not be compiled for the instruction set.
macro_rules! for_each_vector {
    ($S:ident, $channels:expr, |$c:ident, $n:ident| $body:block) => {{
        let channels: usize = $channels;
        let mut $c = 0;
        while $c + $S::LEN <= channels {
            let $n = $crate::training::Whole;
            $body
            $c += $S::LEN;
        }
        if $c < channels {
            let $n = $crate::training::Part(channels - $c);
            $body
        }
    }};
}
use for_each_vector;
