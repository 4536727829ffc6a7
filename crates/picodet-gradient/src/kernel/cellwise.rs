//! What is done cell by cell: sums, products, copies, activations, and sums over cells.
#![allow(unsafe_code)]

use picodet_graph::Activation;

use super::activate::{Function, with_function};
use super::lanes::{Lanes, Moves};
use super::{dispatch, vectors};

/// What is made of a number of `a`, one of `b` and the factor of the channel.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// `a`.
    Copy,
    /// `a + b`.
    Add,
    /// `a · factor`.
    Scale,
    /// The factor itself.
    Spread,
    /// `f(a)`.
    Activate(Activation),
    /// `f'(a) · b`.
    ActivateBackward(Activation),
}

/// What [`each`] goes over.
pub(crate) struct Each {
    /// What is done.
    pub(crate) kind: Kind,
    /// First cell of the first source.
    pub(crate) a: *const f32,
    /// Numbers from one of its cells to the next.
    pub(crate) a_stride: usize,
    /// First cell of the second source, if the kind has one.
    pub(crate) b: *const f32,
    /// Numbers from one of its cells to the next.
    pub(crate) b_stride: usize,
    /// Factors by channel, if the kind has them.
    pub(crate) factors: *const f32,
    /// First cell of the result.
    pub(crate) out: *mut f32,
    /// Numbers from one of its cells to the next.
    pub(crate) out_stride: usize,
    /// Numbers of a cell.
    pub(crate) channels: usize,
    /// Number of cells.
    pub(crate) cells: usize,
    /// Whether the result is added to what is there.
    pub(crate) accumulate: bool,
}

dispatch!(
    /// Goes over the cells.
    each, each_lanes, Each
);

/// One [`Kind`] as a type.
trait Operation: Copy {
    /// # Safety
    /// As [`each`].
    unsafe fn value<V: Lanes, M: Moves>(self, a: *const f32, b: *const f32, factor: *const f32, n: M) -> V;
}

#[derive(Clone, Copy)]
struct Copies;
#[derive(Clone, Copy)]
struct Adds;
#[derive(Clone, Copy)]
struct Scales;
#[derive(Clone, Copy)]
struct Spreads;
#[derive(Clone, Copy)]
struct Activates<F>(F);
#[derive(Clone, Copy)]
struct Derives<F>(F);

// The bodies load what the kind says that there is: their safety is the promise of `each`.
#[allow(clippy::undocumented_unsafe_blocks)]
mod operations {
    use super::*;

    impl Operation for Copies {
        #[inline(always)]
        unsafe fn value<V: Lanes, M: Moves>(self, a: *const f32, _: *const f32, _: *const f32, n: M) -> V {
            unsafe { n.load(a) }
        }
    }
    impl Operation for Adds {
        #[inline(always)]
        unsafe fn value<V: Lanes, M: Moves>(self, a: *const f32, b: *const f32, _: *const f32, n: M) -> V {
            unsafe { n.load::<V>(a).add(n.load(b)) }
        }
    }
    impl Operation for Scales {
        #[inline(always)]
        unsafe fn value<V: Lanes, M: Moves>(self, a: *const f32, _: *const f32, f: *const f32, n: M) -> V {
            unsafe { n.load::<V>(a).mul(n.load(f)) }
        }
    }
    impl Operation for Spreads {
        #[inline(always)]
        unsafe fn value<V: Lanes, M: Moves>(self, _: *const f32, _: *const f32, f: *const f32, n: M) -> V {
            unsafe { n.load(f) }
        }
    }
    impl<F: Function> Operation for Activates<F> {
        #[inline(always)]
        unsafe fn value<V: Lanes, M: Moves>(self, a: *const f32, _: *const f32, _: *const f32, n: M) -> V {
            unsafe { self.0.value(n.load(a)) }
        }
    }
    impl<F: Function> Operation for Derives<F> {
        #[inline(always)]
        unsafe fn value<V: Lanes, M: Moves>(self, a: *const f32, b: *const f32, _: *const f32, n: M) -> V {
            unsafe { self.0.slope(n.load::<V>(a)).mul(n.load(b)) }
        }
    }
}

#[inline(always)]
unsafe fn each_lanes<V: Lanes>(args: &Each) {
    // SAFETY: the caller's promise.
    unsafe {
        match args.kind {
            Kind::Copy => each_with::<V, _>(args, Copies),
            Kind::Add => each_with::<V, _>(args, Adds),
            Kind::Scale => each_with::<V, _>(args, Scales),
            Kind::Spread => each_with::<V, _>(args, Spreads),
            Kind::Activate(act) => with_function!(Some(act), |f| each_with::<V, _>(args, Activates(f))),
            Kind::ActivateBackward(act) => {
                with_function!(Some(act), |f| each_with::<V, _>(args, Derives(f)));
            }
        }
    }
}

#[inline(always)]
unsafe fn each_with<V: Lanes, O: Operation>(args: &Each, operation: O) {
    for cell in 0..args.cells {
        let a = args.a.wrapping_add(cell * args.a_stride);
        let b = args.b.wrapping_add(cell * args.b_stride);
        let out = args.out.wrapping_add(cell * args.out_stride);
        // SAFETY: the caller's promise; pointers that the kind does not use are not read.
        unsafe {
            vectors!(V, args.channels, |c, n| {
                let mut value: V =
                    operation.value(a.wrapping_add(c), b.wrapping_add(c), args.factors.wrapping_add(c), n);
                if args.accumulate {
                    value = value.add(n.load(out.add(c)));
                }
                n.store(value, out.add(c));
            });
        }
    }
}

