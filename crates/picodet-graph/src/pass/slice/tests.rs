use super::*;
use crate::{Activation, Builder, Tensor, Weights};

/// Values of parameters: their own positions, by which copies can be identified.
fn positions(graph: &Graph) -> Weights {
    let values = |param: &Param| Tensor {
        shape: param.shape.clone(),
        data: (0..param.len()).map(|at| at as f32).collect(),
    };
    graph.params.iter().map(|param| (param.name.clone(), values(param))).collect()
}

/// A ghost convolution of `width` channels with a gate, a shuffle and a halved result.
fn ghost(width: usize) -> Graph {
    let mut g = Builder::new();
    let image = g.input();
    let computed = g.scope("computed", |g| g.convolution(image, width, 1, 1, 1));
    let cheap = g.scope("cheap", |g| g.depthwise(computed, 3, 1));
    let both = g.concat(&[computed, cheap]);
    let squeezed = g.global_average_pool(both);
    let gate = g.scope("gate", |g| {
        let gate = g.pointwise_with_bias(squeezed, 2 * width, 0.0);
        g.activation(gate, Activation::Sigmoid)
    });
    let scaled = g.scale(both, gate);
    let shuffled = g.channel_shuffle(scaled);
    let result = g.scope("project", |g| g.convolution(shuffled, 4, 1, 1, 1));
    g.output("result", result);
    g.finish()
}

#[test]
fn both_halves_of_a_ghost_convolution_keep_their_own_channels() {
    let (large, small) = (ghost(4), ghost(2));
    let map = slice_map(&large, &small).expect("a slice");
    let weights = map.gather(&positions(&large)).expect("all parameters");
    // The halves of the concatenation begin at 0 and 4.
    assert_eq!(weights["gate.bias"].data, [0.0, 1.0, 4.0, 5.0]);
    // Rows 0, 1, 4, 5 and the same columns of a matrix of eight.
    let gate = &weights["gate.weight"];
    assert_eq!((&gate.data[..4], gate.data[15]), (&[0.0, 1.0, 4.0, 5.0][..], 45.0));
    // The shuffle moves 0, 1, 4, 5 to 0, 2, 1, 3.
    assert_eq!(weights["project.conv.weight"].data[..4], [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(weights["cheap.conv.weight"].data, (0..18).map(|at| at as f32).collect::<Vec<_>>());
}

#[test]
fn smaller_kernels_are_the_centre_of_larger_ones() {
    let network = |kernel| {
        let mut g = Builder::new();
        let image = g.input();
        g.depthwise(image, kernel, 2);
        g.finish()
    };
    let map = slice_map(&network(5), &network(3)).expect("a slice");
    let weights = map.gather(&positions(&network(5))).expect("all parameters");
    assert_eq!(weights["conv.weight"].data[..9], [6.0, 7.0, 8.0, 11.0, 12.0, 13.0, 16.0, 17.0, 18.0]);
    let error = slice_map(&network(3), &network(5)).expect_err("larger");
    assert_eq!(error.rule, SliceRule::Larger { available: 3, found: 5 });
}

#[test]
fn values_are_added_back_to_where_they_come_from() {
    let (large, small) = (ghost(5), ghost(3));
    let map = slice_map(&large, &small).expect("a slice");
    let mut sums: Weights = positions(&large);
    sums.values_mut().for_each(|tensor| tensor.data.fill(0.0));
    let mut ones = map.gather(&sums).expect("all parameters");
    ones.values_mut().for_each(|tensor| tensor.data.fill(1.0));
    map.scatter_add(&mut sums, &ones).expect("all parameters");
    map.scatter_add(&mut sums, &ones).expect("all parameters");
    let touched: f32 = sums.values().flat_map(|tensor| &tensor.data).sum();
    assert_eq!(touched as usize, 2 * small.params.iter().map(Param::len).sum::<usize>());
    let back = map.gather(&sums).expect("all parameters");
    assert!(back.values().flat_map(|tensor| &tensor.data).all(|&value| value == 2.0));

    sums.remove("gate.bias");
    let error = map.gather(&sums).expect_err("a missing parameter");
    assert_eq!(
        error.to_string(),
        "gate.bias is not part of the supernet: gate.bias is missing or has another shape"
    );
    assert!(map.scatter_add(&mut sums, &ones).is_err());
}

#[test]
fn networks_that_are_no_slices_are_refused_with_their_scope() {
    let sum = |width: usize, other: usize| {
        let mut g = Builder::new();
        let image = g.input();
        let a = g.scope("a", |g| g.convolution(image, width, 1, 1, 1));
        let b = g.scope("b", |g| g.convolution(image, width, 1, 1, 1));
        let both = g.concat(&[a, b]);
        let c = g.scope("c", |g| g.slice(both, other, width));
        g.add(a, c);
        g.finish()
    };
    // The supernet adds the second half of the concatenation, the sub-network parts of both.
    let error = slice_map(&sum(4, 4), &sum(2, 1)).expect_err("another part");
    assert_eq!((error.scope.as_str(), error.rule), ("c.slice", SliceRule::InsidePart));
    assert!(slice_map(&sum(4, 4), &sum(2, 2)).is_ok());

    let halves = |width: usize, swapped: bool| {
        let mut g = Builder::new();
        let image = g.input();
        let x = g.scope("x", |g| g.convolution(image, width, 1, 1, 1));
        let shuffled = g.channel_shuffle(x);
        let (first, second) = g.halves(shuffled);
        if swapped {
            g.add(second, first)
        } else {
            g.add(first, second)
        };
        g.finish()
    };
    // After a shuffle the halves of a narrower map keep other channels than those of the wide one.
    let error = slice_map(&halves(8, false), &halves(4, false)).expect_err("mixed halves");
    assert_eq!(error.rule, SliceRule::InsidePart);
    let error = slice_map(&ghost(2), &ghost(4)).expect_err("larger");
    assert_eq!(
        (error.scope.as_str(), &error.rule),
        ("computed.conv", &SliceRule::Larger { available: 2, found: 4 })
    );
    let error = slice_map(&sum(4, 4), &ghost(2)).expect_err("another network");
    assert_eq!((error.scope.as_str(), &error.rule), ("computed.conv", &SliceRule::Exists));
    let other = |activation| {
        let mut g = Builder::new();
        let image = g.input();
        g.activation(image, activation);
        g.finish()
    };
    let error =
        slice_map(&other(Activation::Relu), &other(Activation::Relu6)).expect_err("another activation");
    assert!(matches!(error.rule, SliceRule::Operation { .. }), "{error}");
}
