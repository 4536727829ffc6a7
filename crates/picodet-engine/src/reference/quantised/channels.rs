//! Functions of the values of each channel.

use picodet_graph::Tensor4;

/// Largest byte.
pub(super) const LARGEST: f32 = 255.0;

/// Applies a function of channel and value.
pub(super) fn per_channel(x: &Tensor4, function: impl Fn(usize, f32) -> f32) -> Tensor4 {
    let mut out = x.clone();
    let channels = x.shape[1];
    for (index, plane) in out.data.chunks_mut(x.plane().max(1)).enumerate() {
        plane.iter_mut().for_each(|value| *value = function(index % channels, *value));
    }
    out
}
