//! Shortens quoted input in messages.

/// The first 40 characters.
pub(crate) fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}
