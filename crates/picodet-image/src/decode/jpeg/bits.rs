//! Reads bits and Huffman codes from entropy-coded data (ITU-T T.81, annex F.2.2).

/// Length of the codes that are found in a table, in bits.
const SHORT: u32 = 8;

/// The reason why entropy-coded data cannot be read further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The data ends, or a marker interrupts it.
    End,
    /// The bits are no code, or a coefficient is outside its block.
    Invalid,
}

/// Bits of entropy-coded data, with stuffed bytes removed.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, the first of them on top of `count` low bits.
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, buffer: 0, count: 0 }
    }

    /// Buffers at least 32 bits, or all that are left before a marker.
    fn fill(&mut self) {
        while self.count < 32 {
            let Some(&byte) = self.bytes.get(self.at) else { return };
            if byte == 0xff {
                if self.bytes.get(self.at + 1) != Some(&0) {
                    return;
                }
                self.at += 1;
            }
            self.at += 1;
            self.buffer = self.buffer << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    /// Returns the next `count` bits, at most 16.
    pub(super) fn take(&mut self, count: u32) -> Result<u32, Stop> {
        self.fill();
        self.count = self.count.checked_sub(count).ok_or(Stop::End)?;
        Ok((self.buffer >> self.count) as u32 & ((1 << count) - 1))
    }

    /// Returns the value of the next code of a table.
    pub(super) fn code(&mut self, table: &Table) -> Result<u8, Stop> {
        self.fill();
        let ahead = if self.count >= 16 {
            self.buffer >> (self.count - 16)
        } else {
            self.buffer << (16 - self.count)
        } as u32
            & 0xffff;
        let (length, value) = table.short[(ahead >> (16 - SHORT)) as usize];
        if length > 0 {
            self.count = self.count.checked_sub(length.into()).ok_or(Stop::End)?;
            return Ok(value);
        }
        for length in SHORT + 1..=16 {
            if let Some(value) = table.value(ahead >> (16 - length), length as usize) {
                self.count = self.count.checked_sub(length).ok_or(Stop::End)?;
                return Ok(value);
            }
        }
        Err(if self.count < 16 { Stop::End } else { Stop::Invalid })
    }

    /// Continues behind the next restart marker.
    pub(super) fn restart(&mut self) -> Result<(), Stop> {
        (self.buffer, self.count) = (0, 0);
        while let Some(&[first, second]) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
            if first == 0xff && matches!(second, 0xd0..=0xd7) {
                self.at += 2;
                return Ok(());
            }
            self.at += 1;
        }
        Err(Stop::End)
    }
}

/// A Huffman table: canonical codes of 1 to 16 bits.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// First code of each length, index of its value, and number of codes.
    lengths: [(u32, usize, usize); 17],
    values: Vec<u8>,
    /// Length and value of the code with which each sequence of bits starts; length 0 for longer codes.
    short: [(u8, u8); 1 << SHORT],
}

impl Table {
    /// Creates a table from the number of codes of each length and the values in the order of their codes.
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Self {
        let mut lengths = [(0, 0, 0); 17];
        let (mut code, mut index) = (0, 0);
        for (length, &count) in counts.iter().enumerate() {
            let count = usize::from(count);
            lengths[length + 1] = (code, index, count);
            code = (code + count as u32) << 1;
            index += count;
        }
        let mut table = Self { lengths, values: values.to_vec(), short: [(0, 0); 1 << SHORT] };
        for length in 1..=SHORT {
            let (first, index, count) = lengths[length as usize];
            for (code, &value) in (first..).zip(values.iter().skip(index).take(count)) {
                let start = (code << (SHORT - length)) as usize;
                let slots = table.short.iter_mut().skip(start).take(1 << (SHORT - length));
                slots.for_each(|slot| *slot = (length as u8, value));
            }
        }
        table
    }

    fn value(&self, code: u32, length: usize) -> Option<u8> {
        let (first, index, count) = self.lengths[length];
        let offset = code.checked_sub(first)? as usize;
        if offset < count { self.values.get(index + offset).copied() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_bits_are_read_across_stuffed_bytes_and_restarts() {
        // Codes: 0 → 7, 10 → 8, 110 → 9.
        let mut counts = [0; 16];
        counts[..3].fill(1);
        let table = Table::new(&counts, &[7, 8, 9]);
        let mut bits = Bits::new(&[0b0101_1010, 0xff, 0x00, 0xff, 0xd3, 0b1000_0000]);
        let codes: Vec<_> = (0..4).map(|_| bits.code(&table)).collect();
        assert_eq!(codes, [Ok(7), Ok(8), Ok(9), Ok(8)]);
        assert_eq!((bits.take(3), bits.take(5)), (Ok(0b111), Ok(0b11111)));
        assert_eq!(bits.take(1), Err(Stop::End));
        assert_eq!((bits.restart(), bits.code(&table)), (Ok(()), Ok(8)));
        assert_eq!(bits.restart(), Err(Stop::End));
    }

    #[test]
    fn bits_that_are_no_code_are_invalid_and_a_cut_code_is_an_end() {
        let mut counts = [0; 16];
        counts[2] = 1;
        let table = Table::new(&counts, &[1]);
        assert_eq!(Bits::new(&[0xf0; 4]).code(&table), Err(Stop::Invalid));
        assert_eq!(Bits::new(&[]).code(&table), Err(Stop::End));
    }
}
