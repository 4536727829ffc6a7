//! Doubtful scores and repeated entries of a results file.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use crate::types::Detection;

/// Least number of detections for a statement on their scores.
const LEAST_COUNT: usize = 3;
/// Least greatest score that can be in percent.
const LEAST_PERCENT: f64 = 20.0;

/// Returns one line for each property of detections that no detector gives: equal scores, scores of more than 1, and
/// detections that are in the file more than once.
pub(super) fn remarks(detections: &[Detection]) -> Vec<String> {
    scores(detections).into_iter().chain(repeated(detections)).collect()
}

fn scores(detections: &[Detection]) -> Option<String> {
    let scores = || detections.iter().map(|found| found.score);
    let (least, most) = (scores().reduce(f64::min)?, scores().reduce(f64::max)?);
    if least == most && detections.len() >= LEAST_COUNT {
        return Some(format!(
            "all {} scores are {least}; AP ranks detections by their scores, so that it can depend on their order in the file",
            detections.len()
        ));
    }
    if most <= 1.0 {
        return None;
    }
    let above_one = scores().filter(|score| *score > 1.0).count();
    // Logits are smaller, and not all of them are positive.
    let is_percent =
        least >= 0.0 && (LEAST_PERCENT..=100.0).contains(&most) && 2 * above_one > detections.len();
    let advice = if is_percent { ", where 0 to 1 is usual; divide scores in percent by 100" } else { "" };
    Some(format!("the scores are from {} to {}{advice}", rounded(least), rounded(most)))
}

/// A number with three digits.
fn rounded(value: f64) -> String {
    let digits = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    let decimals = (2.0 - digits).clamp(0.0, 6.0) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn repeated(detections: &[Detection]) -> Option<String> {
    // 8 bytes per detection: a results file can have tens of millions.
    let mut hashes: Vec<u64> = detections.iter().map(hash).collect();
    hashes.sort_unstable();
    let repeated = hashes.windows(2).filter(|pair| pair[0] == pair[1]).count();
    let total = detections.len();
    if repeated == 0 {
        return None;
    }
    let what = "with the same image, category, box and score";
    Some(if repeated * 2 == total && are_pairs(&hashes) {
        format!(
            "every detection is in the file twice, {total} instead of {repeated}; the second counts as an error"
        )
    } else {
        format!("{repeated} of {total} detections repeat another one {what}; each counts as an error")
    })
}

/// Whether each value is there exactly twice; `hashes` is sorted.
fn are_pairs(hashes: &[u64]) -> bool {
    let pairs = hashes.chunk_by(|a, b| a == b);
    pairs.into_iter().all(|equal| equal.len() == 2)
}

fn hash(found: &Detection) -> u64 {
    let mut hasher = DefaultHasher::new();
    let Detection { image_id, category_id, bbox, score } = found;
    (image_id, category_id, bbox.map(f64::to_bits), score.to_bits()).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(entries: &[(f64, f64)]) -> String {
        let detection = |&(x, score): &(f64, f64)| Detection {
            image_id: 1,
            category_id: 1,
            bbox: [x, 0.0, 5.0, 5.0],
            score,
        };
        remarks(&entries.iter().map(detection).collect::<Vec<_>>()).join("\n")
    }

    #[test]
    fn sound_scores_have_no_remark() {
        for sound in
            [&[][..], &[(0.0, 0.5), (1.0, 0.5)], &[(0.0, 1.0), (1.0, 0.0)], &[(0.0, -3.0), (1.0, -2.0)]]
        {
            assert_eq!(lines(sound), "", "{sound:?}");
        }
    }

    #[test]
    fn equal_and_large_scores_are_named() {
        assert!(lines(&[(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)]).starts_with("all 3 scores are 1; AP"));
        assert!(lines(&[(0.0, 0.0), (1.0, 0.0), (2.0, 0.0)]).starts_with("all 3 scores are 0; AP"));
        let percent = lines(&[(0.0, 3.0), (1.0, 97.5)]);
        assert_eq!(
            percent,
            "the scores are from 3 to 97.5, where 0 to 1 is usual; divide scores in percent by 100"
        );
        assert_eq!(lines(&[(0.0, 3.0), (1.0, 255.0)]), "the scores are from 3 to 255");
        assert_eq!(lines(&[(0.0, 2.06), (1.0, 9.55)]), "the scores are from 2.06 to 9.55");
        // Fused boxes, whose scores are sums, and logits.
        let fused = [(0.0, 0.060096), (1.0, 0.5), (2.0, 1.1874239999999998)];
        assert_eq!(lines(&fused), "the scores are from 0.0601 to 1.19");
        assert_eq!(lines(&[(0.0, -3.25), (1.0, 2.0), (2.0, 1.5)]), "the scores are from -3.25 to 2");
    }

    #[test]
    fn repeated_detections_are_counted() {
        let one = [(0.0, 0.1), (1.0, 0.2), (2.0, 0.3)];
        let twice = [one, one].concat();
        assert!(lines(&twice).starts_with("every detection is in the file twice, 6 instead of 3"));
        assert!(lines(&twice[..4]).starts_with("1 of 4 detections repeat another one"));
        let thrice = [(0.0, 0.1), (0.0, 0.1), (0.0, 0.1), (1.0, 0.2)];
        assert!(lines(&thrice).starts_with("2 of 4 detections repeat another one"));
    }
}
