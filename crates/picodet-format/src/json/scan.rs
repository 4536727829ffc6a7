//! Finds the bytes that determine the structure of JSON, skipping the others in blocks that compilers vectorise.

/// Bytes that are compared at once.
const BLOCK: usize = 32;

/// Whether a byte outside of strings starts a string, or begins or ends a list or an object.
pub(crate) fn is_structural(byte: u8) -> bool {
    // `[` and `{` differ in one bit, as do `]` and `}`.
    byte == b'"' || byte | 0x20 == b'{' || byte | 0x20 == b'}'
}

/// Whether a byte ends a number or literal.
pub(crate) fn is_separator(byte: u8) -> bool {
    matches!(byte, b',' | b':' | b' ' | b'\n' | b'\r' | b'\t')
}

fn position(bytes: &[u8], wanted: impl Fn(u8) -> bool + Copy) -> Option<usize> {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let without = |block: &&[u8; BLOCK]| !block.iter().fold(false, |found, &byte| found | wanted(byte));
    let skipped = BLOCK * blocks.iter().take_while(without).count();
    bytes[skipped..].iter().position(|&byte| wanted(byte)).map(|at| skipped + at)
}

/// The position of the first of `"[]{}`.
pub(crate) fn structural(bytes: &[u8]) -> Option<usize> {
    position(bytes, is_structural)
}

/// The position of the first quote or backslash, for the inside of a string.
pub(crate) fn quote_or_escape(bytes: &[u8]) -> Option<usize> {
    position(bytes, |byte| byte == b'"' || byte == b'\\')
}

/// The depth and strings of JSON that arrives in pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nesting {
    /// Number of lists and objects that are open.
    pub(crate) depth: u32,
    /// The position is inside a string.
    pub(crate) in_string: bool,
    /// The previous byte is a backslash that escapes the next one.
    escaped: bool,
}

impl Nesting {
    /// Skips bytes without effect, and takes the next one that has one. Returns the number of taken bytes: all of
    /// `bytes` if none of them has an effect.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> usize {
        if self.escaped {
            self.escaped = bytes.is_empty();
            return bytes.len().min(1);
        }
        let found = if self.in_string { quote_or_escape(bytes) } else { structural(bytes) };
        let Some(at) = found else { return bytes.len() };
        match bytes[at] {
            b'\\' => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            b'[' | b'{' => self.depth += 1,
            _ => self.depth = self.depth.saturating_sub(1),
        }
        at + 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One byte at a time.
    fn simple(bytes: &[u8]) -> (u32, bool, bool) {
        let (mut depth, mut in_string, mut escaped) = (0u32, false, false);
        for &byte in bytes {
            match (in_string, escaped, byte) {
                (true, true, _) => escaped = false,
                (true, false, b'\\') => escaped = true,
                (_, _, b'"') => in_string = !in_string,
                (false, _, b'[' | b'{') => depth += 1,
                (false, _, b']' | b'}') => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        (depth, in_string, escaped)
    }

    proptest! {
        #[test]
        fn nesting_equals_that_of_single_bytes(
            bytes in prop::collection::vec(prop::sample::select(b"[]{}\"\\, 0aZ\x7f;\xff\n".to_vec()), 0..300),
            cut in 0usize..300,
        ) {
            let cut = cut.min(bytes.len());
            let mut nesting = Nesting::default();
            for mut part in [&bytes[..cut], &bytes[cut..]] {
                while !part.is_empty() {
                    part = &part[nesting.advance(part)..];
                }
            }
            prop_assert_eq!((nesting.depth, nesting.in_string, nesting.escaped), simple(&bytes));
        }

        #[test]
        fn only_five_bytes_are_structural(byte: u8, length in 0usize..70) {
            let mut bytes = vec![b'7'; length];
            bytes.push(byte);
            let expected = b"\"[]{}".contains(&byte).then_some(length);
            prop_assert_eq!(structural(&bytes), expected);
        }
    }
}
