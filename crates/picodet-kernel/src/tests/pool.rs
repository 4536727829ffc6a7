//! Max pools of bytes.

use picodet_simd::Isa;

use super::{extents, report};
use crate::map::ChannelRange;
use crate::quantised::{PoolRow, pool_row};

/// The byte around results.
const MARK: u8 = 173;

#[test]
fn max_pools_of_bytes_equal_their_definition() {
    let mut wrong = Vec::new();
    for (isa, width, channels) in Isa::available()
        .into_iter()
        .flat_map(|isa| extents().into_iter().map(move |width| (isa, width, 41 - width)))
    {
        // Two ranges with a gap, in pixels with columns before and after them.
        let (first, second) = (channels / 3, channels - channels / 3);
        let ranges = [
            ChannelRange { source: 1, other: 0, destination: 2, len: first },
            ChannelRange { source: 3 + first, other: 0, destination: 2 + first, len: second },
        ];
        let (stride, out_stride) = (channels + 5, channels + 4);
        let source = |row: usize, column: usize, channel: usize| {
            let at = if channel < first { 1 + channel } else { 3 + channel };
            (row * width + column) * stride + at
        };
        let maps: Vec<u8> = (0..3 * width * stride).map(|i| (i * i * 31 + i * 7) as u8).collect();
        let out_width = width.div_ceil(2);
        let mut out = vec![MARK; out_width * out_stride];
        let rows = [0, 1, 2].map(|row| maps[row * width * stride..].as_ptr());
        let args = PoolRow { rows, width, stride, out: out.as_mut_ptr(), out_stride, ranges: &ranges };
        unsafe { pool_row(isa, &args) };
        for (i, &byte) in out.iter().enumerate() {
            let (x, column) = (i / out_stride, i % out_stride);
            let expected = match column.checked_sub(2).filter(|&channel| channel < channels) {
                None => MARK,
                Some(channel) => (0..9)
                    .filter_map(|tap| {
                        Some((tap / 3, (2 * x + tap % 3).checked_sub(1).filter(|&at| at < width)?))
                    })
                    .map(|(row, at)| maps[source(row, at, channel)])
                    .fold(0, u8::max),
            };
            if byte != expected {
                wrong.push(format!(
                    "{isa}, {width} pixels of {channels}: {byte} instead of {expected} at {i}"
                ));
                break;
            }
        }
    }
    report(&wrong);
}
