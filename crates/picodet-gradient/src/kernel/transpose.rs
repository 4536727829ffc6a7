//! Between the channels-first tensors of the outside and channels-last maps.
#![allow(unsafe_code)]

use super::Map;

/// Cells turned at once: both sides stay in the first cache.
const CELLS: usize = 64;

/// Writes an image of a map as `[channels, height, width]`.
///
/// # Safety
/// The map is valid, and nobody writes to it.
pub(crate) unsafe fn to_channels_first(map: &Map, image: usize, out: &mut [f32]) {
    let plane = map.plane();
    for from in (0..plane).step_by(CELLS) {
        for channel in 0..map.channels {
            for cell in from..(from + CELLS).min(plane) {
                // SAFETY: the caller's promise.
                out[channel * plane + cell] = unsafe { *map.at(image * plane + cell).add(channel) };
            }
        }
    }
}

/// Reads an image of a map from `[channels, height, width]`, adding to what is there if `accumulate`.
///
/// # Safety
/// The map is valid, and nobody else reads or writes the image.
pub(crate) unsafe fn from_channels_first(map: &Map, image: usize, from: &[f32], accumulate: bool) {
    let plane = map.plane();
    for first in (0..plane).step_by(CELLS) {
        for channel in 0..map.channels {
            for cell in first..(first + CELLS).min(plane) {
                // SAFETY: the caller's promise.
                unsafe {
                    let to = map.at(image * plane + cell).add(channel);
                    let before = if accumulate { *to } else { 0.0 };
                    *to = before + from[channel * plane + cell];
                }
            }
        }
    }
}
