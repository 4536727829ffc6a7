//! Event files as TensorBoard reads them: records of length, checksum and a protocol buffer.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};

use crate::run::RunError;

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// An event file being written.
#[derive(Debug)]
pub(crate) struct EventFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventFile {
    /// A new file in a folder; events of other files from `step` on are void.
    pub(crate) fn create(folder: &Path, step: usize) -> Result<Self, RunError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let path =
            folder.join(format!("events.out.tfevents.{}.{}.picodet", now.as_secs(), std::process::id()));
        let file = File::create(&path).map_err(|source| RunError::File { path: path.clone(), source })?;
        let mut events = Self { path, file: BufWriter::new(file) };
        let mut version = double(1, now.as_secs_f64());
        version.extend(bytes(3, b"brain.Event:2"));
        events.record(&version)?;
        let mut session = double(1, now.as_secs_f64());
        session.extend(varint_field(2, step as u64));
        // SessionLog { status: START }
        session.extend(bytes(7, &varint_field(1, 1)));
        events.record(&session)?;
        Ok(events)
    }

    /// Adds numbers by name at a step.
    pub(crate) fn scalars(&mut self, step: usize, values: &[(&str, f64)]) -> Result<(), RunError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut summary = Vec::new();
        for (name, value) in values {
            let mut entry = bytes(1, name.as_bytes());
            entry.extend(float(2, *value as f32));
            summary.extend(bytes(1, &entry));
        }
        let mut event = double(1, now.as_secs_f64());
        event.extend(varint_field(2, step as u64));
        event.extend(bytes(5, &summary));
        self.record(&event)
    }

    pub(crate) fn flush(&mut self) -> Result<(), RunError> {
        self.file.flush().map_err(|source| RunError::File { path: self.path.clone(), source })
    }

    fn record(&mut self, message: &[u8]) -> Result<(), RunError> {
        let length = (message.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(masked_checksum(&length).to_le_bytes());
        record.extend(message);
        record.extend(masked_checksum(message).to_le_bytes());
        self.file.write_all(&record).map_err(|source| RunError::File { path: self.path.clone(), source })
    }
}

/// The checksum, turned and shifted as the format wants it.
fn masked_checksum(bytes: &[u8]) -> u32 {
    CHECKSUM.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn tag(field: u32, kind: u32) -> Vec<u8> {
    let mut out = Vec::new();
    varint(u64::from(field << 3 | kind), &mut out);
    out
}

fn varint_field(field: u32, value: u64) -> Vec<u8> {
    let mut out = tag(field, 0);
    varint(value, &mut out);
    out
}

fn double(field: u32, value: f64) -> Vec<u8> {
    let mut out = tag(field, 1);
    out.extend(value.to_le_bytes());
    out
}

fn float(field: u32, value: f32) -> Vec<u8> {
    let mut out = tag(field, 5);
    out.extend(value.to_le_bytes());
    out
}

fn bytes(field: u32, value: &[u8]) -> Vec<u8> {
    let mut out = tag(field, 2);
    varint(value.len() as u64, &mut out);
    out.extend(value);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_carry_their_length_and_checksums() {
        // The check value of CRC-32C, masked.
        assert_eq!(CHECKSUM.checksum(b"123456789"), 0xe306_9283);
        let folder = tempfile::tempdir().expect("a folder");
        let mut events = EventFile::create(folder.path(), 300).expect("a file");
        events.scalars(300, &[("loss/total", 1.5)]).expect("written");
        events.flush().expect("written");
        let data = std::fs::read(&events.path).expect("a file");
        let (mut at, mut messages) = (0, Vec::new());
        while at < data.len() {
            let length = u64::from_le_bytes(data[at..at + 8].try_into().expect("eight bytes")) as usize;
            let checksum = |from: usize, to: usize| {
                let found = u32::from_le_bytes(data[to..to + 4].try_into().expect("four bytes"));
                assert_eq!(found, masked_checksum(&data[from..to]));
            };
            checksum(at, at + 8);
            checksum(at + 12, at + 12 + length);
            messages.push(&data[at + 12..at + 12 + length]);
            at += 16 + length;
        }
        assert_eq!(messages.len(), 3);
        let has = |message: &[u8], part: &[u8]| message.windows(part.len()).any(|window| window == part);
        assert!(has(messages[0], b"brain.Event:2"));
        // Step 300 as a varint in field 2; then the value as a float.
        assert!(has(messages[2], &[0x10, 0xac, 0x02]) && has(messages[2], &1.5f32.to_le_bytes()));
    }
}
