use picodet_graph::quantised::ByteStore;
use picodet_graph::{Activation, Builder, MapQuantisation, QuantisedConvolution};
use picodet_testing::Noise;

use super::*;

/// A convolution of the image and one of its result, with weights and zero points at their extremes too.
struct Network {
    graph: Graph,
    quantisation: Quantisation,
    size: (usize, usize),
}

const SIZE: (usize, usize) = (32, 64);
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

fn network(channels: usize, kernel: usize, stride: usize, groups: usize) -> Network {
    let mut noise = Noise::new(7);
    let mut g = Builder::new();
    let image = g.input();
    let stem = g.scope("stem", |g| g.convolution(image, channels, 3, 2, 1));
    let x = g.activation(stem, Activation::HardSwish);
    let y = g.scope("second", |g| g.convolution(x, channels, kernel, stride, groups));
    let act = g.scope("second", |g| g.activation(y, Activation::Relu6));
    g.output("result", act);
    let graph = g.finish();
    let mut integer = move |limit: f64| ((noise.unit() * 2.0 - 1.0) * limit).round();
    let mut convolution = |rows: usize, scale: f32| QuantisedConvolution {
        weight: (0..channels * rows).map(|_| (integer(150.0) as i32).clamp(-127, 127) as i8).collect(),
        scale: (0..channels).map(|_| scale * (1.0 + integer(100.0) as f32 / 300.0)).collect(),
        bias: (0..channels).map(|_| integer(1000.0) as f32 / 500.0).collect(),
    };
    let rows = channels / groups * kernel * kernel;
    let mut quantisation = Quantisation { mean: MEAN, std: STD, ..Quantisation::default() };
    quantisation.convolutions.insert("stem.conv".to_owned(), convolution(27, 2e-4));
    quantisation.convolutions.insert("second.conv".to_owned(), convolution(rows, 3e-4));
    let zeros = |first: u8| (0..channels).map(|c| [first, 0, 255, 128][c % 4]).collect::<Vec<u8>>();
    for (name, scale, first) in [("act", 0.031f32, 12), ("second.act", 0.024, 3)] {
        let map = MapQuantisation { scale: vec![scale; channels], zero: zeros(first) };
        quantisation.maps.insert(name.to_owned(), map);
    }
    Network { graph, quantisation, size: SIZE }
}

/// Weights that are not read.
fn unused(graph: &Graph) -> Weights {
    let tensor = |shape: &[usize]| picodet_graph::Tensor::full(shape, 0.0);
    graph.params.iter().map(|param| (param.name.clone(), tensor(&param.shape))).collect()
}

fn bytes_of(values: &[Option<QuantisedValue>], index: usize) -> Tensor4<u8> {
    match &values[index] {
        Some(QuantisedValue::Bytes(bytes)) => bytes.clone(),
        other => panic!("no bytes: {other:?}"),
    }
}

/// The sum of one output in integers; `taps` also receives the weights inside the map.
fn sum(
    x: &Tensor4<u8>,
    convolution: &QuantisedConvolution,
    op: (usize, usize, usize),
    [o, y, z]: [usize; 3],
    mut tap: impl FnMut(usize, i32),
    zero: &dyn Fn(usize) -> i32,
) -> i32 {
    let [_, channels, height, width] = x.shape;
    let (kernel, stride, groups) = op;
    let outputs = convolution.scale.len() / groups;
    let inputs = channels / groups;
    let pad = (kernel / 2) as isize;
    let mut sum = 0;
    for i in 0..inputs {
        let channel = o / outputs * inputs + i;
        for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
            let (sy, sx) = ((y * stride + ky) as isize - pad, (z * stride + kx) as isize - pad);
            if sy < 0 || sx < 0 || sy >= height as isize || sx >= width as isize {
                continue;
            }
            let weight = i32::from(convolution.weight[((o * inputs + i) * kernel + ky) * kernel + kx]);
            let q = x.data[(channel * height + sy as usize) * width + sx as usize];
            sum += weight * (i32::from(q) - zero(channel));
            tap(channel, weight);
        }
    }
    sum
}

fn check(channels: usize, kernel: usize, stride: usize, groups: usize) {
    let Network { graph, quantisation, size } = network(channels, kernel, stride, groups);
    let executor =
        QuantisedReference::new(&graph, &unused(&graph), &quantisation, size).expect("a sound network");
    let mut noise = Noise::new(3);
    let pixels: Vec<u8> = (0..3 * size.0 * size.1).map(|_| (noise.unit() * 255.99) as u8).collect();
    let plane = size.0 * size.1;
    let normalised = |(index, &q): (usize, &u8)| {
        let c = index / plane;
        (f32::from(q) / 255.0 - MEAN[c]) / STD[c]
    };
    let image =
        Tensor4 { shape: [1, 3, size.0, size.1], data: pixels.iter().enumerate().map(normalised).collect() };
    let values = executor.run_values(&image).expect("an image of this size");
    let bytes = bytes_of(&values, 0);
    assert_eq!(bytes.data, pixels, "the image's own bytes");

    let stem = &quantisation.convolutions["stem.conv"];
    let first = bytes_of(&values, 2);
    for (index, &found) in first.data.iter().enumerate() {
        let position = [index / (16 * 32), index / 32 % 16, index % 32];
        let o = position[0];
        let mut means = 0.0;
        let add = |channel: usize, weight: i32| means += f64::from(weight) * 255.0 * f64::from(MEAN[channel]);
        let sum = sum(&bytes, stem, (3, 2, 1), position, add, &|_| 0);
        let bias = (f64::from(stem.bias[o]) - f64::from(stem.scale[o]) * means) as f32;
        let x = (sum as f32).mul_add(stem.scale[o], bias);
        let map = &quantisation.maps["act"];
        let store = ByteStore::new(Some(Activation::HardSwish), map.scale[o], map.zero[o]);
        assert_eq!(found, store.byte(x), "stem {position:?}");
    }
    let second = &quantisation.convolutions["second.conv"];
    let zero = |c: usize| i32::from(quantisation.maps["act"].zero[c]);
    let last = bytes_of(&values, 4);
    let [_, _, height, width] = last.shape;
    for (index, &found) in last.data.iter().enumerate() {
        let position = [index / (height * width), index / width % height, index % width];
        let o = position[0];
        let sum = sum(&first, second, (kernel, stride, groups), position, |_, _| {}, &zero);
        let x = (sum as f32).mul_add(second.scale[o], second.bias[o]);
        let map = &quantisation.maps["second.act"];
        let store = ByteStore::new(Some(Activation::Relu6), map.scale[o], map.zero[o]);
        assert_eq!(found, store.byte(x), "second {position:?}");
    }
}

#[test]
fn convolutions_are_sums_of_integers() {
    // Pointwise, depthwise, dense; with rows of weights whose sums f32 cannot hold.
    check(12, 1, 1, 1);
    check(8, 5, 2, 8);
    check(8, 3, 1, 1);
    check(64, 3, 2, 1);
}

#[test]
fn images_of_another_shape_and_unfit_scales_are_refused() {
    let Network { graph, mut quantisation, size } = network(4, 1, 1, 1);
    let executor = QuantisedReference::new(&graph, &unused(&graph), &quantisation, size).expect("sound");
    assert!(executor.run(&Tensor4::zeros([1, 3, 32, 32])).is_err());
    quantisation.maps.remove("act");
    let refused = QuantisedReference::new(&graph, &unused(&graph), &quantisation, size);
    let message = refused.expect_err("a map without scales").to_string();
    assert!(message.contains("second.conv: reads `act`, which has no scales"), "{message}");
}
