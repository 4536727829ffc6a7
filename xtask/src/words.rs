//! `cargo xtask words`: counts stilted phrases in comments and messages.
//!
//! STYLE.md gives the rules. Some matches are correct English, so that the count has a limit instead of being zero.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use regex_lite::Regex;

/// Maximum number of matches in the repository.
const LIMIT: usize = 100;
/// Places that are printed for each phrase.
const SHOWN: usize = 8;
/// Minimum length of a string literal that counts as a message.
const MIN_MESSAGE: usize = 12;

/// Descriptions and patterns of phrases.
const PHRASES: &[(&str, &str)] = &[
    ("`no number`: NaN or infinite", r"\bno numbers?\b"),
    ("`numbers of 16 bits`: bf16 values", r"\bnumbers? of \d+ bits\b|\b\d+-bit numbers?\b|\bof \d+ bits\b"),
    ("`so many` as a pronoun", r"\b(so|as) many\b"),
    ("`a` for `per`", PER),
    ("`go on`: continue, resume", r"\b(go|goes|going|gone|went) on\b"),
    ("`tell`: report, print", r"\b(tells?|told|telling)\b"),
    ("`say`: report, specify", r"\b(says?|said)\b"),
    ("`to the bit`, `by heart`", r"\bto the bit\b|\bby heart\b"),
    (
        "`whoever`, `who` for code",
        r"\b[Ww]hoever\b|\b[Ww]ho (asks|calls|is|needs|says|speaks|wants|works|writes)\b",
    ),
    ("`make`: compute, create", r"\b(makes|made|to make)\b"),
    ("`that there is`", r"\b(that|where) there (is|are|was|were)\b"),
    ("`What …` as a noun", r"(^|[.;:,(])\s*[Ww]hat (a|an|the|is|it|they|of|[a-z]+s|[a-z]+ed) "),
    ("`as it is`, `as they lie`", r"\b(as|where) (it|they) (is|are|come|comes|lie|lies)\b"),
    ("`mostly` at the beginning", r"^Mostly\b|[.;:] [Mm]ostly\b"),
    ("`of ours`, `of its own`", r"\bof (ours|theirs|mine|its own|their own)\b"),
    ("`nobody`, `nothing`", r"\b([Nn]obody|[Nn]othing)\b"),
    ("`anew`: again", r"\banew\b"),
    (
        "`lie`: is located",
        r"\b(lie|lies|lay) (above|at|behind|below|beside|between|in|on|side|there|where)\b",
    ),
    ("`take up`, `take in`", r"\b(take|takes|taken|took) (in|over|up)\b"),
    ("`apart`, `alone` after the noun", r"\b(apart|alone)\b"),
    ("`the caller's promise`", r"\bpromises?\b"),
    ("`does harm`, `is a loss`", r"\bdo(es)? no harm\b|\bis a loss\b|\bas good as\b|\bworth (it|its)\b"),
    ("`at one`: agree", r"\bat one\b"),
    ("`names it`", r"\bnames? (it|its|the|them)\b"),
    ("`is to`: must, shall", r"\b(is|are|was|were) to (be|come|have|stay)\b"),
    ("`look at`: process, evaluate", r"\blook(s|ed|ing)? (after|at|into)\b"),
    ("`asked for`, `wished`", r"\b(asked for|unwanted|wanted|wish|wished)\b"),
    ("`beside`: next to, besides", r"\bbeside\b"),
];

/// One thing per other thing.
const PER: &str = r"\b(a|an|one|two|images?|bytes|lines?|numbers?|objects?|panels?|rows?|seconds?|steps?|threads?|times?|values?|workers?) an? (anchor|batch|cell|channel|class|column|command|core|epoch|file|image|lane|level|line|machine|minute|object|output|process|row|second|side|step|thread|tile|vector|worker)\b";

/// Counts the phrases in all Rust files that git tracks.
///
/// # Errors
/// If there are more than the limit, or a file cannot be read.
pub(crate) fn run() -> Result<()> {
    let mut found: Vec<Vec<String>> = vec![Vec::new(); PHRASES.len()];
    let patterns: Vec<Regex> =
        PHRASES.iter().map(|(_, pattern)| Regex::new(pattern)).collect::<Result<_, _>>()?;
    let listing = Command::new("git").args(["ls-files", "*.rs"]).output().context("git ls-files")?;
    for path in String::from_utf8(listing.stdout)?.lines() {
        // This file holds the phrases.
        if path.ends_with("xtask/src/words.rs") || !Path::new(path).exists() {
            continue;
        }
        let text = std::fs::read_to_string(path).with_context(|| path.to_owned())?;
        for (line, prose) in prose(&text) {
            for (pattern, places) in patterns.iter().zip(&mut found) {
                places.extend(pattern.find_iter(&prose).map(|_| format!("{path}:{line}: {}", prose.trim())));
            }
        }
    }
    let total: usize = found.iter().map(Vec::len).sum();
    let mut order: Vec<usize> = (0..PHRASES.len()).filter(|&index| !found[index].is_empty()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(found[index].len()));
    for index in order {
        println!("{:5}  {}", found[index].len(), PHRASES[index].0);
        found[index].iter().take(SHOWN).for_each(|place| println!("         {place}"));
    }
    println!("{total} phrases, limit {LIMIT}");
    if total > LIMIT {
        bail!("more stilted phrases than the limit; see STYLE.md");
    }
    Ok(())
}

