//! Determines which part of a JPEG picture is missing, by reading its Huffman codes without computing pixels.

use super::bits::{Bits, Stop, Table};
use super::frame::Frame;
use super::segments::{DHT, DRI, SOS, Segment, Segments};
use crate::decode::Missing;

/// Maximum number of scans that are read; encoders write about ten.
const MAX_SCANS: usize = 100;
/// Maximum number of Huffman tables that are read; encoders write at most eight per scan.
const MAX_TABLES: usize = 4096;
/// Maximum number of blocks whose coefficients are tracked: 1 gigapixel of one component.
const MAX_BLOCKS: usize = 1 << 24;

/// Returns the missing part of the first picture of a file; `None` if it is complete.
///
/// `terminated` is whether the picture has an end of image. Only Huffman-coded DCT frames are read; other frames and invalid headers count as complete, since a decoder refuses them.
pub(super) fn missing_part(bytes: &[u8], terminated: bool) -> Option<Missing> {
    let mut reader = Reader { terminated, ..Reader::default() };
    for segment in Segments::new(bytes) {
        match segment.marker {
            DHT => reader.read_tables(segment.payload)?,
            DRI => {
                let interval = segment.payload.first_chunk().copied().unwrap_or_default();
                reader.restart_interval = u16::from_be_bytes(interval).into();
            }
            SOS => match reader.read_scan(&segment) {
                Ok(()) => {}
                Err(Fault::Unreadable) => return None,
                Err(Fault::Missing(missing)) => return Some(missing),
            },
            _ if segment.is_frame() => {
                let frame = Frame::parse(&segment)?;
                if reader.frame.is_some() || !frame.has_huffman_codes() {
                    return None;
                }
                reader.frame = Some(frame);
            }
            _ => {}
        }
    }
    // An encoder may omit refinements of a complete file, not of one that ends anywhere.
    if terminated { None } else { reader.unfinished() }
}

/// The reason why a scan is not read to its end.
enum Fault {
    /// The scan is invalid or damaged, or the picture is too large to be tracked.
    Unreadable,
    /// The data of the scan ends early.
    Missing(Missing),
}

/// Parameters of a scan.
struct Scan {
    /// First and last coefficient in zigzag order.
    band: [u32; 2],
    /// Whether the scan refines coefficients of an earlier one.
    refines: bool,
    /// Whether the coefficients have full precision behind the scan.
    is_last: bool,
}

impl Scan {
    /// Returns the bit mask of the coefficients.
    fn mask(&self) -> u64 {
        let [first, last] = self.band;
        (u64::MAX >> (63 - (last - first))) << first
    }
}

/// Index of a component in the frame, with its tables.
struct ScanComponent {
    index: usize,
    dc: usize,
    ac: usize,
}

#[derive(Debug, Default)]
struct Reader {
    /// Whether the picture has an end of image.
    terminated: bool,
    frame: Option<Frame>,
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    /// MCUs between restart markers; 0 without.
    restart_interval: usize,
    /// For each component and block, the bit mask of the AC coefficients other than 0; empty for sequential frames.
    non_zero: [Vec<u64>; 4],
    received: Received,
    scans: usize,
    tables: usize,
}

impl Reader {
    /// Reads the tables of a segment up to the first invalid one; `None` if the file has too many.
    fn read_tables(&mut self, mut payload: &[u8]) -> Option<()> {
        while let Some((&class, rest)) = payload.split_first() {
            let Some((counts, rest)) = rest.split_first_chunk::<16>() else { break };
            let count = counts.iter().map(|&count| usize::from(count)).sum::<usize>();
            let Some((values, rest)) = rest.split_at_checked(count) else { break };
            self.tables += 1;
            if self.tables > MAX_TABLES {
                return None;
            }
            let tables = if class >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            tables[usize::from(class & 3)] = Some(Table::new(counts, values));
            payload = rest;
        }
        Some(())
    }

