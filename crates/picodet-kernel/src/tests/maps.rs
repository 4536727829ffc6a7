//! Pools, resizes, sums, activations, copies and rounding.

use super::{ACTIVATIONS, MARK, check, exact, extents, report, values};
use crate::elementwise::{Elementwise, Kind, elementwise};
use crate::pool::{SumPixels, sum_pixels};
use crate::round::{Round, round};
use crate::{ChannelRange, DType, transpose};
use picodet_simd::{Isa, IsaKind, from_bf16, to_bf16};

#[test]
fn values_are_rounded_as_one_by_one() {
    for (isa, bf16) in Isa::available().into_iter().filter_map(|isa| Some((isa, isa.bf16()?))) {
        for columns in extents() {
            let (pixels, source_stride, out_stride) = (3, columns + 2, columns + 5);
            let mut source = values(pixels * source_stride, 8);
            source[0] = f32::INFINITY;
            source[columns - 1] = f32::NAN;
            let mut out = vec![to_bf16(MARK); pixels * out_stride];
            let args = Round {
                source: source.as_ptr(),
                source_stride,
                pixels,
                columns,
                out: unsafe { out.as_mut_ptr().add(1) },
                out_stride,
            };
            unsafe { round(bf16, &args) };
            for (index, &found) in out.iter().enumerate() {
                let (pixel, column) = (index / out_stride, (index % out_stride).wrapping_sub(1));
                let expected = if column < columns { source[pixel * source_stride + column] } else { MARK };
                let same = found == to_bf16(expected) || expected.is_nan() && from_bf16(found).is_nan();
                assert!(
                    same,
                    "{isa} {columns} columns: element {index} is {} of {expected}",
                    from_bf16(found)
                );
            }
        }
    }
}

#[test]
fn pools_and_resizes_equal_their_definition() {
    let mut wrong = Vec::new();
    for isa in Isa::available() {
        for (height, width) in extents().into_iter().flat_map(|h| extents().into_iter().map(move |w| (h, w)))
        {
            let channels = 1 + (height * 7 + width) % if height * width > 300 { 19 } else { 37 };
            let source = values(height * width * channels, 8);
            let at = |y: usize, x: usize, c: usize| f64::from(source[(y * width + x) * channels + c]);
            let ranges = [ChannelRange { source: 0, other: 0, destination: 1, len: channels }];
            let out_stride = channels + 2;
            let go = |kind, (rows, out_width): (usize, usize)| {
                let mut out = vec![MARK; rows * out_width * out_stride];
                let args = Elementwise {
                    kind,
                    source: source.as_ptr(),
                    source_stride: channels,
                    size: (height, width),
                    other: std::ptr::null(),
                    other_stride: 0,
                    out: out.as_mut_ptr(),
                    out_stride,
                    out_width,
                    rows: 0..rows,
                    ranges: &ranges,
                };
                unsafe { elementwise(isa, &args) };
                out
            };
            let case = format!("{isa} {height}x{width}x{channels}");
            let pooled = go(Kind::MaxPool, (height.div_ceil(2), width.div_ceil(2)));
            let largest = |cell: usize, c: usize| {
                let (y, x) = (2 * (cell / width.div_ceil(2)), 2 * (cell % width.div_ceil(2)));
                let rows = y.saturating_sub(1)..(y + 2).min(height);
                let cells = rows.flat_map(|y| (x.saturating_sub(1)..(x + 2).min(width)).map(move |x| (y, x)));
                cells.map(|(y, x)| at(y, x, c)).fold(f64::NEG_INFINITY, f64::max)
            };
            check(&format!("max pool {case}"), &pooled, out_stride, (1, channels), largest, &mut wrong);
            let larger = go(Kind::Upsample, (2 * height, 2 * width));
            let nearest = |cell: usize, c: usize| at(cell / (2 * width) / 2, cell % (2 * width) / 2, c);
            check(&format!("upsample {case}"), &larger, out_stride, (1, channels), nearest, &mut wrong);
            let mut sums = vec![MARK; channels + 2];
            let args = SumPixels {
                source: source.as_ptr(),
                source_stride: channels,
                dtype: DType::F32,
                pixels: height * width,
                ranges: &ranges,
                out: sums.as_mut_ptr(),
            };
            unsafe { sum_pixels(isa, &args) };
            let halves: Vec<u16> = source.iter().map(|&value| to_bf16(value)).collect();
            let rounded: Vec<f32> = halves.iter().map(|&half| from_bf16(half)).collect();
            let [mut found, mut expected] = [vec![MARK; channels + 2], vec![MARK; channels + 2]];
            let out = found.as_mut_ptr();
            let bf16 = SumPixels { source: halves.as_ptr().cast(), dtype: DType::Bf16, out, ..args };
            unsafe { sum_pixels(isa, &bf16) };
            let args = SumPixels { source: rounded.as_ptr(), out: expected.as_mut_ptr(), ..args };
            unsafe { sum_pixels(isa, &args) };
            if found != expected {
                wrong.push(format!("bf16 sum {case}"));
            }
            // Means, so that rounding is of the size of the values.
            sums[1..=channels].iter_mut().for_each(|sum| *sum /= (height * width) as f32);
            let mean = |_: usize, c: usize| {
                let sum: f64 = (0..height * width).map(|cell| at(cell / width, cell % width, c)).sum();
                sum / (height * width) as f64
            };
            check(&format!("sum {case}"), &sums, channels + 2, (1, channels), mean, &mut wrong);
            // Backwards, and in whole ranges with a gap.
            let columns: Vec<usize> = match height % 2 {
                0 => (0..channels).rev().collect(),
                _ => (0..channels).map(|c| (c + channels / 3) % channels).collect(),
            };
            let (pixels, plane) = (height * width, height * width + 3);
            let mut planes = vec![MARK; channels * plane];
            let act = ACTIVATIONS[width % 8];
            let args = transpose::ToPlanes {
                source: source.as_ptr(),
                stride: channels,
                columns: &columns,
                pixels,
                out: planes.as_mut_ptr(),
                plane,
                act,
            };
            unsafe { transpose::to_planes(isa, &args) };
            let plain = |c: usize, cell: usize| exact(at(cell / width, cell % width, columns[c]), act);
            check(&format!("planes {case} {act:?}"), &planes, plane, (0, pixels), plain, &mut wrong);
            let args = transpose::ToPlanes { act: None, ..args };
            unsafe { transpose::to_planes(isa, &args) };
            let mut back = vec![0.0; source.len()];
            unsafe {
                transpose::from_planes(planes.as_ptr(), plane, &columns, pixels, back.as_mut_ptr(), channels);
            }
            if back != source {
                wrong.push(format!("planes and back {case}"));
            }
        }
    }
    report(&wrong);
}

