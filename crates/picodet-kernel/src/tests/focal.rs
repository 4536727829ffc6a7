//! Focal losses against their definitions in f64.

use picodet_simd::Isa;

use crate::focal::{Focal, Rows, aligned_background, background, background_sum};

/// Loss and slope of a background logit in f64.
fn expected(focal: Focal, x: f64) -> (f64, f64) {
    let p = 1.0 / (1.0 + (-x).exp());
    let entropy = x.max(0.0) + (-x.abs()).exp().ln_1p();
    let quality = (p * p * entropy, p * p * p + 2.0 * p * p * (1.0 / (1.0 + x.exp())) * entropy);
    match focal {
        Focal::Varifocal => (0.75 * quality.0, 0.75 * quality.1),
        Focal::QualityFocal => quality,
        Focal::CrossEntropy => (entropy.min(100.0), p),
    }
}

fn expected_aligned(x: f64, a: f64) -> (f64, f64, f64) {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (p, q) = (sigmoid(x), sigmoid(a));
    let score = (p * q + 1e-9).sqrt();
    let distance = (sigmoid(-x) + p * sigmoid(-a) - 1e-9) / (1.0 + score);
    let entropy = if score < 0.5 { -(-score).ln_1p() } else { -distance.ln() };
    let slope = 0.75 * (2.0 * score * entropy + score * score * score / (score * distance).max(1e-12));
    let half = p * q / (2.0 * score);
    (0.75 * score * score * entropy, slope * half * sigmoid(-x), slope * half * sigmoid(-a))
}

fn close(found: f32, expected: f64) -> bool {
    (f64::from(found) - expected).abs() <= 4e-6 * expected.abs() + 1e-36
}

#[test]
fn every_logit_has_the_loss_and_slope_of_the_definition() {
    let logits: Vec<f32> =
        (-600..=600).step_by(if cfg!(miri) { 60 } else { 1 }).map(|i| i as f32 / 20.0 + 0.013).collect();
    for isa in Isa::available() {
        for focal in [Focal::Varifocal, Focal::QualityFocal, Focal::CrossEntropy] {
            for &logit in &logits {
                let mut gradient = [f32::NAN];
                let rows = Rows { data: &[logit], stride: 1, channels: 1, count: 1 };
                let loss = background(isa, focal, rows, 1.0, &mut gradient) as f32;
                let (expected_loss, slope) = expected(focal, f64::from(logit));
                assert!(close(loss, expected_loss), "{isa} {focal:?} {logit}: {loss}, not {expected_loss}");
                assert!(close(gradient[0], slope), "{isa} {focal:?} {logit}: {gradient:?}, not {slope}");
            }
        }
    }
}

#[test]
fn rows_with_gaps_equal_single_logits() {
    for isa in Isa::available() {
        for (channels, gap) in [(1, 0), (3, 2), (16, 0), (17, 3), (80, 0), (80, 16)] {
            if cfg!(miri) && channels > 17 {
                continue;
            }
            let count = 5;
            let stride = channels + gap;
            let value = |i: usize| ((i * 7919) % 2003) as f32 / 300.0 - 5.0;
            let data: Vec<f32> = (0..count * stride).map(value).collect();
            let logits = Rows { data: &data, stride, channels, count };
            let align: Vec<f32> = (0..count).map(|i| i as f32 - 2.0).collect();
            let align = Rows { data: &align, stride: 1, channels: 1, count };
            let mut gradients = vec![f32::NAN; count * channels];
            let mut align_gradients = vec![f32::NAN; count];
            let loss = background(isa, Focal::Varifocal, logits, 0.5, &mut gradients);
            let mut sum = 0.0;
            for (i, found) in gradients.iter().enumerate() {
                let (loss, slope) =
                    expected(Focal::Varifocal, f64::from(logits.row(i / channels)[i % channels]));
                sum += loss;
                assert!(close(*found, 0.5 * slope), "{isa} {channels}+{gap}: {found}, not {slope} / 2");
            }
            assert!((loss - sum).abs() < 2e-6 * sum, "{isa} {channels}+{gap}: {loss}, not {sum}");
            let row_sums: f64 =
                (0..count).map(|row| background_sum(isa, Focal::Varifocal, logits.row(row))).sum();
            assert!((row_sums - sum).abs() < 2e-6 * sum, "{isa} {channels}+{gap}: {row_sums}, not {sum}");

            let loss = aligned_background(isa, logits, align, 0.5, &mut gradients, &mut align_gradients);
            let mut sum = 0.0;
            for row in 0..count {
                let mut align_sum = 0.0;
                for channel in 0..channels {
                    let logit = f64::from(logits.row(row)[channel]);
                    let expected = expected_aligned(logit, f64::from(align.row(row)[0]));
                    sum += expected.0;
                    align_sum += expected.2;
                    let found = gradients[row * channels + channel];
                    assert!(close(found, 0.5 * expected.1), "{isa} {channels}+{gap}: {found}, {expected:?}");
                }
                let found = align_gradients[row];
                assert!(close(found, 0.5 * align_sum), "{isa} {channels}+{gap}: {found}, {align_sum} / 2");
            }
            assert!((loss - sum).abs() < 2e-6 * sum, "{isa} {channels}+{gap}: {loss}, not {sum}");
        }
    }
}

#[test]
fn extreme_logits_are_finite_and_nan_stays() {
    for isa in Isa::available() {
        let values = [f32::NEG_INFINITY, -1e30, -200.0, 200.0];
        let rows = Rows { data: &values, stride: 4, channels: 4, count: 1 };
        let mut gradients = [f32::NAN; 4];
        assert!(background(isa, Focal::Varifocal, rows, 1.0, &mut gradients).is_finite());
        assert!(gradients.iter().all(|gradient| gradient.is_finite()), "{isa} {gradients:?}");
        for align in [-200.0, 0.0, 200.0] {
            let align = Rows { data: &[align], stride: 1, channels: 1, count: 1 };
            let mut by_align = [f32::NAN];
            let loss = aligned_background(isa, rows, align, 1.0, &mut gradients, &mut by_align);
            assert!(loss.is_finite() && by_align[0].is_finite(), "{isa} {loss} {by_align:?}");
            assert!(gradients.iter().all(|gradient| gradient.is_finite()), "{isa} {gradients:?}");
        }
        let values = [0.0, f32::NAN];
        let rows = Rows { data: &values, stride: 2, channels: 2, count: 1 };
        let mut gradients = [0.0; 2];
        assert!(background(isa, Focal::Varifocal, rows, 1.0, &mut gradients).is_nan());
        assert!(gradients[0].is_finite() && gradients[1].is_nan());
    }
}
