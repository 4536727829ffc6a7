//! The colours of charts and marks.

/// Colours of curves and bars, distinguishable with colour blindness (Okabe and Ito, darkened for thin lines).
pub const PALETTE: [&str; 7] = ["#1d4ed8", "#d55e00", "#00805f", "#b0589a", "#c78500", "#3b9fd6", "#64748b"];

/// A correct detection, or an object that was found.
pub const GOOD: [u8; 3] = [21, 128, 61];
/// A wrong detection, or an object that was missed.
pub const BAD: [u8; 3] = [220, 38, 38];
/// Neither correct nor wrong.
pub const NEUTRAL: [u8; 3] = [107, 114, 128];

/// Returns a colour as `#rrggbb`.
#[must_use]
pub fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}
