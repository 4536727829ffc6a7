//! Every operation against its definition, on every instruction set of this processor.

use crate::*;

/// Values with both signs, zeros, infinities and NaN.
const VALUES: [f32; 19] = [
    0.0,
    -0.0,
    1.0,
    -1.5,
    2.5,
    3.5,
    -7.25,
    100.5,
    254.5,
    255.5,
    1e9,
    -1e9,
    0.3,
    -0.3,
    1.0e-3,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    126.0,
];

/// Equal, or both NaN.
fn same(a: f32, b: f32) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

struct Arithmetic<'a>(&'a mut Vec<String>);

impl Kernel for Arithmetic<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut wrong = |operation: &str, a: f32, b: f32, found: f32, expected: f32| {
            self.0.push(format!("{:?}: {operation} of {a} and {b}: {found} instead of {expected}", S::KIND));
        };
        for shift in 0..VALUES.len() {
            let rotated: Vec<f32> = (0..16).map(|i| VALUES[(i + shift) % VALUES.len()]).collect();
            for distance in 0..VALUES.len() {
                let other: Vec<f32> =
                    (0..16).map(|i| VALUES[(i + shift + distance) % VALUES.len()]).collect();
                let (x, y) = (s.load_slice(&rotated), s.load_slice(&other));
                let mut check = |operation: &str, found: S::F32, expected: &dyn Fn(f32, f32) -> f32| {
                    let found = found.to_array();
                    for i in 0..S::LEN {
                        let (a, b) = (rotated[i], other[i]);
                        if !same(found[i], expected(a, b)) {
                            wrong(operation, a, b, found[i], expected(a, b));
                        }
                    }
                };
                check("sum", x + y, &|a, b| a + b);
                check("difference", x - y, &|a, b| a - b);
                check("product", x * y, &|a, b| a * b);
                check("quotient", x / y, &|a, b| a / b);
                check("max", x.max(y), &|a, b| if a > b { a } else { b });
                check("min", x.min(y), &|a, b| if a < b { a } else { b });
                let nan_or = |a: f32, b: f32, c: f32| if a.is_nan() || b.is_nan() { f32::NAN } else { c };
                check("maximum", x.maximum(y), &|a, b| nan_or(a, b, if a > b { a } else { b }));
                check("select", x.select_greater(y, s.splat(1.0), x.splat(2.0)), &|a, b| {
                    if a > b { 1.0 } else { 2.0 }
                });
                check("square root", x.sqrt(), &|a, _| a.sqrt());
                check("map", x.map(|a| a.max(0.5)), &|a, _| a.max(0.5));
                if S::FUSED {
                    check("fused", x.mul_add(y, s.splat(0.1)), &|a, b| a.mul_add(b, 0.1));
                } else {
                    // One or two roundings.
                    let found = x.mul_add(y, s.splat(0.1)).to_array();
                    for i in 0..S::LEN {
                        let (a, b) = (rotated[i], other[i]);
                        if !same(found[i], a * b + 0.1) && !same(found[i], a.mul_add(b, 0.1)) {
                            wrong("multiply-add", a, b, found[i], a * b + 0.1);
                        }
                    }
                }
            }
        }
        for exponent in -126i32..=127 {
            let found = s.splat(exponent as f32).power_of_two().to_array()[0];
            let expected = f64::from(exponent).exp2() as f32;
            if found != expected {
                wrong("power of two", exponent as f32, 0.0, found, expected);
            }
            // The least and the greatest significand of each exponent.
            for value in [expected, f32::from_bits(expected.to_bits() | 0x7f_ffff)] {
                let found = s.splat(value).exponent().to_array()[0];
                if found != exponent as f32 {
                    wrong("exponent", value, 0.0, found, exponent as f32);
                }
            }
        }
        for step in -900..=900 {
            let x = step as f32 / 10.0;
            let (found, expected) = (exp(s.splat(x)).to_array()[0], f64::from(x.clamp(-87.0, 87.0)).exp());
            if (f64::from(found) - expected).abs() > 4e-7 * expected {
                wrong("exp", x, 0.0, found, expected as f32);
            }
            let (found, expected) =
                (sigmoid(s.splat(x)).to_array()[0], 1.0 / (1.0 + (-f64::from(x.clamp(-87.0, 87.0))).exp()));
            if (f64::from(found) - expected).abs() > 6e-7 * expected {
                wrong("sigmoid", x, 0.0, found, expected as f32);
            }
        }
        if !exp(s.splat(f32::NAN)).to_array()[0].is_nan() {
            wrong("exp", f32::NAN, 0.0, 0.0, f32::NAN);
        }
        if S::Half::LEN > S::LEN || s.half().splat(3.0).to_array()[0] != 3.0 {
            wrong("half", 3.0, 0.0, 0.0, 3.0);
        }
    }
}

