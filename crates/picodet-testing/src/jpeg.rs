//! JPEG files that encoders do not write.

/// Removes the segments of Huffman tables, as cameras do in Motion JPEG.
#[must_use]
pub fn without_huffman_tables(jpeg: &[u8]) -> Vec<u8> {
    let mut kept = jpeg[..2].to_vec();
    let mut rest = &jpeg[2..];
    while let [0xff, marker, high, low, ..] = *rest
        && marker != 0xda
    {
        let length = 2 + usize::from(high) * 256 + usize::from(low);
        if marker != 0xc4 {
            kept.extend(&rest[..length]);
        }
        rest = &rest[length..];
    }
    kept.extend(rest);
    kept
}