    fn read_scan(&mut self, segment: &Segment<'_>) -> Result<(), Fault> {
        self.scans += 1;
        let frame = self.frame.clone().filter(|_| self.scans <= MAX_SCANS).ok_or(Fault::Unreadable)?;
        let (components, scan) = parse_scan(segment.payload, &frame).ok_or(Fault::Unreadable)?;
        if frame.is_progressive() {
            let blocks = |index: usize| frame.padded_blocks(&frame.components[index]).iter().product();
            if (0..frame.components.len()).map(blocks).sum::<usize>() > MAX_BLOCKS {
                return Err(Fault::Unreadable);
            }
            for component in &components {
                self.non_zero[component.index].resize(blocks(component.index), 0);
            }
        }
        let (mcus, rows) = match components[..] {
            [ref one] => {
                let component = &frame.components[one.index];
                (frame.blocks(component), (8 * frame.largest[1]).div_ceil(component.sampling[1]))
            }
            _ => (frame.mcus(), 8 * frame.largest[1]),
        };
        let mut data = ScanData { bits: Bits::new(segment.entropy), end_of_band_run: 0 };
        let count = mcus[0] * mcus[1];
        for mcu in 0..count {
            if self.restart_interval > 0 && mcu > 0 && mcu.is_multiple_of(self.restart_interval) {
                data.end_of_band_run = 0;
                data.bits.restart().map_err(|stop| self.fault(stop, &frame, &scan, mcu / mcus[0] * rows))?;
            }
            let at = [mcu % mcus[0], mcu / mcus[0]];
            self.read_mcu(&frame, &components, &scan, at, &mut data)
                .map_err(|stop| self.fault(stop, &frame, &scan, at[1] * rows))?;
        }
        for component in components.iter().filter(|_| scan.is_last) {
            self.received.finished[component.index] |= scan.mask();
        }
        Ok(())
    }

    /// Reads the blocks of the MCU in column `at[0]` and row `at[1]`.
    fn read_mcu(
        &mut self,
        frame: &Frame,
        components: &[ScanComponent],
        scan: &Scan,
        at: [usize; 2],
        data: &mut ScanData<'_>,
    ) -> Result<(), Stop> {
        for component in components {
            let sampling = frame.components[component.index].sampling;
            let [across, down] = if components.len() == 1 { [1, 1] } else { sampling };
            let stride = frame.padded_blocks(&frame.components[component.index])[0];
            let tables = [&self.dc[component.dc], &self.ac[component.ac]].map(Option::as_ref);
            for block in 0..across * down {
                let (column, row) = (at[0] * across + block % across, at[1] * down + block / across);
                if !frame.is_progressive() {
                    data.sequential(tables)?;
                    continue;
                }
                let blocks = &mut self.non_zero[component.index];
                let non_zero = blocks.get_mut(row * stride + column).ok_or(Stop::Invalid)?;
                match (scan.band[0], scan.refines) {
                    (0, false) => data.first_dc(tables[0])?,
                    (0, true) => drop(data.bits.take(1)?),
                    (_, false) => data.first_ac(tables[1], scan.band, non_zero)?,
                    (_, true) => data.refined_ac(tables[1], scan.band, non_zero)?,
                }
            }
        }
        Ok(())
    }

    /// The fault when the data of a scan cannot be read from a row of pixels on: later scans of a progressive frame add detail.
    /// In a picture with an end, invalid data and a scan of detail that is too short are damaged, not missing; decoders
    /// compute such pictures.
    fn fault(&self, stop: Stop, frame: &Frame, scan: &Scan, row: usize) -> Fault {
        let is_detail = frame.is_progressive() && (scan.band[0] > 0 || scan.refines);
        if self.terminated && (is_detail || stop == Stop::Invalid) {
            return Fault::Unreadable;
        }
        Fault::Missing(if is_detail {
            Missing::Detail
        } else {
            Missing::Rows { first: row.min(frame.height.saturating_sub(1)), count: frame.height }
        })
    }

    /// The missing part when the file ends behind a complete segment.
    fn unfinished(&self) -> Option<Missing> {
        let frame = self.frame.as_ref()?;
        if self.received.finished[..frame.components.len()].iter().any(|&mask| mask & 1 == 0) {
            return Some(Missing::Rows { first: 0, count: frame.height });
        }
        (!self.received.is_complete(frame)).then_some(Missing::Detail)
    }
}

/// The coefficients that scan headers announce.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// For each component, the bit mask of the coefficients with full precision.
    finished: [u64; 4],
}

impl Received {
    /// Adds a scan; returns `false` if its header is invalid or repeats coefficients.
    pub(super) fn add(&mut self, payload: &[u8], frame: &Frame) -> bool {
        let Some((components, scan)) = parse_scan(payload, frame) else { return false };
        let mut is_new = true;
        for component in components.iter().filter(|_| scan.is_last) {
            is_new &= self.finished[component.index] & scan.mask() == 0;
            self.finished[component.index] |= scan.mask();
        }
        is_new
    }

    /// Whether every coefficient of every component has full precision.
    pub(super) fn is_complete(&self, frame: &Frame) -> bool {
        self.finished[..frame.components.len()].iter().all(|&mask| mask == u64::MAX)
    }
}

