//! Paddle programs in both forms: those of every network are converted, and changed ones are refused with the difference.

use std::path::Path;

use picodet_graph::Graph;
use picodet_model::{ConvertOptions, convert};
use picodet_testing::Cases;
use picodet_weights::{ChannelCoverage, compare_channels};
use picodet_zoo::{Variant, variant, variants};

mod common;
#[path = "common/paddle.rs"]
mod paddle;

use common::weights;
use paddle::{Attribute, Operation, json_text, operations, parameters, protocol_buffer};

/// Returns the program in both forms, with the names of its files.
fn programs(graph: &Graph, operations: &[Operation]) -> [(&'static str, Vec<u8>); 2] {
    [("m.pdmodel", protocol_buffer(graph, operations)), ("m.json", json_text(graph, operations))]
}

/// Returns the error of a conversion.
fn problem(folder: &Path, variant: &Variant, (name, program): &(&str, Vec<u8>)) -> String {
    let path = folder.join(name);
    std::fs::write(&path, program).expect("a file");
    let found = convert(&path, variant, &ConvertOptions::default());
    found.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn the_programs_of_every_network_are_followed_completely() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut cases = Cases::new();
    for variant in variants() {
        let graph = variant.architecture.graph(variant.classes.len());
        let stream = parameters(&weights(&graph));
        std::fs::write(folder.path().join("m.pdiparams"), &stream).expect("a file");
        for program in programs(&graph, &operations(&graph)) {
            let name = format!("{} {}", variant.name, program.0);
            let network = picodet_weights::paddle::read(&program.1, &stream).expect("a sound program");
            let imported = picodet_weights::import(&graph, &network).expect("the same network");
            let count = imported.matches.len();
            let complete = ChannelCoverage { compared: count, exact: count, skipped: Vec::new() };
            cases.equal(&name, compare_channels(&imported.graph, &network, &imported.matches), Ok(complete));
            cases.equal(&name, problem(folder.path(), variant, &program), "");
        }
    }
    cases.finish();
}

/// Changes an operation; returns whether it did.
type Change = fn(&mut Operation) -> bool;

/// A change of the first operation of a kind.
fn of(operation: &mut Operation, kind: &str, change: impl FnOnce(&mut Operation) -> bool) -> bool {
    operation.kinds[1] == kind && change(operation)
}

/// Makes an operation of a kind one of other kinds, those in both forms.
fn renamed(operation: &mut Operation, kind: &str, kinds: [&'static str; 2]) -> bool {
    of(operation, kind, |operation| {
        operation.kinds = kinds;
        true
    })
}

/// Changes one integer of a list.
fn replaced(operation: &mut Operation, name: &str, values: &[i64]) -> bool {
    operation.list(name).is_some_and(|list| {
        *list = values.to_vec();
        true
    })
}

/// Changes of one operation, with the network and the words of its refusal.
const CHANGES: &[(&str, &str, &str, Change)] = &[
    ("concat", "legacy_s_320", "its channels in another order than in the network", |o| {
        of(o, "concat", |o| {
            o.inputs.reverse();
            true
        })
    }),
    ("slice", "legacy_s_320", "other channels than in the network", |o| {
        of(o, "split", |o| {
            o.outputs.reverse();
            true
        })
    }),
    ("range", "legacy_s_320", "channels where the network has ", |o| {
        of(o, "split", |o| {
            if !o.outputs[0].ends_with(".before") {
                return false;
            }
            let Some(sizes) = o.list("sections").filter(|sizes| sizes.len() == 2) else { return false };
            sizes[0] -= 1;
            sizes[1] += 1;
            true
        })
    }),
    ("groups", "legacy_s_320", "other channels than in the network", |o| {
        of(o, "reshape", |o| {
            let Some(shape) = o.list("shape").filter(|shape| shape.len() == 5) else { return false };
            shape.swap(1, 2);
            true
        })
    }),
    ("factor", "legacy_s_320", "resized by another factor", |o| {
        of(o, "nearest_interp", |o| o.set("scale", &Attribute::Floats(vec![4.0; 2])))
    }),
    ("interpolation", "ablation_1_base_416", "resized with another interpolation", |o| {
        of(o, "bilinear_interp", |o| o.set("align_mode", &Attribute::Integers(vec![1])))
    }),
    ("corners", "ablation_1_base_416", "resized with another interpolation", |o| {
        of(o, "bilinear_interp", |o| o.set("align_corners", &Attribute::Flag(true)))
    }),
    ("sum", "legacy_s_320", "a sum where the network has a product", |o| {
        renamed(o, "multiply", ["elementwise_add", "add"])
    }),
    ("product", "r18vd_640", "a product where the network has a sum", |o| {
        let is_residual = o.kinds[1] == "add" && o.inputs.iter().all(|(_, name)| !name.ends_with(".bias"));
        if is_residual {
            o.kinds = ["elementwise_mul", "multiply"];
        }
        is_residual
    }),
    ("activation", "legacy_s_320", "its activations are ", |o| renamed(o, "hardswish", ["relu"; 2])),
    ("unknown activation", "legacy_s_320", "is of the type mish, which no PicoDet has", |o| {
        renamed(o, "hardswish", ["mish"; 2])
    }),
    ("ReLU6", "legacy_s_320", "is of the type relu6, which no PicoDet has", |o| {
        renamed(o, "hardswish", ["relu6"; 2])
    }),
    ("slope", "legacy_s_320", "a hard sigmoid with the slope 0.2", |o| {
        of(o, "hardsigmoid", |o| o.set("slope", &Attribute::Floats(vec![0.2])))
    }),
    ("window", "legacy_s_320", "is a maximum over 2x2", |o| {
        of(o, "pool2d", |o| replaced(o, "ksize", &[2, 2]))
    }),
    ("stride of a window", "legacy_s_320", "with strides 1 and 1", |o| {
        of(o, "pool2d", |o| replaced(o, "strides", &[1, 1]))
    }),
    ("padding of a window", "legacy_s_320", "and padding [0, 0, 0, 0]", |o| {
        of(o, "pool2d", |o| replaced(o, "paddings", &[0, 0]))
    }),
    ("kind of a window", "legacy_s_320", "is a mean over 3x3", |o| {
        of(o, "pool2d", |o| o.set("pooling_type", &Attribute::Text("avg")))
    }),
    ("stride", "legacy_s_320", "no matching convolution for `backbone.", |o| {
        of(o, "depthwise_conv2d", |o| replaced(o, "strides", &[1, 1]))
    }),
    ("padding", "legacy_s_320", "only square, centred, undilated convolutions", |o| {
        of(o, "depthwise_conv2d", |o| replaced(o, "paddings", &[0, 0]))
    }),
    ("dilation", "legacy_s_320", "only square, centred, undilated convolutions", |o| {
        of(o, "depthwise_conv2d", |o| replaced(o, "dilations", &[2, 2]))
    }),
];

#[test]
fn changed_programs_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut cases = Cases::new();
    for (name, of, expected, change) in CHANGES {
        let variant = variant(of).expect("a variant");
        let graph = variant.architecture.graph(variant.classes.len());
        std::fs::write(folder.path().join("m.pdiparams"), parameters(&weights(&graph))).expect("a file");
        let mut operations = operations(&graph);
        assert!(operations.iter_mut().any(change), "{name}");
        for program in programs(&graph, &operations) {
            let found = problem(folder.path(), variant, &program);
            cases.check(format!("{name} in {}: {found}", program.0), found.contains(expected));
        }
    }
    cases.finish();
}
