//! Tests of each pass on graphs of a few nodes.

use picodet_graph::{Activation, Builder, DType, Graph, NodeId, Tensor, Weights, pass};

use super::lower;
use crate::cpu::schedule::{Buffer, Operation, Schedule, Step};
use crate::cpu::{Isa, Precision, dtype};

const HARD_SWISH: Activation = Activation::HardSwish;

fn ones(graph: &Graph) -> Weights {
    graph.params.iter().map(|param| (param.name.clone(), Tensor::full(&param.shape, 0.1))).collect()
}

fn schedule_of(graph: &Graph, precision: Precision) -> Schedule {
    lower(graph, &ones(graph), (32, 48), Isa::PORTABLE, 2, precision)
}

/// The kinds of steps, without those that copy results to outputs.
fn kinds(schedule: &Schedule) -> Vec<String> {
    schedule.steps.iter().map(|step| step.operation.kind()).filter(|kind| kind != "export").collect()
}

/// A map of sixteen channels, a quarter as high and wide as the image.
fn quarter(g: &mut Builder) -> NodeId {
    let image = g.input();
    let half = g.scope("stem", |g| g.convolution(image, 16, 3, 2, 1));
    g.scope("second", |g| g.convolution(half, 16, 3, 2, 1))
}

#[test]
fn concats_slices_and_shuffles_are_addresses() {
    let mut g = Builder::new();
    let x = quarter(&mut g);
    let (left, right) = g.halves(x);
    let left = g.scope("left", |g| g.convolution(left, 8, 1, 1, 1));
    let joined = g.concat(&[left, right]);
    let shuffled = g.channel_shuffle(joined);
    let taken = g.slice(shuffled, 2, 10);
    let result = g.scope("last", |g| g.convolution(taken, 4, 1, 1, 1));
    g.output("result", result);
    let schedule = schedule_of(&g.finish(), Precision::F32);
    assert_eq!(kinds(&schedule), ["dense 3x3/2", "dense 3x3/2", "pointwise", "pointwise"], "{schedule}");
    // Ten channels of two maps in one buffer: one range of each map.
    let last = schedule.steps.iter().rev().find(|step| step.operation.kind() == "pointwise");
    let Some(Operation::Pointwise { ranges, .. }) = last.map(|step| &step.operation) else {
        panic!("{schedule}")
    };
    assert_eq!(ranges.iter().map(|range| range.1).collect::<Vec<_>>(), [5, 5], "{schedule}");
}

#[test]
fn a_convolution_is_fused_with_its_sum_and_activation() {
    let mut g = Builder::new();
    let x = quarter(&mut g);
    let y = g.scope("pointwise", |g| g.convolution(x, 16, 1, 1, 1));
    let sum = g.add(y, x);
    let result = g.activation(sum, HARD_SWISH);
    g.output("result", result);
    let schedule = schedule_of(&g.finish(), Precision::F32);
    assert_eq!(kinds(&schedule), ["dense 3x3/2", "dense 3x3/2", "pointwise"], "{schedule}");
    let Operation::Pointwise { residual, act, .. } = &schedule.steps[2].operation else {
        panic!("{schedule}")
    };
    assert!(residual.is_some() && *act == Some(HARD_SWISH), "{schedule}");
}

#[test]
fn a_value_with_two_readers_ends_a_block() {
    let mut g = Builder::new();
    let x = quarter(&mut g);
    let y = g.scope("pointwise", |g| g.convolution(x, 16, 1, 1, 1));
    let activated = g.activation(y, HARD_SWISH);
    let sum = g.add(activated, y);
    g.output("result", sum);
    let schedule = schedule_of(&g.finish(), Precision::F32);
    let expected = ["dense 3x3/2", "dense 3x3/2", "pointwise", "activate", "add"];
    assert_eq!(kinds(&schedule), expected, "{schedule}");
}

#[test]
fn a_stem_is_fused_with_its_pool() {
    let mut g = Builder::new();
    let image = g.input();
    let stem = g.scope("stem", |g| g.convolution(image, 16, 3, 2, 1));
    let activated = g.activation(stem, HARD_SWISH);
    let pooled = g.max_pool(activated);
    g.output("result", pooled);
    let schedule = schedule_of(&g.finish(), Precision::F32);
    assert_eq!(kinds(&schedule), ["dense 3x3/2 max pool"], "{schedule}");
    assert_eq!(schedule.steps[0].out_size, (8, 12));
}

