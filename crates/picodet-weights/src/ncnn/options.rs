//! The options `key=value` of a layer.

use std::collections::HashMap;

/// The options of a layer by their keys.
pub(super) type Options<'a> = HashMap<&'a str, &'a str>;

/// Largest length of a list.
const MAX_LENGTH: usize = 1 << 12;

/// Returns an integer, or `default` if it is absent; `None` for other texts.
pub(super) fn integer(options: &Options<'_>, key: &str, default: i64) -> Option<i64> {
    options.get(key).map_or(Some(default), |text| text.parse().ok())
}

/// Returns a number, or `default` if it is absent; `None` for other texts.
pub(super) fn number(options: &Options<'_>, key: &str, default: f32) -> Option<f32> {
    options.get(key).map_or(Some(default), |text| text.parse().ok())
}

/// Returns the values of a list, which follow their number: `-23300=2,48,-233`; empty if it is absent, `None` for other
/// texts. `index` is the number of the option, 0 to 99.
pub(super) fn list<T: std::str::FromStr>(options: &Options<'_>, index: i64) -> Option<Vec<T>> {
    const FIRST_LIST: i64 = -23300;
    let Some(text) = options.get((FIRST_LIST - index).to_string().as_str()) else { return Some(Vec::new()) };
    text.split(',').skip(1).take(MAX_LENGTH).map(|value| value.parse().ok()).collect()
}
