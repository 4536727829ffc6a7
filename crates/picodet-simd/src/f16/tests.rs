//! Conversions and operations of f16 against their definitions, on every instruction set of this processor.

use super::*;
use crate::dispatch_f16::{KernelF16, Run, dispatch_f16};
use crate::{Portable, Simd};

/// Bits of values with both signs, zeros, subnormal ones, the largest, infinities and NaN.
const BITS: [u16; 19] = [
    0, 0x8000, 0x3c00, 0xbe00, 0x4100, 0x4300, 0xc740, 0x5648, 0x5bf4, 0x0001, 0x8002, 0x03ff, 0x7bff,
    0xfbff, 0x34cd, 0x7c00, 0xfc00, 0x7e00, 0x1419,
];

/// Equal bits, or both NaN.
fn same(a: u16, b: u16) -> bool {
    a == b || (from_f16(a).is_nan() && from_f16(b).is_nan())
}

#[test]
fn values_are_rounded_to_the_nearest() {
    let cases = [
        (1.0, 0x3c00),
        (-2.5, 0xc100),
        (-0.0, 0x8000),
        (1.0 + 1.0 / 2048.0, 0x3c00), // half way between 1 and 1 + 2^-10: the even one
        (1.0 + 3.0 / 2048.0, 0x3c02),
        (65504.0, 0x7bff),
        (65519.9, 0x7bff),
        (65520.0, 0x7c00),
        (5.960_464_5e-8, 0x0001),
        (2.9e-8, 0x0000),
        (f32::NEG_INFINITY, 0xfc00),
    ];
    for (value, expected) in cases {
        assert_eq!(to_f16(value), expected, "{value}");
    }
    assert!(from_f16(to_f16(f32::NAN)).is_nan());
    for bits in (0..=u16::MAX).step_by(7) {
        assert!(same(to_f16(from_f16(bits)), bits), "{bits:x}");
    }
}

/// Results of every operation on every pair of [`BITS`].
struct Operations;

impl KernelF16 for Operations {
    type Output = Vec<(&'static str, [u16; 8])>;
    #[inline(always)]
    fn run<S: SimdF16>(self, s: S) -> Self::Output {
        let mut results = Vec::new();
        let mut push = |name: &'static str, value: S::F16| {
            let mut lanes = [0; 8];
            // SAFETY: the array has room for eight values.
            unsafe { value.store(lanes.as_mut_ptr()) };
            results.push((name, lanes));
        };
        for (shift, distance) in (0..BITS.len()).flat_map(|a| (0..BITS.len()).map(move |b| (a, b))) {
            let at = |from: usize| std::array::from_fn::<u16, 8, _>(|i| BITS[(i + from) % BITS.len()]);
            // SAFETY: the arrays have eight values.
            let (x, y) =
                unsafe { (s.load_half(at(shift).as_ptr()), s.load_half(at(shift + distance).as_ptr())) };
            push("sum", x + y);
            push("product", x * y);
            push("fused", x.mul_add(y, x.splat(0.1)));
            push("fused with itself", x.mul_add(y, x));
            push("maximum", x.maximum(y));
            push("minimum", x.minimum(y));
            push("narrow", s.narrow(s.widen(x)));
            let [low, high] = s.widen(x);
            push("narrow products", s.narrow([low * s.splat(1.000_3), high * s.splat(0.333_3)]));
            push("splat", s.splat_bits(BITS[shift]));
        }
        results
    }
}

#[test]
fn operations_equal_their_definition() {
    let expected = Portable.outlined(Run(Portable, Operations));
    // The definition itself, for simple values.
    let (one, half) = (to_f16(1.0), to_f16(0.5));
    assert!(expected.iter().any(|(name, lanes)| *name == "sum" && lanes.contains(&to_f16(-0.5))));
    assert_eq!((from_f16(one), from_f16(half)), (1.0, 0.5));
    for f16 in Isa::available().into_iter().filter_map(Isa::f16) {
        let found = dispatch_f16(f16, Operations);
        assert_eq!(found.len(), expected.len());
        for ((name, found), (_, expected)) in found.iter().zip(&expected) {
            assert!(
                found.iter().zip(expected).all(|(&a, &b)| same(a, b)),
                "{f16:?} {name}: {found:x?} {expected:x?}"
            );
        }
    }
}