#[test]
fn squeeze_excite_factors_are_multiplied_into_the_weights_of_the_reader() {
    let mut g = Builder::new();
    let x = quarter(&mut g);
    let mean = g.global_average_pool(x);
    let factors = g.scope("excite", |g| g.pointwise_with_bias(mean, 16, 0.0));
    let scaled = g.scale(x, factors);
    let result = g.scope("last", |g| g.convolution(scaled, 8, 1, 1, 1));
    g.output("result", result);
    let graph = g.finish();
    let squeeze = ["dense 3x3/2", "dense 3x3/2", "sum", "mean", "pointwise"];
    let schedule = schedule_of(&graph, Precision::F32);
    assert_eq!(kinds(&schedule)[..5], squeeze, "{schedule}");
    assert_eq!(kinds(&schedule)[5..], ["scale weights", "pointwise"], "{schedule}");
    // bf16 weights are constant: the factors are multiplied into the source.
    let schedule = schedule_of(&graph, Precision::Bf16);
    assert_eq!(kinds(&schedule)[5..], ["gather", "pointwise bf16"], "{schedule}");
    let schedule = schedule_of(&graph, Precision::F16);
    assert_eq!(kinds(&schedule)[5..], ["gather", "pointwise f16"], "{schedule}");
}

#[test]
fn a_depthwise_convolution_is_joined_with_its_only_reader() {
    let network = |twice: bool| {
        let mut g = Builder::new();
        let x = quarter(&mut g);
        let depthwise = g.scope("depthwise", |g| g.depthwise(x, 5, 1));
        let result = g.scope("pointwise", |g| g.convolution(depthwise, 24, 1, 1, 1));
        g.output("result", result);
        if twice {
            g.output("between", depthwise);
        }
        g.finish()
    };
    let schedule = schedule_of(&network(false), Precision::F32);
    assert_eq!(kinds(&schedule)[2..], ["depthwise 5x5/1 + pointwise"], "{schedule}");
    let schedule = schedule_of(&network(true), Precision::F32);
    assert_eq!(kinds(&schedule)[2..], ["depthwise 5x5/1", "pointwise"], "{schedule}");
}

/// The type of the buffer that a step writes.
fn result_dtype(schedule: &Schedule, index: usize) -> DType {
    let (Operation::Pointwise { to, .. } | Operation::Dense { to, .. }) = &schedule.steps[index].operation
    else {
        panic!("step {index} of {schedule}")
    };
    schedule.buffers[*to].dtype
}

#[test]
fn maps_between_bf16_kernels_are_bf16_and_others_are_not() {
    let mut g = Builder::new();
    let x = quarter(&mut g);
    let inner = g.scope("inner", |g| g.convolution(x, 16, 1, 1, 1));
    let pooled = g.scope("deep", |g| g.convolution(inner, 8, 1, 1, 1));
    let result = g.max_pool(pooled);
    g.output("result", result);
    let graph = g.finish();
    // The second convolution and the first pointwise one; a pool reads 32 bits, and a dense one reads the stem's map.
    for dtype in [Precision::Bf16, Precision::F16] {
        let schedule = schedule_of(&graph, dtype);
        let found: Vec<DType> = (0..4).map(|index| result_dtype(&schedule, index)).collect();
        assert_eq!(found, [DType::F32, dtype, dtype, DType::F32], "{schedule}");
    }
    let schedule = schedule_of(&graph, Precision::F32);
    assert!(schedule.buffers.iter().all(|buffer| buffer.dtype == DType::F32), "{schedule}");
    // Without any bf16 product the pass leaves the buffers unchanged.
    let mut buffers = vec![Buffer::new(16, 9)];
    dtype::assign_dtypes(&mut buffers, &mut []);
    assert_eq!((buffers[0].dtype, buffers[0].stride), (DType::F32, 16));
}

/// A map stays f32 if one convolution reads it as f32, although all others support bf16: where a dense convolution writes
/// to the buffer of its source, and where a pointwise one adds its source.
#[test]
fn maps_that_are_read_as_f32_stay_f32() {
    let mut g = Builder::new();
    let x = quarter(&mut g);
    let y = g.scope("beside", |g| g.convolution(x, 16, 3, 1, 1));
    let joined = g.concat(&[x, y]);
    let result = g.scope("last", |g| g.convolution(joined, 8, 1, 1, 1));
    g.output("result", result);
    let schedule = schedule_of(&g.finish(), Precision::Bf16);
    let found: Vec<DType> = (0..3).map(|index| result_dtype(&schedule, index)).collect();
    assert_eq!(found, [DType::F32; 3], "{schedule}");

    let mut g = Builder::new();
    let x = quarter(&mut g);
    let depthwise = g.scope("depthwise", |g| g.depthwise(x, 5, 1));
    let pointwise = g.scope("pointwise", |g| g.convolution(depthwise, 16, 1, 1, 1));
    let sum = g.add(pointwise, depthwise);
    g.output("result", sum);
    let schedule = schedule_of(&g.finish(), Precision::Bf16);
    let Operation::Pointwise { from, residual, .. } = &schedule.steps[3].operation else {
        panic!("{schedule}")
    };
    assert_eq!(residual.map(|(buffer, _)| buffer), Some(*from), "{schedule}");
    assert_eq!(schedule.buffers[*from].dtype, DType::F32, "{schedule}");
}