/// What [`sum_cells`] adds up.
pub(crate) struct SumCells {
    /// First cell.
    pub(crate) a: *const f32,
    /// Numbers from one cell to the next.
    pub(crate) a_stride: usize,
    /// First cell of what `a` is multiplied by; null for the sum of `a` alone.
    pub(crate) b: *const f32,
    /// Numbers from one of its cells to the next.
    pub(crate) b_stride: usize,
    /// Numbers of a cell.
    pub(crate) channels: usize,
    /// Number of cells.
    pub(crate) cells: usize,
    /// Multiplies the sums.
    pub(crate) scale: f32,
    /// The sums by channel.
    pub(crate) out: *mut f32,
}

dispatch!(
    /// `scale · Σ a` or `scale · Σ a · b` of each channel over all cells.
    sum_cells, sum_cells_lanes, SumCells
);

#[inline(always)]
unsafe fn sum_cells_lanes<V: Lanes>(args: &SumCells) {
    // SAFETY: the caller's promise; `b` is read only where it is.
    unsafe {
        let one = V::splat(1.0);
        vectors!(V, args.channels, |c, n| {
            let term = |cell: usize| {
                let a: V = n.load(args.a.add(cell * args.a_stride + c));
                let b: V = if args.b.is_null() { one } else { n.load(args.b.add(cell * args.b_stride + c)) };
                (a, b)
            };
            let mut sums = [V::splat(0.0); 4];
            let whole = args.cells / 4 * 4;
            for cell in (0..whole).step_by(4) {
                for (i, sum) in sums.iter_mut().enumerate() {
                    let (a, b) = term(cell + i);
                    *sum = a.mul_add(b, *sum);
                }
            }
            for cell in whole..args.cells {
                let (a, b) = term(cell);
                sums[0] = a.mul_add(b, sums[0]);
            }
            let sum = sums[0].add(sums[1]).add(sums[2].add(sums[3]));
            n.store(sum.mul(V::splat(args.scale)), args.out.add(c));
        });
    }
}

/// Two maps whose channels are interleaved in a third.
pub(crate) struct Interleave {
    /// First cell of the even channels.
    pub(crate) even: *mut f32,
    /// Numbers from one of its cells to the next.
    pub(crate) even_stride: usize,
    /// First cell of the odd channels.
    pub(crate) odd: *mut f32,
    /// Numbers from one of its cells to the next.
    pub(crate) odd_stride: usize,
    /// First cell of the interleaved map.
    pub(crate) both: *mut f32,
    /// Numbers from one of its cells to the next.
    pub(crate) both_stride: usize,
    /// Channels of each of the two.
    pub(crate) channels: usize,
    /// Number of cells.
    pub(crate) cells: usize,
    /// Of [`split`]: whether the even and the odd channels are added to what is there.
    pub(crate) accumulate: [bool; 2],
}

dispatch!(
    /// `both[2i] = even[i]`, `both[2i + 1] = odd[i]`.
    join, join_lanes, Interleave
);

#[inline(always)]
unsafe fn join_lanes<V: Lanes>(args: &Interleave) {
    for cell in 0..args.cells {
        // SAFETY: the caller's promise; the three maps do not overlap.
        let (even, odd, both) = unsafe {
            (
                std::slice::from_raw_parts(args.even.add(cell * args.even_stride), args.channels),
                std::slice::from_raw_parts(args.odd.add(cell * args.odd_stride), args.channels),
                std::slice::from_raw_parts_mut(args.both.add(cell * args.both_stride), 2 * args.channels),
            )
        };
        for ((both, even), odd) in both.as_chunks_mut::<2>().0.iter_mut().zip(even).zip(odd) {
            *both = [*even, *odd];
        }
    }
    let _ = V::LEN;
}

dispatch!(
    /// `even[i] (+)= both[2i]`, `odd[i] (+)= both[2i + 1]`.
    split, split_lanes, Interleave
);

#[inline(always)]
unsafe fn split_lanes<V: Lanes>(args: &Interleave) {
    for cell in 0..args.cells {
        // SAFETY: the caller's promise.
        let both =
            unsafe { std::slice::from_raw_parts(args.both.add(cell * args.both_stride), 2 * args.channels) };
        let halves = [(args.even, args.even_stride), (args.odd, args.odd_stride)];
        for (half, (data, stride)) in halves.into_iter().enumerate() {
            // SAFETY: the caller's promise; the two halves do not overlap `both`.
            let to = unsafe { std::slice::from_raw_parts_mut(data.add(cell * stride), args.channels) };
            let pairs = to.iter_mut().zip(both.as_chunks::<2>().0);
            if args.accumulate[half] {
                pairs.for_each(|(to, both)| *to += both[half]);
            } else {
                pairs.for_each(|(to, both)| *to = both[half]);
            }
        }
    }
    let _ = V::LEN;
}