/// Loads and stores of every count, with marks after the last value.
struct Memory;

impl KernelF16 for Memory {
    type Output = ();
    #[inline(always)]
    fn run<S: SimdF16>(self, s: S) {
        for count in 0..=S::HALF_LEN {
            // Exactly the values that are read, so that Miri and sanitizers see any other access.
            let from: Vec<u16> = (0..count as u16).map(|i| 0x3c00 + i).collect();
            let mut to = vec![0xaaaa; count + 1];
            // SAFETY: both have `count` values.
            unsafe { s.load_half_part(from.as_ptr(), count).store_part(to.as_mut_ptr(), count) };
            assert!(to[..count] == from[..] && to[count] == 0xaaaa, "{count}: {to:x?}");
        }
    }
}

#[test]
fn memory_is_touched_where_it_should_be() {
    for f16 in Isa::available().into_iter().filter_map(Isa::f16) {
        dispatch_f16(f16, Memory);
    }
}

/// A tile of products by [`Dot::tile`], if there is code for it, and by one [`Dot::dot`] after the other.
fn tile<D: Dot, const ROWS: usize, const VECTORS: usize>(
    dot: D,
    units: impl Fn(usize) -> D::Unit,
) -> (usize, usize) {
    let mut compared = (0, 0);
    for depth in [1, 2, 3, 8, 17] {
        let stride = depth + 3;
        let lhs: Vec<D::Unit> = (0..ROWS * stride).map(&units).collect();
        let rhs: Vec<D::Unit> = (0..depth * VECTORS * D::LEN).map(|i| units(i + 1000)).collect();
        let mut sums = [[dot.zero(); VECTORS]; ROWS];
        compared.1 += 1;
        // SAFETY: the operands have `depth` units of each row and `depth · VECTORS` vectors.
        unsafe {
            if !dot.tile(&mut sums, lhs.as_ptr(), stride, rhs.as_ptr(), depth) {
                continue;
            }
            compared.0 += 1;
            for (i, j) in (0..ROWS).flat_map(|i| (0..VECTORS).map(move |j| (i, j))) {
                let mut expected = dot.zero();
                for k in 0..depth {
                    let right = dot.load_units(rhs.as_ptr().add((k * VECTORS + j) * D::LEN));
                    expected = dot.dot(expected, dot.splat(lhs[i * stride + k]), right);
                }
                assert_eq!(
                    format!("{:?}", sums[i][j]),
                    format!("{expected:?}"),
                    "row {i} vector {j} of {depth}"
                );
            }
        }
    }
    compared
}

struct Tiles;

impl KernelF16 for Tiles {
    type Output = usize;
    #[inline(always)]
    fn run<S: SimdF16>(self, s: S) -> usize {
        let half = |i: usize| to_f16((i * 37 % 113) as f32 / 16.0 - 3.5);
        let single = |i: usize| (i * 37 % 113) as f32 / 16.0 - 3.5;
        let mut compared = 0;
        macro_rules! compare {
            ($($rows:literal $vectors:literal),*) => {$(
                compared += tile::<_, $rows, $vectors>(crate::DotF16(s), half).0;
                compared += tile::<_, $rows, $vectors>(crate::DotF32(s), single).0;
            )*};
        }
        compare!(12 2, 8 3, 8 2, 4 3, 4 2, 5 2, 1 1);
        compared
    }
}

#[test]
fn tiles_equal_one_product_after_the_other() {
    for f16 in Isa::available().into_iter().filter_map(Isa::f16) {
        let compared = dispatch_f16(f16, Tiles);
        // Five sizes of two types, in five depths; plain Rust has none.
        let expected = if f16.isa() == Isa::PORTABLE { 0 } else { 50 };
        assert_eq!(compared, expected, "{f16:?}");
    }
}
