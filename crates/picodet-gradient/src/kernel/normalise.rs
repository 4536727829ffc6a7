//! Batch norm and the activation after it, forward and backward, on a block of cells.
//!
//! `z = a · x + b` with `a = γ / σ` and `b = β - a · mean`; the gradient of `x` is
//! `a · f'(z) · dy + p · x + q` where `p` and `q` come from the sums of [`sums`].
#![allow(unsafe_code)]

use super::activate::{Function, MaybeActivation, with_function};
use super::lanes::Lanes;
use super::{dispatch, vectors};

/// What [`moments`] measures.
pub(crate) struct Moments {
    /// First cell.
    pub(crate) x: *const f32,
    /// Numbers from one cell to the next.
    pub(crate) stride: usize,
    /// Numbers of a cell.
    pub(crate) channels: usize,
    /// Number of cells.
    pub(crate) cells: usize,
    /// The mean of each channel.
    pub(crate) mean: *mut f32,
    /// The sum of squared distances from that mean.
    pub(crate) squares: *mut f32,
}

dispatch!(
    /// Mean and sum of squared deviations of each channel over a block of cells.
    moments, moments_lanes, Moments
);

#[inline(always)]
unsafe fn moments_lanes<V: Lanes>(args: &Moments) {
    // SAFETY: the caller's promise.
    unsafe {
        let share = V::splat(1.0 / args.cells as f32);
        vectors!(V, args.channels, |c, n| {
            use super::lanes::Moves;
            let x = args.x.add(c);
            let at = |cell: usize| x.add(cell * args.stride);
            let mut sums = [V::splat(0.0); 4];
            let whole = args.cells / 4 * 4;
            let mut cell = 0;
            while cell < whole {
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.add(n.load::<V>(at(cell + i)));
                }
                cell += 4;
            }
            while cell < args.cells {
                sums[0] = sums[0].add(n.load::<V>(at(cell)));
                cell += 1;
            }
            let mean = sums[0].add(sums[1]).add(sums[2].add(sums[3])).mul(share);
            n.store(mean, args.mean.add(c));
            let mut sums = [V::splat(0.0); 4];
            cell = 0;
            while cell < whole {
                for (i, sum) in sums.iter_mut().enumerate() {
                    let off = n.load::<V>(at(cell + i)).sub(mean);
                    *sum = off.mul_add(off, *sum);
                }
                cell += 4;
            }
            while cell < args.cells {
                let off = n.load::<V>(at(cell)).sub(mean);
                sums[0] = off.mul_add(off, sums[0]);
                cell += 1;
            }
            n.store(sums[0].add(sums[1]).add(sums[2].add(sums[3])), args.squares.add(c));
        });
    }
}

/// What [`apply`] and [`sums`] and [`apply_backward`] go over.
pub(crate) struct Block {
    /// First cell of the convolution's result.
    pub(crate) x: *const f32,
    /// Numbers from one cell of `x` to the next.
    pub(crate) x_stride: usize,
    /// First cell of the result, or of its gradient.
    pub(crate) y: *mut f32,
    /// Numbers from one cell of `y` to the next.
    pub(crate) y_stride: usize,
    /// First cell of the gradient of `x`; may be `y` itself.
    pub(crate) dx: *mut f32,
    /// Numbers from one cell of `dx` to the next.
    pub(crate) dx_stride: usize,
    /// Numbers of a cell.
    pub(crate) channels: usize,
    /// Number of cells.
    pub(crate) cells: usize,
    /// `a` by channel.
    pub(crate) factor: *const f32,
    /// `b` by channel.
    pub(crate) addend: *const f32,
    /// The mean by channel ([`sums`]), or `p` ([`apply_backward`]).
    pub(crate) third: *const f32,
    /// `q` by channel ([`apply_backward`]).
    pub(crate) fourth: *const f32,
    /// Where [`sums`] puts the sum of `dz` by channel.
    pub(crate) sum: *mut f32,
    /// Where [`sums`] puts the sum of `dz · (x - mean)` by channel.
    pub(crate) product: *mut f32,
    /// The activation.
    pub(crate) activation: MaybeActivation,
    /// Whether the gradient of `x` is added to what is there.
    pub(crate) accumulate: bool,
}

