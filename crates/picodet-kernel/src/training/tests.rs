//! Every kernel on every instruction set: writes its map and no element next to it, with the values of plain Rust up to
//! rounding. The values themselves are tested against f64 by the operations of picodet-gradient.

use picodet_graph::{Activation, Convolution};
use picodet_simd::Isa;
use picodet_testing::noise;

use super::normalise::BatchNorm;
use super::resample::Interpolation;
use super::*;

/// Value of all elements that no map contains.
const GUARD: f32 = 7.25;
/// Images, height, width of the input.
const SIZE: [usize; 3] = if cfg!(miri) { [1, 4, 4] } else { [2, 6, 8] };

/// A kernel: its name, size and channels of its result, and a call.
type Case<'a> =
    (&'static str, [usize; 3], usize, Box<dyn Fn(&Executor, Map<'_>, MapMut<'_>, &mut Scratch) + 'a>);

fn convolution(kernel: usize, stride: usize, groups: usize, out_channels: usize) -> Convolution {
    Convolution { out_channels, kernel, stride, groups, bias: true }
}

/// Copies a vector of results to a map.
fn store(values: &[f32], mut out: MapMut<'_>) {
    let channels = out.channels();
    values.chunks(channels).enumerate().for_each(|(pixel, values)| out.pixel(pixel).copy_from_slice(values));
}

/// Kernels whose result is a map.
fn maps(c: usize, values: &[f32]) -> Vec<Case<'_>> {
    let [n, h, w] = SIZE;
    let (half, double) = ([n, h / 2, w / 2], [n, 2 * h, 2 * w]);
    let norm = move |activation| BatchNorm { scale: &values[..c], shift: &values[c..2 * c], activation };
    let mut cases: Vec<Case<'_>> = vec![
        (
            "pointwise",
            SIZE,
            c + 3,
            Box::new(move |e, x, out, _| {
                pointwise::forward(e, x, &values[..c * (c + 3)], Some(&values[..c + 3]), out);
            }),
        ),
        (
            "pointwise accumulated",
            SIZE,
            2,
            Box::new(move |e, x, out, _| {
                pointwise::product(e, x, &values[..2 * c], out, true);
            }),
        ),
        (
            "dense",
            half,
            5,
            Box::new(move |e, x, out, _| {
                dense::forward(e, &convolution(3, 2, 1, 5), x, &values[..45 * c], None, out);
            }),
        ),
        (
            "dense input gradient",
            SIZE,
            3,
            Box::new(move |e, dy, dx, _| {
                dense::input_gradient(e, &convolution(3, 1, 1, c), &values[..27 * c], dy, dx, false);
            }),
        ),
        (
            "max pool",
            half,
            c,
            Box::new(|e, x, out, _| {
                let mut argmax = vec![9; out.pixels() * out.channels()];
                resample::max_pool(e, x, out, Some(&mut argmax));
                assert!(argmax.iter().all(|&position| position < 9));
            }),
        ),
        (
            "max pool gradient",
            double,
            c,
            Box::new(|e, dy, dx, _| {
                let argmax: Vec<u8> = (0..dy.pixels() * dy.channels()).map(|i| [4, 5, 7, 8][i % 4]).collect();
                resample::max_pool_gradient(e, dy, &argmax, dx, false);
            }),
        ),
        ("upsample", double, c, Box::new(|e, x, out, _| resample::upsample(e, x, out))),
        ("upsample gradient", half, c, Box::new(|e, dy, dx, _| resample::upsample_gradient(e, dy, dx, true))),
        (
            "normalise",
            SIZE,
            c,
            Box::new(move |e, x, out, _| {
                normalise::apply(e, x, &norm(Some(Activation::HardSwish)), out);
            }),
        ),
        (
            "normalise gradient",
            SIZE,
            c,
            Box::new(move |e, x, dx, _| {
                let coefficients = [&values[..c], &values[c..2 * c]];
                normalise::input_gradient(e, x, Some(x), &norm(None), coefficients, dx, true);
            }),
        ),
        (
            "normalise gradient in place",
            SIZE,
            c,
            Box::new(move |e, x, dx, _| {
                let coefficients = [&values[..c], &values[c..2 * c]];
                normalise::input_gradient(e, x, None, &norm(Some(Activation::Relu)), coefficients, dx, false);
            }),
        ),
        ("interleave", SIZE, 2 * c, Box::new(|e, x, out, _| interleave(e, x, x, out))),
        ("sum of images", [n, 1, 1], c, Box::new(|e, x, out, _| sum_images(e, x, Some(x), 0.5, out))),
        (
            "bias gradient",
            [1, 1, 1],
            c,
            Box::new(move |e, dy, out, scratch| {
                let mut sums = vec![0.0; c];
                bias_gradient(e, dy, scratch, &mut sums);
                store(&sums, out);
            }),
        ),
        (
            "pointwise weight gradient",
            [1, 1, c],
            c,
            Box::new(move |e, x, out, scratch| {
                let mut sums = vec![0.0; c * c];
                pointwise::weight_gradient(e, x, x, scratch, &mut sums);
                store(&sums, out);
            }),
        ),
        (
            "dense weight gradient",
            [1, 9, c],
            c,
            Box::new(move |e, x, out, scratch| {
                let mut sums = vec![0.0; 9 * c * c];
                dense::weight_gradient(e, &convolution(3, 1, 1, c), x, x, scratch, &mut sums);
                store(&sums, out);
            }),
        ),
        (
            "moments",
            [1, 1, 2],
            c,
            Box::new(|e, x, out, scratch| {
                let sums = normalise::moments(e, x, scratch).concat();
                store(&sums.iter().map(|&sum| sum as f32).collect::<Vec<_>>(), out);
            }),
        ),
        (
            "gradient sums",
            [1, 1, 2],
            c,
            Box::new(move |e, x, out, scratch| {
                let norm = norm(Some(Activation::Relu6));
                let sums = normalise::gradient_sums(e, x, x, &norm, &values[..c], scratch).concat();
                store(&sums.iter().map(|&sum| sum as f32).collect::<Vec<_>>(), out);
            }),
        ),
    ];
    cases.extend(maps_of_every_kind(c, values));
    cases
}

