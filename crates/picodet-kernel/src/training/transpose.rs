//! Copies between channels-first tensors and channels-last maps.
#![allow(unsafe_code)]

use super::Executor;
use super::memory::{Map, MapMut};

/// Pixels transposed at once: both sides stay in the first-level cache.
const PIXELS: usize = 64;

/// Writes a map as `[n, channels, height, width]`.
///
/// # Panics
/// If `out` has another length.
pub fn to_channels_first(map: Map<'_>, out: &mut [f32]) {
    let (plane, channels) = (map.plane(), map.channels());
    assert_eq!(out.len(), map.pixels() * channels, "elements of the tensor");
    if out.is_empty() {
        return;
    }
    for (image, out) in out.chunks_exact_mut(plane * channels).enumerate() {
        let map = map.image(image);
        for from in (0..plane).step_by(PIXELS) {
            for channel in 0..channels {
                for pixel in from..(from + PIXELS).min(plane) {
                    // SAFETY: the map has the pixel and the channel.
                    out[channel * plane + pixel] = unsafe { *map.at(pixel).add(channel) };
                }
            }
        }
    }
}

/// Reads a map from `[n, channels, height, width]`, added to `map` if `accumulate`.
///
/// # Panics
/// If `from` has another length.
pub fn from_channels_first(executor: &Executor, from: &[f32], map: MapMut<'_>, accumulate: bool) {
    let (plane, channels) = (map.plane(), map.channels());
    assert_eq!(from.len(), map.pixels() * channels, "elements of the tensor");
    let len = plane * channels;
    let images: Vec<_> = map.images().into_iter().enumerate().collect();
    executor.pool.for_each(images, |(image, map)| {
        let from = &from[image * len..][..len];
        for first in (0..plane).step_by(PIXELS) {
            for channel in 0..channels {
                for pixel in first..(first + PIXELS).min(plane) {
                    // SAFETY: the map has the pixel and the channel.
                    let to = unsafe { &mut *map.at(pixel).add(channel) };
                    let before = if accumulate { *to } else { 0.0 };
                    *to = before + from[channel * plane + pixel];
                }
            }
        }
    });
}
