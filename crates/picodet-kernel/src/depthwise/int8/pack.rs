//! The weights and constants of depthwise convolutions, in the order in which tiles read them.

use picodet_simd::Int8Isa;

use super::arguments::{quads, variants};
use crate::map::ChannelRange;
use crate::quantised::{Column, pack_columns};

/// Returns the channels of the lanes of each vector of channels of each range.
pub(super) fn vectors(isa: Int8Isa, ranges: &[ChannelRange]) -> impl Iterator<Item = Vec<Option<usize>>> {
    let lanes = isa.lanes();
    ranges.iter().flat_map(move |range| {
        let channel = |lane: usize| (lane < range.len).then_some(range.destination + lane);
        (0..range.len).step_by(lanes).map(move |first| (first..first + lanes).map(channel).collect())
    })
}

/// Packs weights `[channels][kernel²]`: for each vector of channels the quads of the window, and at stride 1 those of the row
/// below as well. No weight is -128.
#[must_use]
pub fn pack_depthwise_int8(
    isa: Int8Isa,
    ranges: &[ChannelRange],
    kernel: usize,
    stride: usize,
    weights: &[i8],
) -> Vec<u32> {
    let at = |row: Option<usize>, column: usize, channel: Option<usize>| match (row, channel) {
        (Some(row), Some(channel)) if row < kernel => {
            weights[channel * kernel * kernel + row * kernel + column].cast_unsigned()
        }
        _ => 0,
    };
    let mut packed = Vec::new();
    for channels in vectors(isa, ranges) {
        for below in 0..variants(stride) {
            if let Some(subtracted) = isa.subtracted() {
                // Rows outside of the window have no weights, so that both variants have the same sum.
                let window = kernel * kernel;
                packed.extend(channels.iter().map(|channel| {
                    let weights =
                        channel.map_or(&[][..], |channel| &weights[channel * window..(channel + 1) * window]);
                    let sum: i32 = weights.iter().map(|&weight| i32::from(weight)).sum();
                    (subtracted * sum).cast_unsigned()
                }));
            }
            for (quad, column) in (0..quads(kernel)).flat_map(|q| (0..kernel).map(move |c| (q, c))) {
                let byte =
                    |channel: Option<usize>, i: usize| at((4 * quad + i).checked_sub(below), column, channel);
                let wide = |channel: Option<usize>, i: usize| {
                    u32::from(i16::from(byte(channel, i).cast_signed()).cast_unsigned())
                };
                if isa.depth() == 4 {
                    packed.extend(
                        channels
                            .iter()
                            .map(|&channel| u32::from_le_bytes([0, 1, 2, 3].map(|i| byte(channel, i)))),
                    );
                } else {
                    // As `SimdInt8::store_units`: the even rows, then the odd ones.
                    for first in [0, 1] {
                        packed.extend(
                            channels
                                .iter()
                                .map(|&channel| wide(channel, first) | wide(channel, first + 2) << 16),
                        );
                    }
                }
            }
        }
    }
    packed
}

/// Packs the constants of the channels as [`pack_columns`] does, for the same vectors as [`pack_depthwise_int8`].
#[must_use]
pub fn pack_depthwise_columns(isa: Int8Isa, ranges: &[ChannelRange], columns: &[Column]) -> Vec<u32> {
    vectors(isa, ranges)
        .flat_map(|channels| {
            let columns = channels.iter().map(|channel| channel.map(|channel| columns[channel]));
            pack_columns(&columns.map(Option::unwrap_or_default).collect::<Vec<_>>(), isa.lanes())
        })
        .collect()
}