#[test]
fn arithmetic_equals_its_definition() {
    let mut wrong = Vec::new();
    for isa in Isa::available() {
        assert_eq!(dispatch(isa, Lanes), (isa.lanes(), isa.kind()));
        dispatch(isa, Arithmetic(&mut wrong));
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

struct Lanes;

impl Kernel for Lanes {
    type Output = (usize, IsaKind);
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> Self::Output {
        (S::LEN, S::KIND)
    }
}

/// Loads and stores of every count, with marks after the last value.
struct Memory;

impl Kernel for Memory {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        const MARK: f32 = -77.0;
        for count in 0..=S::LEN {
            // Exactly the values that are read, so that Miri and sanitizers see any other access.
            let from: Vec<f32> = VALUES[2..2 + count].to_vec();
            // SAFETY: `from` has `count` values.
            let loaded = unsafe { s.load_part(from.as_ptr(), count) };
            let lanes = loaded.to_array();
            assert!((0..S::LEN).all(|i| same(lanes[i], from.get(i).copied().unwrap_or(0.0))), "{count}");

            let mut to = vec![MARK; count + 1];
            // SAFETY: `to` has room for `count` values.
            unsafe { loaded.store_part(to.as_mut_ptr(), count) };
            assert!((0..count).all(|i| same(to[i], from[i])) && to[count] == MARK, "{count}: {to:?}");

            let halves: Vec<u16> = from.iter().map(|&value| to_bf16(value)).collect();
            // SAFETY: `halves` has `count` values.
            let widened = unsafe { s.load_bf16_part(halves.as_ptr(), count) }.to_array();
            assert!(
                (0..S::LEN).all(|i| same(widened[i], halves.get(i).map_or(0.0, |&half| from_bf16(half))))
            );

            let mut rounded = vec![7u16; count + 1];
            // SAFETY: `rounded` has room for `count` values.
            unsafe { loaded.store_bf16_part(rounded.as_mut_ptr(), count) };
            assert!(rounded[..count] == halves[..] && rounded[count] == 7, "{count}: {rounded:?} {halves:?}");

            let source: Vec<u8> = (0..count).map(|i| (i * 37) as u8 ^ 0x80).collect();
            // SAFETY: `source` has `count` bytes.
            let bytes = unsafe { s.load_u8_part(source.as_ptr(), count) }.to_array();
            assert!((0..S::LEN).all(|i| bytes[i] == source.get(i).copied().map_or(0.0, f32::from)));
        }
        for values in VALUES.windows(S::LEN) {
            let vector = s.load_slice(values);
            for count in 0..=S::LEN {
                let mut bytes = vec![9u8; count + 1];
                // SAFETY: `bytes` has room for `count` values.
                unsafe { vector.store_u8_part(bytes.as_mut_ptr(), count) };
                let expected: Vec<u8> =
                    values[..count].iter().map(|v| v.round_ties_even() as u8).chain([9]).collect();
                assert_eq!(bytes, expected, "{values:?}");
            }
        }
        let integers: Vec<i32> = (0..S::LEN as i32).map(|i| i * 1_000_003 - 8_000_000).collect();
        let mut stored = vec![0i32; S::LEN];
        // SAFETY: both have `LEN` values.
        unsafe {
            let loaded = s.load_i32(integers.as_ptr());
            (loaded + s.splat_i32(5)).store(stored.as_mut_ptr());
            let floats = loaded.to_f32().to_array();
            assert!((0..S::LEN).all(|i| floats[i] == integers[i] as f32 && stored[i] == integers[i] + 5));
        }
        let (side, stride, to_stride) = (S::SQUARE, S::SQUARE + 3, S::SQUARE + 1);
        let square: Vec<f32> = (0..side * stride).map(|i| i as f32).collect();
        let mut transposed = vec![MARK; side * to_stride];
        // SAFETY: both have `SQUARE` rows.
        unsafe { s.transpose(square.as_ptr(), stride, transposed.as_mut_ptr(), to_stride) };
        for (i, j) in (0..side).flat_map(|i| (0..to_stride).map(move |j| (i, j))) {
            let expected = if j < side { square[j * stride + i] } else { MARK };
            assert_eq!(transposed[i * to_stride + j], expected);
        }
    }
}

#[test]
fn memory_is_touched_where_it_should_be() {
    for isa in Isa::available() {
        dispatch(isa, Memory);
    }
}

/// Pseudo-random 32-bit values.
fn random(len: usize, seed: u32) -> Vec<u32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    (0..len).map(|_| next() << 16 | next()).collect()
}