/// The kernels that exist in several kinds.
fn maps_of_every_kind(c: usize, values: &[f32]) -> Vec<Case<'_>> {
    let [n, h, w] = SIZE;
    let (half, double) = ([n, h / 2, w / 2], [n, 2 * h, 2 * w]);
    let mut cases: Vec<Case<'_>> = Vec::new();
    if c.is_multiple_of(2) {
        cases.push(("deinterleave", SIZE, c / 2, Box::new(|e, x, out, _| deinterleave(e, x, 1, out, true))));
    }
    for (kernel, stride) in [(3, 1), (5, 1), (3, 2), (5, 2)] {
        let len = kernel * kernel * c;
        let (small, large) = if stride == 1 { (SIZE, SIZE) } else { (half, double) };
        cases.push((
            "depthwise",
            small,
            c,
            Box::new(move |e, x, out, _| {
                depthwise::forward(e, &convolution(kernel, stride, c, c), x, &values[..len], None, out);
            }),
        ));
        cases.push((
            "depthwise input gradient",
            large,
            c,
            Box::new(move |e, dy, dx, _| {
                let op = convolution(kernel, stride, c, c);
                depthwise::input_gradient(e, &op, &values[..len], dy, dx, true);
            }),
        ));
    }
    cases.push((
        "depthwise weight gradient",
        [1, 5, 5],
        c,
        Box::new(move |e, x, out, scratch| {
            let mut sums = vec![0.0; 25 * c];
            depthwise::weight_gradient(e, &convolution(5, 1, c, c), x, x, scratch, &mut sums);
            store(&sums, out);
        }),
    ));
    for interpolation in [Interpolation::Average, Interpolation::Bilinear] {
        cases.push((
            "interpolation",
            half,
            c,
            Box::new(move |e, x, out, _| {
                resample::interpolate(e, interpolation, x, out);
            }),
        ));
        cases.push((
            "interpolation gradient",
            double,
            c,
            Box::new(move |e, dy, dx, _| {
                resample::interpolate_gradient(e, interpolation, dy, dx, false);
            }),
        ));
    }
    let factors = Factors::PerChannel(&values[..c]);
    for kind in 0..7 {
        cases.push((
            "elementwise",
            SIZE,
            c,
            Box::new(move |e, x, out, _| {
                let operation = match kind {
                    0 => Elementwise::Zero,
                    1 => Elementwise::Copy(x),
                    2 => Elementwise::Add(x, x),
                    3 => Elementwise::Scale(x, factors),
                    4 => Elementwise::Broadcast(factors),
                    5 => Elementwise::Activate(Activation::Sigmoid, x),
                    _ => Elementwise::ActivateBackward(Activation::HardSwish, x, x),
                };
                elementwise(e, &operation, out, kind % 2 == 1);
            }),
        ));
    }
    cases
}