#[test]
fn activations_equal_their_definition_and_keep_nan() {
    let mut wrong = Vec::new();
    let values: Vec<f32> =
        (-4000..=4000).step_by(if cfg!(miri) { 100 } else { 1 }).map(|i| i as f32 / 40.0).collect();
    let hostile = [f32::NAN, 1e30, -1e30, 3.0, -3.0, 0.0, -0.0];
    let source: Vec<f32> = values.iter().copied().chain(hostile).collect();
    let ranges = [ChannelRange { source: 0, other: 0, destination: 0, len: source.len() }];
    for isa in Isa::available() {
        for act in ACTIVATIONS {
            let mut out = vec![0.0; source.len()];
            let args = Elementwise {
                kind: Kind::Activate(act),
                source: source.as_ptr(),
                source_stride: source.len(),
                size: (1, 1),
                other: std::ptr::null(),
                other_stride: 0,
                out: out.as_mut_ptr(),
                out_stride: source.len(),
                out_width: 1,
                rows: 0..1,
                ranges: &ranges,
            };
            unsafe { elementwise(isa, &args) };
            for (&x, &y) in source.iter().zip(&out) {
                let expected = exact(f64::from(x), act);
                // Relative, and absolute near zero; the exponential is clipped where sigmoid is below 1e-37.
                let scale = expected.abs() + if x.abs() < 1e3 { 1.0 } else { 1e-30 };
                let close = (f64::from(y) - expected).abs() <= 4e-7 * scale;
                // With relaxed SIMD the compiler may lose NaN in plain Rust, of which such modules have no kernels.
                if x.is_nan() && cfg!(target_feature = "relaxed-simd") && isa.kind() == IsaKind::Portable {
                    continue;
                }
                if x.is_nan() != y.is_nan() || (!x.is_nan() && !close) {
                    wrong.push(format!("{isa} {act:?} of {x}: {y} instead of {expected}"));
                }
            }
        }
    }
    report(&wrong);
}

#[test]
fn a_pool_keeps_nan_and_infinities() {
    let mut wrong = Vec::new();
    for isa in Isa::available() {
        for place in 0..9 {
            let mut source = [1.0f32; 9 * 5];
            source[place * 5 + 3] = f32::NAN;
            // Their sum is NaN, their maximum is not.
            source[place * 5 + 2] = f32::INFINITY;
            source[(place + 1) % 9 * 5 + 2] = f32::NEG_INFINITY;
            let ranges = [ChannelRange { source: 0, other: 0, destination: 0, len: 5 }];
            let mut out = vec![0.0; 4 * 5];
            let args = Elementwise {
                kind: Kind::MaxPool,
                source: source.as_ptr(),
                source_stride: 5,
                size: (3, 3),
                other: std::ptr::null(),
                other_stride: 0,
                out: out.as_mut_ptr(),
                out_stride: 5,
                out_width: 2,
                rows: 0..2,
                ranges: &ranges,
            };
            unsafe { elementwise(isa, &args) };
            for (cell, values) in out.chunks(5).enumerate() {
                let (y, x) = (2 * (cell / 2), 2 * (cell % 2));
                let reads = (place / 3).abs_diff(y) <= 1 && (place % 3).abs_diff(x) <= 1;
                let largest = if reads { f32::INFINITY } else { 1.0 };
                if values[3].is_nan() != reads || values[2] != largest {
                    wrong.push(format!("{isa} NaN at {place}, cell {cell}: {values:?}"));
                }
            }
        }
    }
    report(&wrong);
}
