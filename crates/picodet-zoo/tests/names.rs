//! Every parameter has one name in the reference, and no two share it; every graph passes the checker.

use std::collections::BTreeMap;

use picodet_graph::{Graph, pass};
use picodet_zoo::{classifiers, names, variants};

fn collisions(graph: &Graph, translate: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut seen = BTreeMap::new();
    let mut wrong = Vec::new();
    for param in &graph.params {
        match translate(&param.name) {
            None => wrong.push(format!("{} has no name in the reference", param.name)),
            Some(theirs) => {
                if let Some(other) = seen.insert(theirs.clone(), &param.name) {
                    wrong.push(format!("{theirs} is both {other} and {}", param.name));
                }
            }
        }
    }
    wrong
}

#[test]
fn names_are_a_bijection() {
    let mut wrong = Vec::new();
    for variant in variants() {
        let graph = variant.architecture.graph(3);
        let found = collisions(&graph, |ours| names::reference_name(&variant.architecture, ours));
        wrong.extend(found.into_iter().map(|problem| format!("{}: {problem}", variant.name)));
    }
    for variant in classifiers() {
        let graph = variant.classifier.graph(10);
        let found = collisions(&graph, |ours| names::classifier_reference_name(&variant.classifier, ours));
        wrong.extend(found.into_iter().map(|problem| format!("{}: {problem}", variant.name)));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn names_read_as_in_the_specification() {
    let cases = [
        ("legacy_s_320", "backbone.stem.norm.mean", "backbone._conv1._batch_norm._mean"),
        ("legacy_s_320", "backbone.stage3.6.squeeze_excite.reduce.bias", "backbone.3_7._se.conv1.bias"),
        (
            "legacy_s_320",
            "backbone.stage2.0.fuse.depthwise.conv.weight",
            "backbone.2_1._conv_dw_mv1._conv.weight",
        ),
        (
            "legacy_s_320",
            "neck.top_down.1.bottleneck.depthwise.norm.gamma",
            "neck.top_down_blocks.1.blocks.0.conv2.bn1.weight",
        ),
        (
            "legacy_s_320",
            "head.level0.tower.1.depthwise.conv.weight",
            "head.conv_feat.cls_conv_dw0.1.conv.weight",
        ),
        ("v2_s_320", "head.level3.align.pointwise.norm.variance", "head.cls_align.3.bn2._variance"),
        ("v2_s_320", "neck.extra.from_reduced.pointwise.conv.weight", "neck.first_top_conv.pwconv.weight"),
        ("mv3_large_1x_416", "backbone.unit16.project.norm.beta", "backbone.conv16.linear_conv.bn.bias"),
        (
            "r18vd_640",
            "backbone.stage3.0.shortcut.project.conv.weight",
            "backbone.res3.res3a.short.conv.conv.weight",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, ours, theirs) in cases {
        let found = picodet_zoo::variant(name).and_then(|v| names::reference_name(&v.architecture, ours));
        if found.as_deref() != Some(theirs) {
            wrong.push(format!("{ours}: {found:?}, not {theirs}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_graph_passes_the_checker_before_and_after_folding() {
    let mut wrong = Vec::new();
    for variant in variants() {
        let graph = variant.architecture.graph(variant.classes.len());
        let folded = pass::fold_batch_norm_structure(&graph);
        for graph in [&graph, &folded] {
            if let Err(problem) = graph.check() {
                wrong.push(format!("{}: {problem}", variant.name));
            }
        }
        if folded.nodes.iter().any(|node| node.op == picodet_graph::Op::BatchNorm) {
            wrong.push(format!("{}: a batch norm survives folding", variant.name));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