/// Runs a case between guards, checks them, and returns the result.
fn run(executor: &Executor, (name, size, channels, kernel): &Case<'_>, c: usize, values: &[f32]) -> Vec<f32> {
    let x = Region { offset: 2, stride: c + 3, channels: c, size: SIZE };
    let start = 2 + (c + 3) * SIZE.iter().product::<usize>();
    let out = Region { offset: start + 5, stride: channels + 4, channels: *channels, size: *size };
    let len = out.offset + out.stride * size.iter().product::<usize>();
    let whole = Region { offset: 0, stride: 1, channels: 1, size: [1, 1, len] };
    let mut arena = Arena::default();
    arena.reserve(len).expect("memory");
    let ([], [all]) = arena.claim([], [whole]);
    elementwise(executor, &Elementwise::Broadcast(Factors::PerChannel(&[GUARD])), all, false);
    let ([], [mut map, mut result]) = arena.claim([], [x, out]);
    for (pixel, values) in values.chunks_exact(c).take(map.pixels()).enumerate() {
        map.pixel(pixel).copy_from_slice(values);
    }
    (0..result.pixels()).for_each(|pixel| result.pixel(pixel).fill(0.5));
    let ([map], [result]) = arena.claim([x], [out]);
    kernel(executor, map, result, &mut Scratch::default());
    let ([all, result], []) = arena.claim([whole, out], []);
    let is_inside = |index: usize, region: &Region| {
        let (first, pixels) = (region.offset, region.size.iter().product::<usize>());
        index >= first
            && index < first + pixels * region.stride
            && (index - first) % region.stride < region.channels
    };
    for index in (0..len).filter(|&index| !is_inside(index, &x) && !is_inside(index, &out)) {
        assert!(all.pixel(index)[0] == GUARD, "{name} of {c} channels writes element {index}");
    }
    (0..result.pixels()).flat_map(|pixel| result.pixel(pixel).to_vec()).collect()
}

#[test]
fn kernels_write_their_maps_only_and_agree_on_all_instruction_sets() {
    // Miri interprets plain Rust.
    let channels: &[usize] = if cfg!(miri) { &[6] } else { &[2, 5, 16, 19, 40, 70] };
    for &c in channels {
        let values = noise(9 * c * (c + 3) + 100 * c, c as u64);
        for case in maps(c, &values) {
            let portable = Executor { pool: ThreadPool::new(1), isa: Isa::PORTABLE };
            let expected = run(&portable, &case, c, &values);
            for isa in Isa::available() {
                let executor = Executor { pool: ThreadPool::new(if cfg!(miri) { 1 } else { 2 }), isa };
                let found = run(&executor, &case, c, &values);
                let wrong = found.iter().zip(&expected).position(|(found, expected)| {
                    let difference = (found - expected).abs();
                    difference.is_nan() || difference > 1e-4 * (1.0 + expected.abs())
                });
                assert!(wrong.is_none(), "{} of {c} channels on {isa}: {wrong:?}", case.0);
            }
        }
    }
}