/// Returns the lines of comments, and the longer string literals, of a Rust file with their line numbers.
fn prose(text: &str) -> Vec<(usize, String)> {
    let letters: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < letters.len() {
        let rest = &letters[at..];
        let is_identifier = at > 0 && (letters[at - 1].is_alphanumeric() || letters[at - 1] == '_');
        match rest {
            ['/', '/', ..] => {
                let end = length_of_line(rest);
                let comment: String = rest[..end].iter().collect();
                found.push((line, comment.trim_start_matches(['/', '!', ' ']).to_owned()));
                at += end;
            }
            ['"', ..] => {
                let end = length_of_string(rest);
                push_message(&rest[1..end.saturating_sub(1).max(1)], line, &mut found);
                line += rest[..end].iter().filter(|letter| **letter == '\n').count();
                at += end;
            }
            ['r', '"' | '#', ..] if !is_identifier && raw_length(rest).is_some() => {
                let end = raw_length(rest).unwrap_or(1);
                push_message(&rest[1..end], line, &mut found);
                line += rest[..end].iter().filter(|letter| **letter == '\n').count();
                at += end;
            }
            // Letters in quotes, which may be a double quote; lifetimes have no second quote.
            ['\'', '\\', _, '\'', ..] => at += 4,
            ['\'', _, '\'', ..] => at += 3,
            [letter, ..] => {
                line += usize::from(*letter == '\n');
                at += 1;
            }
            [] => {}
        }
    }
    found
}

fn push_message(letters: &[char], line: usize, found: &mut Vec<(usize, String)>) {
    if letters.len() >= MIN_MESSAGE {
        let text: String = letters.iter().collect();
        // A backslash at the end of a line joins it with the next one.
        let words: Vec<&str> = text.split_whitespace().filter(|word| *word != "\\").collect();
        found.push((line, words.join(" ")));
    }
}

fn length_of_line(letters: &[char]) -> usize {
    letters.iter().position(|letter| *letter == '\n').unwrap_or(letters.len())
}

/// Returns the length of a string literal with its quotes.
fn length_of_string(letters: &[char]) -> usize {
    let mut at = 1;
    while at < letters.len() {
        match letters[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    letters.len()
}

/// Returns the length of a raw string literal; `None` if it is none.
fn raw_length(letters: &[char]) -> Option<usize> {
    let hashes = letters[1..].iter().take_while(|letter| **letter == '#').count();
    (letters.get(1 + hashes) == Some(&'"')).then_some(())?;
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = &letters[2 + hashes..];
    let at = body.windows(end.len()).position(|window| window == end)?;
    Some(2 + hashes + at + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_comments_and_long_strings() {
        let text = "/// A doc.\nlet a = 'b'; // Note.\nlet c = '\"';\nlet s = \"a long // message \\\n  of two lines\";\n\
                    let t = \"short\"; let u = r#\"a raw \"long\" string\"#; // End.\n";
        let expected = [
            (1, "A doc."),
            (2, "Note."),
            (4, "a long // message of two lines"),
            (6, "#\"a raw \"long\" string\"#"),
            (6, "End."),
        ];
        assert_eq!(prose(text), expected.map(|(line, text)| (line, text.to_owned())));
    }

    #[test]
    fn phrases_are_found_in_their_places() {
        let count = |text: &str| {
            let patterns = PHRASES.iter().filter_map(|(_, pattern)| Regex::new(pattern).ok());
            patterns.map(|pattern| pattern.find_iter(text).count()).sum::<usize>()
        };
        for text in
            ["a value that is no number", "Threads [one a core]", "so many threads", "What the system says."]
        {
            assert!(count(text) > 0, "{text}");
        }
        for text in
            ["NaN or infinite", "one thread per core", "Returns the number of images.", "a batch of a run"]
        {
            assert_eq!(count(text), 0, "{text}");
        }
    }
}
