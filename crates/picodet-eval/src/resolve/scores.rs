//! Doubtful scores and repeated entries of a results file.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use crate::types::Detection;

/// Least number of detections for a statement on their scores.
const LEAST_COUNT: usize = 3;

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
    (least >= 0.0 && most > 1.0).then(|| {
        let percent = if most <= 100.0 { "; divide scores in percent by 100" } else { "" };
        format!("the scores are from {least} to {most}, where 0 to 1 is usual{percent}")
    })
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
            [&[][..], &[(0.0, 0.5), (1.0, 0.5)], &[(0.0, 1.0), (1.0, 0.0)], &[(0.0, -3.0), (1.0, 2.0)]]
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
        assert!(!lines(&[(0.0, 3.0), (1.0, 255.0)]).contains("percent"));
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
