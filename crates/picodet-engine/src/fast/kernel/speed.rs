#![allow(unsafe_code, clippy::all, missing_docs)]
use super::*;
use crate::fast::Isa;
use picodet_graph::Activation;
#[test]
fn speed() {
    let mut arena = vec![0.0f32; 40 << 20];
    for (i, x) in arena.iter_mut().enumerate() {
        *x = (i % 17) as f32 * 0.1;
    }
    let base = arena.as_mut_ptr();
    for (k, s, h, c) in [
        (5, 1, 40, 16),
        (5, 1, 24, 16),
        (5, 1, 24, 32),
        (5, 1, 40, 16),
        (3, 1, 24, 16),
        (3, 1, 40, 16),
        (5, 1, 52, 192),
        (5, 1, 26, 192),
        (5, 1, 13, 192),
        (5, 1, 80, 160),
        (5, 1, 40, 160),
        (5, 1, 52, 96),
        (3, 1, 208, 16),
        (3, 1, 104, 64),
        (3, 1, 80, 160),
        (3, 1, 40, 352),
        (3, 1, 52, 48),
        (3, 2, 104, 64),
        (3, 2, 52, 96),
        (3, 2, 80, 184),
        (5, 2, 80, 160),
        (5, 2, 52, 96),
        (3, 1, 52, 24),
        (3, 1, 52, 88),
    ] {
        if let Ok(one) = std::env::var("ONE") {
            if format!("{k},{s},{h},{c}") != one {
                continue;
            }
        }
        let o: usize = (h + s - 1) / s;
        let stride = c + std::env::var("PAD").map_or(0, |p| p.parse().unwrap());
        let runs = [Run { source: 0, other: 0, destination: 0, len: c }];
        let w = vec![0.01f32; k * k * c];
        let bias = vec![0.1f32; c];
        let macs = (o * o * c * k * k) as f64;
        let mut best = [1e9f64; 2];
        for isa in if std::env::var("ONE").is_ok() { vec![Isa::Avx512] } else { vec![Isa::Avx512, Isa::Avx2] }
        {
            best = [1e9; 2];
            for _ in 0..(if std::env::var("ONE").is_ok() { 6000 } else { 60 }) {
                for which in (if std::env::var("ONE").is_ok() { 1..2 } else { 0..2 }) {
                    let reps = if macs < 2e6 { 50 } else { 1 };
                    let t = std::time::Instant::now();
                    for _ in 0..reps {
                        unsafe {
                            macro_rules! go { ($m:ident $(, $n:ident)?) => { $m::depthwise(isa, &$m::Depthwise { source: base.add(1<<20), source_stride: stride, size: (h,h), out: base.add(20<<20), out_stride: stride, out_width: o, rows: 0..o, zeros: base, kernel: k, stride: s, runs: &runs, weights: &w, bias: &bias, act: Some(Activation::HardSwish), $($n: false)? }) } }
                            if which == 0 { go!(depthwise_old) } else { go!(depthwise, narrow) }
                        }
                    }
                    best[which] = best[which].min(t.elapsed().as_secs_f64() / reps as f64);
                }
            }
            eprintln!(
                "{isa} {k}x{k}/{s} {h}x{h}x{c}: old {:.1} new {:.1} GMAC/s  {:.1} us",
                macs / best[0] / 1e9,
                macs / best[1] / 1e9,
                best[1] * 1e6
            );
        }
    }
}