/// Sums of a [`Dot`] against a definition, with the operands taken from memory and one splat.
#[inline(always)]
fn products<D: Dot>(
    dot: D,
    lhs: D::Unit,
    rhs: &[D::Unit],
    sum: &[u32],
    store: impl Fn(D::Sum) -> [f64; 16],
) -> [f64; 16] {
    // SAFETY: the slices have a vector of values each.
    unsafe {
        let rhs = dot.load_units(rhs.as_ptr());
        store(dot.dot(dot.load_sum(sum.as_ptr()), dot.splat(lhs), rhs))
    }
}

struct FusedProducts;

impl Kernel for FusedProducts {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // Products halfway between two f32, and sums that f64 does not have, or that are subnormal.
        let half = 1.0 + f32::powi(2.0, -12);
        let tiny = f32::powi(2.0, -100);
        let mut cases = vec![
            [half, half, 0.0],
            [half, half, tiny],
            [half, half, -tiny],
            [-half, half, tiny],
            [-half, half, -tiny],
            [half, 4096.0, f32::powi(2.0, -13)],
            [1.5e-30, 1.0e-12, 1.0e-42],
            [1.5e-30, -1.0e-15, 1.0e-42],
            [f32::MIN_POSITIVE, 0.5, 3.0e-45],
            [f32::MIN_POSITIVE, 0.5 + f32::EPSILON, 0.0],
            [f32::MAX, 2.0, f32::MIN],
            [f32::MAX, 2.0, 0.0],
            [0.0, f32::INFINITY, 1.0],
            [1.0, f32::NAN, 1.0],
            [0.0, -1.0, 0.0],
            [-1.0, 0.0, -0.0],
        ];
        // All exponents, then those near of each other.
        cases.extend((0..2000).map(|seed| [0, 1, 2].map(|i| f32::from_bits(random(3, seed)[i]))));
        let near = |bits: u32| f32::from_bits(0x3f80_0000 ^ (bits & 0x83ff_ffff));
        cases.extend((0..2000).map(|seed| [0, 1, 2].map(|i| near(random(3, seed + 5000)[i]))));
        for group in cases.chunks(S::LEN) {
            let lanes = |i: usize| s.load_slice(&group.iter().map(|case| case[i]).collect::<Vec<_>>());
            let found = lanes(0).fused_mul_add(lanes(1), lanes(2)).to_array();
            for (&[a, b, c], found) in group.iter().zip(found) {
                let expected = a.mul_add(b, c);
                let equal = found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
                assert!(equal, "{:?}: {a:e} · {b:e} + {c:e}: {found:e} instead of {expected:e}", S::KIND);
            }
        }
    }
}