#[test]
fn buffers_in_use_at_the_same_time_do_not_overlap() {
    let Some(variant) = picodet_zoo::variant("legacy_s_320") else { panic!("a published network") };
    let graph = variant.architecture.graph(variant.classes.len());
    for precision in DType::ALL {
        let (graph, weights) = pass::fold_batch_norm(&graph, &ones(&graph));
        let schedule = lower(&graph, &weights, (96, 128), Isa::PORTABLE, 2, precision);
        let lives: Vec<Option<(usize, usize)>> = (0..schedule.buffers.len())
            .map(|buffer| {
                let touches = |step: &Step| step.operation.buffers().contains(&buffer);
                let first = schedule.steps.iter().position(touches)?;
                Some((first, schedule.steps.iter().rposition(touches)?))
            })
            .collect();
        let place = |buffer: usize| {
            let buffer = &schedule.buffers[buffer];
            (buffer.offset, buffer.offset + buffer.words())
        };
        let mut pairs = 0;
        for (a, b) in (0..lives.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
            let (Some(first), Some(second)) = (lives[a], lives[b]) else { continue };
            if first.0 > second.1 || second.0 > first.1 {
                continue;
            }
            pairs += 1;
            let (first, second) = (place(a), place(b));
            assert!(first.1 <= second.0 || second.1 <= first.0, "buffers {a} and {b}: {first:?}, {second:?}");
            assert!(
                first.1 <= schedule.zeros && second.1 <= schedule.zeros,
                "{a} and {b} reach into the zeros"
            );
        }
        assert!(pairs > 100, "only {pairs} pairs of buffers are in use at the same time");
        // Memory is reused: all maps together are much larger.
        let total: usize = (0..lives.len()).map(|buffer| place(buffer).1 - place(buffer).0).sum();
        assert!(2 * schedule.arena < total, "{} of {total}", schedule.arena);
    }
}

#[test]
fn nodes_that_no_output_depends_on_are_not_computed() {
    let mut g = Builder::new();
    let x = quarter(&mut g);
    let unread = g.scope("unread", |g| g.convolution(x, 64, 3, 1, 1));
    g.scope("unread.too", |g| g.convolution(unread, 64, 3, 1, 1));
    g.output("result", x);
    let graph = g.finish();
    let plan = crate::CpuEngine::new().prepare(&graph, &ones(&graph), (32, 64));
    let Ok(plan) = plan else { panic!("a sound network") };
    assert_eq!(kinds(plan.program.schedule()), ["dense 3x3/2", "dense 3x3/2"]);
}

/// A convolution step: scope, activation, whether it adds a residual, whether it pools.
type Tail = (String, Option<String>, bool, bool);

/// The convolutions of a schedule, sorted.
fn convolution_tails(schedule: &Schedule) -> Vec<Tail> {
    let parts = schedule.steps.iter().flat_map(|step| match &step.operation {
        Operation::Separable { depthwise, pointwise, .. } => vec![&**depthwise, &**pointwise],
        _ => vec![step],
    });
    let name = |act: &Option<Activation>| act.map(|act| act.to_string());
    let mut tails: Vec<Tail> = Vec::new();
    for step in parts {
        let scope = step.scope.clone();
        match &step.operation {
            Operation::Pointwise { residual, act, .. } => {
                tails.push((scope, name(act), residual.is_some(), false));
            }
            Operation::Dense { residual, act, pool, .. } => {
                tails.push((scope, name(act), residual.is_some(), *pool));
            }
            Operation::Depthwise { act, .. } => tails.push((scope, name(act), false, false)),
            // The second half of a convolution to one channel.
            Operation::SumTaps { act, .. } => {
                tails.pop();
                tails.push((scope, name(act), false, false));
            }
            _ => {}
        }
    }
    tails.sort();
    tails
}

#[test]
fn every_block_of_every_network_is_one_step() {
    for variant in picodet_zoo::variants() {
        let graph = variant.architecture.graph(variant.classes.len());
        let (graph, weights) = pass::fold_batch_norm(&graph, &ones(&graph));
        let schedule = lower(&graph, &weights, (64, 96), Isa::PORTABLE, 1, Precision::F32);
        let blocks = pass::fuse(&graph);
        let mut expected: Vec<Tail> = blocks
            .blocks()
            .iter()
            .map(|block| {
                let act = block.function(&graph).map(|act| act.to_string());
                (graph.node(block.last).scope.clone(), act, block.sum.is_some(), block.pool.is_some())
            })
            .collect();
        expected.sort();
        assert_eq!(convolution_tails(&schedule), expected, "{}", variant.name);
    }
}
