//! Depthwise convolutions in both precisions.

use super::{ACTIVATIONS, MARK, check, check_within, exact, extents, report, taps, values};
use crate::depthwise::bf16::{depthwise_bf16, fits, pack_depthwise_bf16};
use crate::depthwise::{Depthwise, DepthwiseBf16, depthwise};
use crate::{ChannelRange, DType};
use picodet_simd::{Isa, from_bf16, to_bf16};

#[test]
fn depthwise_convolutions_equal_their_definition() {
    let mut wrong = Vec::new();
    let mut case = 0;
    let sizes = extents();
    for isa in Isa::available() {
        for (&height, &width) in sizes.iter().flat_map(|h| sizes.iter().map(move |w| (h, w))) {
            for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1), (7, 3)] {
                case += 1;
                // Two windows per large map, which differ from map to map.
                let large = height * width > 300;
                if (large && case % 5 > 1) || (cfg!(miri) && (case % 3 > 0 || height > 5)) {
                    continue;
                }
                let channels = if large || cfg!(miri) {
                    [1, 3, 17][case / 6 % 3]
                } else {
                    [1, 3, 9, 16, 21, 40][case % 6]
                };
                let act = ACTIVATIONS[case / 6 % 8];
                let source_stride = channels + 6;
                let source = values(height * width * source_stride, 5);
                let zeros = vec![0.0; source_stride];
                let weights = values(kernel * kernel * channels, 6);
                let bias = values(channels, 7);
                let half = channels / 2;
                let ranges = [
                    ChannelRange { source: 1, other: 0, destination: 0, len: half },
                    ChannelRange { source: half + 4, other: 0, destination: half, len: channels - half },
                ];
                let (rows, out_width) = (height.div_ceil(stride), width.div_ceil(stride));
                let out_stride = channels + 3;
                let mut out = vec![MARK; rows * out_width * out_stride];
                let args = |rows, out: *mut f32| Depthwise {
                    source: source.as_ptr(),
                    source_stride,
                    size: (height, width),
                    out,
                    out_stride,
                    out_width,
                    rows,
                    zeros: zeros.as_ptr(),
                    kernel,
                    stride,
                    ranges: &ranges,
                    weights: &weights,
                    bias: &bias,
                    act,
                };
                let pointer = unsafe { out.as_mut_ptr().add(2) };
                // In two bands, as two workers would.
                unsafe { depthwise(isa, &args(0..rows / 2, pointer)) };
                unsafe { depthwise(isa, &args(rows / 2..rows, pointer)) };
                // In bf16 the definition is that of rounded values.
                let expected = |round: fn(f32) -> f32, pixel: usize, c: usize| {
                    let channel = if c < half { c + 1 } else { c + 4 };
                    let mut sum = f64::from(bias[c]);
                    for (tap, from) in taps(pixel, out_width, (height, width), kernel, stride) {
                        let Some(from) = from else { continue };
                        let value = round(source[from * source_stride + channel]);
                        sum += f64::from(value) * f64::from(round(weights[tap * channels + c]));
                    }
                    exact(sum, act)
                };
                let name = format!("{isa} {kernel}x{kernel}/{stride} on {height}x{width}x{channels} {act:?}");
                let wide = |pixel, c| expected(|value| value, pixel, c);
                check(&name, &out, out_stride, (2, channels), wide, &mut wrong);
                let Some(bf16) = isa.bf16().filter(|_| fits(isa, kernel, stride, out_width)) else {
                    continue;
                };
                let packed = pack_depthwise_bf16(&ranges, kernel, stride, &weights, isa.lanes());
                let halves: Vec<u16> = source.iter().map(|&value| to_bf16(value)).collect();
                let dtype = |bf16: bool| if bf16 { DType::Bf16 } else { DType::F32 };
                let (source_dtype, out_dtype) = (dtype(case % 3 > 0), dtype(case % 2 > 0));
                let mut half_out = vec![to_bf16(MARK); out.len()];
                out.fill(MARK);
                for part in [0..rows / 2, rows / 2..rows] {
                    let mut convolution = args(part, unsafe { out.as_mut_ptr().add(2) });
                    if source_dtype == DType::Bf16 {
                        convolution.source = halves.as_ptr().cast();
                    }
                    if out_dtype == DType::Bf16 {
                        convolution.out = unsafe { half_out.as_mut_ptr().add(2).cast() };
                    }
                    let args = DepthwiseBf16 { convolution, weights: &packed, source_dtype, out_dtype };
                    unsafe { depthwise_bf16(bf16, &args) };
                }
                if out_dtype == DType::Bf16 {
                    out = half_out.iter().map(|&half| from_bf16(half)).collect();
                }
                let tolerance = 2e-5 + if out_dtype == DType::Bf16 { 0.004 } else { 0.0 };
                let name = format!("{name} bf16, {source_dtype:?} to {out_dtype:?}");
                let rounded = |pixel, c| expected(|value| from_bf16(to_bf16(value)), pixel, c);
                check_within(tolerance, &name, &out, out_stride, (2, channels), rounded, &mut wrong);
            }
        }
    }
    report(&wrong);
}
