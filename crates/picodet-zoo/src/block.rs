//! Building blocks of all parts of the family.

use picodet_graph::{Activation, Builder, InitRule, NodeId};

/// `x · clip(x + 3, 0, 6) / 6`, the family's usual activation.
pub const HARD_SWISH: Activation = Activation::HardSwish;
/// The ablation's activation (SPEC §0: slope 0.01).
pub const LEAKY_RELU: Activation = Activation::LeakyRelu { slope: 0.01 };
/// The NPU variant's activation.
pub const RELU6: Activation = Activation::Relu6;
/// The gate of the squeeze-excite of ESNet and LCNet; the constant is not 1/6 (SPEC §0).
pub(crate) const GATE: Activation = Activation::HardSigmoid { slope: 0.1666667 };

/// Rounds a width to a multiple of `divisor` without losing more than a tenth of it (SPEC §0).
pub fn make_divisible(value: f32, divisor: usize) -> usize {
    let rounded = ((value + divisor as f32 / 2.0) as usize / divisor * divisor).max(divisor);
    if (rounded as f32) < 0.9 * value { rounded + divisor } else { rounded }
}

/// A convolution, its batch norm and, unless `None`, its activation, under the scope `name`.
#[allow(clippy::too_many_arguments)]
fn convolution_norm(
    g: &mut Builder,
    name: &str,
    x: NodeId,
    out: usize,
    kernel: usize,
    stride: usize,
    groups: usize,
    act: Option<Activation>,
) -> NodeId {
    g.scope(name, |g| {
        let x = g.convolution(x, out, kernel, stride, groups);
        let x = g.batch_norm(x);
        match act {
            Some(act) => g.activation(x, act),
            None => x,
        }
    })
}

/// A convolution over all channels with batch norm and activation.
pub(crate) fn dense(
    g: &mut Builder,
    name: &str,
    x: NodeId,
    out: usize,
    kernel: usize,
    stride: usize,
    act: impl Into<Option<Activation>>,
) -> NodeId {
    convolution_norm(g, name, x, out, kernel, stride, 1, act.into())
}

/// A 1×1 convolution with batch norm and activation.
pub(crate) fn pointwise(
    g: &mut Builder,
    name: &str,
    x: NodeId,
    out: usize,
    act: impl Into<Option<Activation>>,
) -> NodeId {
    convolution_norm(g, name, x, out, 1, 1, 1, act.into())
}

/// A convolution of each channel by itself, with batch norm and activation.
pub(crate) fn depthwise(
    g: &mut Builder,
    name: &str,
    x: NodeId,
    kernel: usize,
    stride: usize,
    act: impl Into<Option<Activation>>,
) -> NodeId {
    let channels = g.channels(x);
    convolution_norm(g, name, x, channels, kernel, stride, channels, act.into())
}

/// Squeeze-excite with reduction 4: mean → 1×1 → ReLU → 1×1 → `gate` → multiply (SPEC §1.1).
pub(crate) fn squeeze_excite(g: &mut Builder, x: NodeId, gate: Activation) -> NodeId {
    let channels = g.channels(x);
    g.scope("squeeze_excite", |g| {
        g.with_init(InitRule::FrameworkDefault, |g| {
            let pooled = g.global_average_pool(x);
            let reduced = g.scope("reduce", |g| {
                let reduced = g.pointwise_with_bias(pooled, channels / 4, 0.0);
                g.activation(reduced, Activation::Relu)
            });
            let factors = g.scope("expand", |g| {
                let expanded = g.pointwise_with_bias(reduced, channels, 0.0);
                g.activation(expanded, gate)
            });
            g.scale(x, factors)
        })
    })
}

/// Depthwise then pointwise, both with batch norm and activation: the neck's cheap convolution (SPEC §2).
pub(crate) fn depthwise_pointwise(
    g: &mut Builder,
    x: NodeId,
    kernel: usize,
    stride: usize,
    act: Activation,
) -> NodeId {
    let channels = g.channels(x);
    let x = depthwise(g, "depthwise", x, kernel, stride, act);
    pointwise(g, "pointwise", x, channels, act)
}

/// LCNet's block: depthwise → squeeze-excite (optional) → pointwise (SPEC §1.2).
pub(crate) fn depthwise_separable(
    g: &mut Builder,
    x: NodeId,
    out: usize,
    kernel: usize,
    stride: usize,
    with_squeeze_excite: bool,
    act: Activation,
) -> NodeId {
    let mut x = depthwise(g, "depthwise", x, kernel, stride, act);
    if with_squeeze_excite {
        x = squeeze_excite(g, x, GATE);
    }
    pointwise(g, "pointwise", x, out, act)
}

#[cfg(test)]
mod tests {
    use super::make_divisible;

    #[test]
    fn widths_of_the_specification() {
        let cases =
            [(128.0 * 0.875, 8, 112), (96.0 * 0.875, 8, 88), (128.0 * 1.25, 16, 160), (32.0 * 0.35, 8, 16)];
        let cases =
            cases.into_iter().chain([(16.0 * 0.35, 8, 8), (256.0 * 0.35, 8, 88), (116.0 * 0.25, 8, 32)]);
        let wrong: Vec<_> =
            cases.filter(|&(value, divisor, width)| make_divisible(value, divisor) != width).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