dispatch!(
    /// `y = f(a · x + b)`.
    apply, apply_lanes, Block
);

#[inline(always)]
unsafe fn apply_lanes<V: Lanes>(args: &Block) {
    // SAFETY: the caller's promise.
    with_function!(args.activation, |f| unsafe { apply_with::<V, _>(args, f) });
}

#[inline(always)]
unsafe fn apply_with<V: Lanes, F: Function>(args: &Block, f: F) {
    for cell in 0..args.cells {
        // SAFETY: the caller's promise.
        unsafe {
            let x = args.x.add(cell * args.x_stride);
            let y = args.y.add(cell * args.y_stride);
            vectors!(V, args.channels, |c, n| {
                use super::lanes::Moves;
                let a: V = n.load(args.factor.add(c));
                let z = n.load::<V>(x.add(c)).mul_add(a, n.load(args.addend.add(c)));
                n.store(f.value(z), y.add(c));
            });
        }
    }
}

dispatch!(
    /// The sums of `dz` and `dz · (x - mean)`, where `dz = f'(a · x + b) · dy`.
    sums, sums_lanes, Block
);

#[inline(always)]
unsafe fn sums_lanes<V: Lanes>(args: &Block) {
    // SAFETY: the caller's promise.
    with_function!(args.activation, |f| unsafe { sums_with::<V, _>(args, f) });
}

#[inline(always)]
unsafe fn sums_with<V: Lanes, F: Function>(args: &Block, f: F) {
    // SAFETY: the caller's promise.
    unsafe {
        vectors!(V, args.channels, |c, n| {
            use super::lanes::Moves;
            let (a, b, mean): (V, V, V) =
                (n.load(args.factor.add(c)), n.load(args.addend.add(c)), n.load(args.third.add(c)));
            let mut sum = [V::splat(0.0); 2];
            let mut product = [V::splat(0.0); 2];
            let mut cell = 0;
            while cell + 2 <= args.cells {
                for i in 0..2 {
                    let x: V = n.load(args.x.add((cell + i) * args.x_stride + c));
                    let dy: V = n.load(args.y.add((cell + i) * args.y_stride + c));
                    let dz = f.slope(x.mul_add(a, b)).mul(dy);
                    sum[i] = sum[i].add(dz);
                    product[i] = dz.mul_add(x.sub(mean), product[i]);
                }
                cell += 2;
            }
            if cell < args.cells {
                let x: V = n.load(args.x.add(cell * args.x_stride + c));
                let dy: V = n.load(args.y.add(cell * args.y_stride + c));
                let dz = f.slope(x.mul_add(a, b)).mul(dy);
                sum[0] = sum[0].add(dz);
                product[0] = dz.mul_add(x.sub(mean), product[0]);
            }
            n.store(sum[0].add(sum[1]), args.sum.add(c));
            n.store(product[0].add(product[1]), args.product.add(c));
        });
    }
}

dispatch!(
    /// `dx = a · f'(a · x + b) · dy + p · x + q`.
    apply_backward, apply_backward_lanes, Block
);

#[inline(always)]
unsafe fn apply_backward_lanes<V: Lanes>(args: &Block) {
    // SAFETY: the caller's promise.
    with_function!(args.activation, |f| unsafe { apply_backward_with::<V, _>(args, f) });
}

#[inline(always)]
unsafe fn apply_backward_with<V: Lanes, F: Function>(args: &Block, f: F) {
    for cell in 0..args.cells {
        // SAFETY: the caller's promise.
        unsafe {
            let x = args.x.add(cell * args.x_stride);
            let dy = args.y.add(cell * args.y_stride);
            let dx = args.dx.add(cell * args.dx_stride);
            vectors!(V, args.channels, |c, n| {
                use super::lanes::Moves;
                let a: V = n.load(args.factor.add(c));
                let b: V = n.load(args.addend.add(c));
                let (p, q): (V, V) = (n.load(args.third.add(c)), n.load(args.fourth.add(c)));
                let x: V = n.load(x.add(c));
                let slope = f.slope(x.mul_add(a, b)).mul(a);
                let mut value = slope.mul_add(n.load(dy.add(c)), x.mul_add(p, q));
                if args.accumulate {
                    value = value.add(n.load(dx.add(c)));
                }
                n.store(value, dx.add(c));
            });
        }
    }
}
