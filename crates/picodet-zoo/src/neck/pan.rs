//! The ablation's Base neck: lateral convolutions, then sums of bilinearly resized maps (SPEC §2.3).

use picodet_graph::{Builder, InitRule, NodeId, ResizeFactor};

pub(super) fn pan(g: &mut Builder, maps: [NodeId; 3], channels: usize) -> Vec<NodeId> {
    let mut level = 0;
    let lateral = maps.map(|map| {
        level += 1;
        g.scope("lateral", |g| {
            g.scope(level - 1, |g| {
                g.with_init(InitRule::XavierUniform, |g| g.pointwise_with_bias(map, channels, 0.0))
            })
        })
    });
    let [l3, l4, l5] = lateral;
    let resized_sum =
        |g: &mut Builder, scope: &str, index: usize, from: NodeId, factor: ResizeFactor, onto: NodeId| {
            g.scope(scope, |g| {
                g.scope(index, |g| {
                    let resized = g.resize_bilinear(from, factor);
                    g.add(onto, resized)
                })
            })
        };
    let u4 = resized_sum(g, "top_down", 0, l5, ResizeFactor::Double, l4);
    let p3 = resized_sum(g, "top_down", 1, u4, ResizeFactor::Double, l3);
    let p4 = resized_sum(g, "bottom_up", 0, p3, ResizeFactor::Half, u4);
    let p5 = resized_sum(g, "bottom_up", 1, p4, ResizeFactor::Half, l5);
    vec![p3, p4, p5]
}