/// Parses a scan header; `None` if it is invalid.
fn parse_scan(payload: &[u8], frame: &Frame) -> Option<(Vec<ScanComponent>, Scan)> {
    let (&count, rest) = payload.split_first()?;
    let (components, rest) = rest.split_at_checked(2 * usize::from(count))?;
    let component = |&[id, tables]: &[u8; 2]| {
        let index = frame.components.iter().position(|component| component.id == id)?;
        let (dc, ac) = (usize::from(tables >> 4), usize::from(tables & 15));
        (dc < 4 && ac < 4).then_some(ScanComponent { index, dc, ac })
    };
    let components: Option<Vec<_>> = components.as_chunks().0.iter().map(component).collect();
    let components = components.filter(|components| (1..=4).contains(&components.len()))?;
    if !frame.is_progressive() {
        return Some((components, Scan { band: [0, 63], refines: false, is_last: true }));
    }
    let &[first, last, bits] = rest.first_chunk()?;
    let valid =
        first <= last && last < 64 && (first > 0 || last == 0) && (first == 0 || components.len() == 1);
    let scan = Scan { band: [first.into(), last.into()], refines: bits >> 4 > 0, is_last: bits & 15 == 0 };
    valid.then_some((components, scan))
}

/// The unread data of a scan.
struct ScanData<'a> {
    bits: Bits<'a>,
    /// Blocks without further coefficients in the band.
    end_of_band_run: u32,
}

impl ScanData<'_> {
    /// Reads a block of a sequential frame (F.2.2).
    fn sequential(&mut self, tables: [Option<&Table>; 2]) -> Result<(), Stop> {
        self.first_dc(tables[0])?;
        let table = tables[1].ok_or(Stop::Invalid)?;
        let mut at = 1;
        while at < 64 {
            let code = self.bits.code(table)?;
            let (run, size) = (code >> 4, code & 15);
            match (run, size) {
                (15, 0) => at += 16,
                (_, 0) => break,
                _ => {
                    self.bits.take(size.into())?;
                    at += u32::from(run) + 1;
                }
            }
        }
        Ok(())
    }

    /// Reads the difference of a DC coefficient.
    fn first_dc(&mut self, table: Option<&Table>) -> Result<(), Stop> {
        let size = self.bits.code(table.ok_or(Stop::Invalid)?)?;
        if size > 16 {
            return Err(Stop::Invalid);
        }
        self.bits.take(size.into())?;
        Ok(())
    }

    /// Reads the first scan of a band of AC coefficients (G.1.2.2).
    fn first_ac(
        &mut self,
        table: Option<&Table>,
        [first, last]: [u32; 2],
        non_zero: &mut u64,
    ) -> Result<(), Stop> {
        if self.end_of_band_run > 0 {
            self.end_of_band_run -= 1;
            return Ok(());
        }
        let table = table.ok_or(Stop::Invalid)?;
        let mut at = first;
        while at <= last {
            let code = self.bits.code(table)?;
            let (run, size) = (u32::from(code >> 4), code & 15);
            match (run, size) {
                (15, 0) => at += 16,
                (_, 0) => {
                    self.end_of_band_run = (1 << run) - 1 + self.bits.take(run)?;
                    break;
                }
                _ => {
                    at += run;
                    if at > last {
                        return Err(Stop::Invalid);
                    }
                    self.bits.take(size.into())?;
                    *non_zero |= 1 << at;
                    at += 1;
                }
            }
        }
        Ok(())
    }

    /// Reads a refinement of a band of AC coefficients (G.1.2.3).
    fn refined_ac(
        &mut self,
        table: Option<&Table>,
        [first, last]: [u32; 2],
        non_zero: &mut u64,
    ) -> Result<(), Stop> {
        let table = table.ok_or(Stop::Invalid)?;
        let before = *non_zero;
        let mut at = first;
        while self.end_of_band_run == 0 && at <= last {
            let code = self.bits.code(table)?;
            let (mut zeros, size) = (u32::from(code >> 4), code & 15);
            if size == 0 && zeros < 15 {
                self.end_of_band_run = (1 << zeros) + self.bits.take(zeros)?;
                break;
            }
            if size > 0 {
                // The sign of a coefficient that becomes other than 0.
                self.bits.take(1)?;
            }
            while at <= last {
                if before >> at & 1 == 1 {
                    self.bits.take(1)?;
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                at += 1;
            }
            if size > 0 && at <= last {
                *non_zero |= 1 << at;
            }
            at += 1;
        }
        if self.end_of_band_run > 0 {
            for at in at..=last {
                if before >> at & 1 == 1 {
                    self.bits.take(1)?;
                }
            }
            self.end_of_band_run -= 1;
        }
        Ok(())
    }
}