#[test]
fn fused_products_are_rounded_once() {
    for isa in Isa::available() {
        dispatch(isa, FusedProducts);
    }
}

struct Int8Products;

impl KernelInt8 for Int8Products {
    type Output = ();
    #[inline(always)]
    fn run<S: SimdInt8>(self, s: S) {
        // The extremes, where 16-bit sums would saturate, and random ones.
        let mut cases = vec![(0xffff_ffff, vec![0x8080_8080; 16]), (0xffff_ffff, vec![0x7f7f_7f7f; 16])];
        cases.extend((0..200).map(|seed| (random(1, seed)[0], random(16, seed + 1000))));
        let sums: Vec<u32> = random(16, 5).iter().map(|value| value >> 4).collect();
        for (lhs, rhs) in cases {
            let found = products(DotInt8(s), lhs, &rhs, &sums, |sum| {
                let mut lanes = [0i32; 16];
                // SAFETY: no vector has more than sixteen lanes.
                unsafe { sum.store(lanes.as_mut_ptr()) };
                lanes.map(f64::from)
            });
            for lane in 0..S::LEN {
                let quads = lhs.to_le_bytes().into_iter().zip(rhs[lane].to_le_bytes());
                let dot: i32 = quads.map(|(a, b)| i32::from(a) * i32::from(b as i8)).sum();
                let expected = f64::from(sums[lane].cast_signed() + dot);
                assert_eq!(found[lane], expected, "{:?}: {lhs:x} · {:x}", S::KIND, rhs[lane]);
            }
        }
    }
}

#[test]
fn byte_products_are_exact() {
    for int8 in Isa::available().into_iter().flat_map(Isa::int8_available) {
        dispatch_int8(int8, Int8Products);
    }
}

struct Bf16Products;

impl KernelBf16 for Bf16Products {
    type Output = ();
    #[inline(always)]
    fn run<S: SimdBf16>(self, s: S) {
        let value = |bits: u32| f64::from(from_bf16(bits as u16));
        let finite = |len: usize, seed: u32| -> Vec<u32> {
            let half = |bits: u32| u32::from(to_bf16((bits & 0xffff) as f32 / 4096.0 - 8.0));
            random(len, seed).iter().map(|&bits| half(bits) | half(bits >> 16) << 16).collect()
        };
        for seed in 0..200 {
            let (lhs, rhs) = (finite(1, seed)[0], finite(16, seed + 1000));
            let sums: Vec<u32> = (0..16).map(|i| (i as f32 * 0.25 - 1.0).to_bits()).collect();
            let found = products(DotBf16(s), lhs, &rhs, &sums, |sum| sum.to_array().map(f64::from));
            for lane in 0..S::LEN {
                let expected = f64::from(f32::from_bits(sums[lane]))
                    + value(lhs) * value(rhs[lane])
                    + value(lhs >> 16) * value(rhs[lane] >> 16);
                assert!((found[lane] - expected).abs() <= 1e-5 * (1.0 + expected.abs()), "{seed} {lane}");
            }
        }
        for counts in (0..=S::LEN).flat_map(|a| [0, 1, S::LEN].map(|b| (a, b))) {
            let (first, second): (Vec<u16>, Vec<u16>) = (
                (0..counts.0 as u16).map(|i| i + 100).collect(),
                (0..counts.1 as u16).map(|i| i + 200).collect(),
            );
            let mut pairs = [0u32; 16];
            // SAFETY: the vectors have `counts` values, the array has room for sixteen.
            unsafe {
                s.store_pairs(s.interleave(first.as_ptr(), second.as_ptr(), counts), pairs.as_mut_ptr());
            }
            for lane in 0..S::LEN {
                let at = |half: &[u16]| half.get(lane).copied().map_or(0, u32::from);
                assert_eq!(pairs[lane], at(&first) | at(&second) << 16, "{counts:?}");
            }
        }
        for values in VALUES.windows(S::LEN) {
            let (first, second) = (s.load_slice(values), s.load_slice(&VALUES));
            let (mut pairs, mut halves, mut copied) = ([0u32; 16], [0u16; 16], [0u16; 16]);
            // SAFETY: the arrays have room for sixteen values.
            unsafe {
                s.store_pairs(s.round_pairs(first, second), pairs.as_mut_ptr());
                s.store_bf16(first, halves.as_mut_ptr());
                s.copy_bf16(halves.as_ptr(), copied.as_mut_ptr());
            }
            for lane in 0..S::LEN {
                let same = |bits: u32, value: f32| same(from_bf16(bits as u16), round_bf16(value));
                assert!(
                    same(pairs[lane], values[lane]) && same(pairs[lane] >> 16, VALUES[lane]),
                    "{values:?}"
                );
                assert!(
                    same(u32::from(halves[lane]), values[lane]) && copied[lane] == halves[lane],
                    "{values:?}"
                );
            }
        }
    }
}

