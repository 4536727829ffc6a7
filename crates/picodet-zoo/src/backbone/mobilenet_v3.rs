//! MobileNetV3-large 1.0x (SPEC §1.4).

use picodet_graph::{Activation, Builder, NodeId};

use crate::block::{HARD_SWISH, dense, depthwise, pointwise, squeeze_excite};

const RELU: Activation = Activation::Relu;
/// The gate of this backbone's squeeze-excite has another slope than ESNet's (SPEC §0).
const GATE: Activation = Activation::HardSigmoid { slope: 0.2 };

/// One unit: kernel, expanded channels, output channels, squeeze-excite, activation, stride.
type Unit = (usize, usize, usize, bool, Activation, usize);

/// The units up to C3, then up to C4, then up to C5.
const UNITS: [&[Unit]; 3] = [
    &[
        (3, 16, 16, false, RELU, 1),
        (3, 64, 24, false, RELU, 2),
        (3, 72, 24, false, RELU, 1),
        (5, 72, 40, true, RELU, 2),
        (5, 120, 40, true, RELU, 1),
        (5, 120, 40, true, RELU, 1),
    ],
    &[
        (3, 240, 80, false, HARD_SWISH, 2),
        (3, 200, 80, false, HARD_SWISH, 1),
        (3, 184, 80, false, HARD_SWISH, 1),
        (3, 184, 80, false, HARD_SWISH, 1),
        (3, 480, 112, true, HARD_SWISH, 1),
        (3, 672, 112, true, HARD_SWISH, 1),
    ],
    &[
        (5, 672, 160, true, HARD_SWISH, 2),
        (5, 960, 160, true, HARD_SWISH, 1),
        (5, 960, 160, true, HARD_SWISH, 1),
    ],
];

pub(crate) fn mobilenet_v3_large(g: &mut Builder, image: NodeId) -> [NodeId; 3] {
    g.scope("backbone", |g| {
        let mut x = dense(g, "stem", image, 16, 3, 2, HARD_SWISH);
        let mut number = 2;
        UNITS.map(|units| {
            for unit in units {
                x = g.scope(format!("unit{number}"), |g| residual_unit(g, x, unit));
                number += 1;
            }
            x
        })
    })
}

fn residual_unit(
    g: &mut Builder,
    x: NodeId,
    &(kernel, expanded, out, with_gate, act, stride): &Unit,
) -> NodeId {
    let shortcut = x;
    let x = pointwise(g, "expand", x, expanded, act);
    let mut x = depthwise(g, "depthwise", x, kernel, stride, act);
    if with_gate {
        x = squeeze_excite(g, x, GATE);
    }
    let x = pointwise(g, "project", x, out, None);
    if stride == 1 && g.channels(shortcut) == out { g.add(shortcut, x) } else { x }
}
