//! Exports whose convolutions read other channels than those of the network are refused, with what differs.

use std::collections::BTreeMap;
use std::path::Path;

use picodet_export::{Batch, ExportOptions, HeadOutput, to_onnx};
use picodet_graph::{Graph, Op, ResizeFactor};
use picodet_model::{ConvertOptions, convert};
use picodet_testing::Cases;
use picodet_zoo::{Variant, variant};

mod common;

use common::weights;

fn export(variant: &Variant, graph: &Graph) -> Vec<u8> {
    let options = ExportOptions {
        head: HeadOutput::Raw,
        batch: Batch::Dynamic,
        opset: 13,
        input_size: (64, 96),
        strides: variant.architecture.strides(),
        metadata: BTreeMap::new(),
    };
    to_onnx(graph, &weights(graph), &options).expect("an export")
}

/// Returns the error of a conversion.
fn problem(folder: &Path, variant: &Variant, bytes: &[u8]) -> String {
    let path = folder.join("m.onnx");
    std::fs::write(&path, bytes).expect("a file");
    convert(&path, variant, &ConvertOptions::default())
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

type Change = fn(&mut Op, &mut Vec<picodet_graph::NodeId>) -> bool;

#[test]
fn exports_of_changed_networks_are_refused() {
    let changes: [(&str, &str, &str, Change); 7] = [
        (
            "concat",
            "legacy_s_320",
            "reads its channels in another order than in the network",
            |op, inputs| {
                let is_concat = *op == Op::Concat;
                if is_concat {
                    inputs.reverse();
                }
                is_concat
            },
        ),
        ("slice", "legacy_s_320", "reads other channels than in the network", |op, _| match op {
            Op::Slice { start, .. } if *start > 0 => {
                *start -= 1;
                true
            }
            _ => false,
        }),
        ("narrow slice", "legacy_s_320", "channels where the network has ", |op, _| match op {
            Op::Slice { start, len } if *start > 0 => {
                *len -= 1;
                true
            }
            _ => false,
        }),
        ("interpolation", "legacy_s_320", "resized with another interpolation", |op, _| {
            let is_nearest = *op == Op::UpsampleNearest;
            if is_nearest {
                *op = Op::ResizeBilinear(ResizeFactor::Double);
            }
            is_nearest
        }),
        ("half", "ablation_1_base_416", "resized by another factor", |op, _| {
            let is_double = *op == Op::ResizeBilinear(ResizeFactor::Double);
            if is_double {
                *op = Op::ResizeBilinear(ResizeFactor::Half);
            }
            is_double
        }),
        ("sum", "legacy_s_320", "reads a sum where the network has a product", |op, _| {
            let is_product = *op == Op::Scale;
            if is_product {
                *op = Op::Add;
            }
            is_product
        }),
        ("product", "r18vd_640", "reads a product where the network has a sum", |op, _| {
            let is_sum = *op == Op::Add;
            if is_sum {
                *op = Op::Scale;
            }
            is_sum
        }),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let mut cases = Cases::new();
    for (name, of, expected, change) in changes {
        let variant = variant(of).expect("a variant");
        let mut graph = variant.architecture.graph(variant.classes.len());
        cases.equal(name, problem(folder.path(), variant, &export(variant, &graph)), "");
        assert!(graph.nodes.iter_mut().any(|node| change(&mut node.op, &mut node.inputs)), "{name}");
        let found = problem(folder.path(), variant, &export(variant, &graph));
        cases.check(
            format!("{name}: {found}"),
            found.contains(expected) && found.contains("the convolution `"),
        );
    }
    cases.finish();
}

/// Replaces `from` where it first follows `name`.
fn patched(bytes: &[u8], name: &str, from: &[u8], to: &[u8]) -> Vec<u8> {
    let find = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).position(|window| window == part);
    let mut bytes = bytes.to_vec();
    // The tensor's values precede or follow its name: the nearest ones.
    let at = find(&bytes, name.as_bytes()).expect("a constant");
    let start = at.saturating_sub(2 * from.len());
    let found = find(&bytes[start..], from).expect("its values") + start;
    bytes[found..found + from.len()].copy_from_slice(to);
    bytes
}

#[test]
fn changed_constants_of_exports_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let variant = variant("legacy_s_320").expect("a variant");
    let graph = variant.architecture.graph(variant.classes.len());
    let bytes = export(variant, &graph);
    let shuffle = graph.nodes.iter().find(|node| node.op == Op::ChannelShuffle).expect("a shuffle");
    let half = shuffle.shape.channels as i64 / 2;
    let integers =
        |values: &[i64]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
    let floats =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
    let resize = graph.nodes.iter().find(|node| node.op == Op::UpsampleNearest).expect("a resize");
    let mut cases = Cases::new();
    for (name, changed, expected) in [
        (
            "groups",
            patched(
                &bytes,
                &format!("{}.halves.shape", shuffle.scope),
                &integers(&[2, half]),
                &integers(&[half, 2]),
            ),
            "other channels than in the network",
        ),
        (
            "factor",
            patched(&bytes, &format!("{}.scales", resize.scope), &floats(&[2.0; 2]), &floats(&[4.0; 2])),
            "resized by another factor",
        ),
    ] {
        let found = problem(folder.path(), variant, &changed);
        cases.check(
            format!("{name}: {found}"),
            found.contains(expected) && found.contains("the convolution `"),
        );
    }
    cases.finish();
}