#[test]
fn bf16_products_and_conversions_equal_their_definition() {
    for bf16 in Isa::available().into_iter().filter_map(Isa::bf16) {
        dispatch_bf16(bf16, Bf16Products);
    }
}

#[test]
fn the_kind_of_a_set_finds_it_again() {
    for isa in Isa::available() {
        assert_eq!(Isa::detect(isa.kind()), Some(isa));
    }
    assert_eq!(Isa::available().last(), Some(&Isa::PORTABLE));
}

#[cfg(target_arch = "x86_64")]
mod vbmi {
    use super::*;

    struct Tables;

    impl KernelVbmi for Tables {
        type Output = ();
        #[inline(always)]
        fn run(self, s: Avx512Vbmi) {
            for len in [0usize, 3, 60, 63, 66, 129, 189, 192] {
                let pixels: Vec<u8> = (0..len).map(|i| (i * 7 + 1) as u8).collect();
                let mut channels = [[9u8; 64]; 3];
                let [r, g, b] = &mut channels;
                s.split_rgb(&pixels, [r, g, b]);
                for (c, channel) in channels.iter().enumerate() {
                    for (x, &value) in channel.iter().enumerate() {
                        assert_eq!(value, pixels.get(3 * x + c).copied().unwrap_or(0), "{len} {c} {x}");
                    }
                }
            }
            let table: [u8; 128] = std::array::from_fn(|i| (i * 5) as u8);
            let indices: [i32; 16] = std::array::from_fn(|i| (i as i32 * 37) % 128);
            let found = s.lookup_128(&table, s.indices(&indices)).to_array();
            assert!((0..16).all(|i| found[i] == f32::from(table[indices[i] as usize])));
            let table: [f32; 256] = std::array::from_fn(|i| (i * i) as f32);
            let registers = s.load_table(&table);
            for i in 0..32 {
                let values: [f32; 16] = std::array::from_fn(|lane| (i * 16 + lane) as f32 / 2.0 - 0.5);
                let mut found = [0.0; 16];
                s.store_slice(s.lookup_256(&registers, s.load_slice(&values)), &mut found);
                for (value, found) in values.iter().zip(found) {
                    assert_eq!(found, table[value.round_ties_even().clamp(0.0, 255.0) as usize], "{value}");
                }
            }
        }
    }

    #[test]
    fn tables_in_registers_equal_tables_in_memory() {
        if let Some(vbmi) = Avx512Vbmi::detect() {
            vbmi.dispatch(Tables);
        }
    }
}
