//! ResNet-18, variant d: a stem of three 3×3 convolutions, and shortcuts that average before they project
//! (SPEC §1.5).

use picodet_graph::{Activation, Builder, NodeId};

use crate::block::{dense, pointwise};

const RELU: Activation = Activation::Relu;

pub(crate) fn resnet18_vd(g: &mut Builder, image: NodeId) -> [NodeId; 3] {
    g.scope("backbone", |g| {
        let x = g.scope("stem", |g| {
            let x = dense(g, "0", image, 32, 3, 2, RELU);
            let x = dense(g, "1", x, 32, 3, 1, RELU);
            dense(g, "2", x, 64, 3, 1, RELU)
        });
        let x = g.max_pool(x);
        let c2 = stage(g, "stage2", x, 64, 1);
        let c3 = stage(g, "stage3", c2, 128, 2);
        let c4 = stage(g, "stage4", c3, 256, 2);
        let c5 = stage(g, "stage5", c4, 512, 2);
        [c3, c4, c5]
    })
}

/// Two basic blocks; the first one strides and projects its shortcut.
fn stage(g: &mut Builder, name: &str, x: NodeId, out: usize, stride: usize) -> NodeId {
    g.scope(name, |g| {
        let x = g.scope(0, |g| {
            let shortcut = g.scope("shortcut", |g| {
                let x = if stride == 2 { g.average_pool(x) } else { x };
                pointwise(g, "project", x, out, None)
            });
            basic_block(g, x, shortcut, out, stride)
        });
        g.scope(1, |g| basic_block(g, x, x, out, 1))
    })
}

fn basic_block(g: &mut Builder, x: NodeId, shortcut: NodeId, out: usize, stride: usize) -> NodeId {
    let x = dense(g, "first", x, out, 3, stride, RELU);
    let x = dense(g, "second", x, out, 3, 1, None);
    let x = g.add(x, shortcut);
    g.activation(x, RELU)
}
