//! TensorBoard event files: records of length, checksum and a protocol buffer.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};
use picodet_format::protobuf::Message;

use crate::error::RunError;

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// An open event file.
#[derive(Debug)]
pub(crate) struct EventFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventFile {
    /// Creates a file in a folder; it replaces the events of other files from `step` on.
    pub(crate) fn create(folder: &Path, step: usize) -> Result<Self, RunError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let path =
            folder.join(format!("events.out.tfevents.{}.{}.picodet", now.as_secs(), std::process::id()));
        let file = File::create(&path).map_err(|source| RunError::File { path: path.clone(), source })?;
        let mut events = Self { path, file: BufWriter::new(file) };
        let event = || Message::default().double(1, now.as_secs_f64());
        events.record(&event().text(3, "brain.Event:2"))?;
        // SessionLog { status: START }
        let session = Message::default().integer(1, 1);
        events.record(&event().integer(2, step as i64).message(7, &session))?;
        Ok(events)
    }

    /// Adds named values of a step.
    pub(crate) fn scalars(&mut self, step: usize, values: &[(&str, f64)]) -> Result<(), RunError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let summary = values.iter().fold(Message::default(), |summary, (name, value)| {
            summary.message(1, &Message::default().text(1, name).float(2, *value as f32))
        });
        let event = Message::default().double(1, now.as_secs_f64()).integer(2, step as i64);
        self.record(&event.message(5, &summary))
    }

    pub(crate) fn flush(&mut self) -> Result<(), RunError> {
        self.file.flush().map_err(|source| RunError::File { path: self.path.clone(), source })
    }

    fn record(&mut self, message: &Message) -> Result<(), RunError> {
        let message = message.as_bytes();
        let length = (message.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(masked_checksum(&length).to_le_bytes());
        record.extend(message);
        record.extend(masked_checksum(message).to_le_bytes());
        self.file.write_all(&record).map_err(|source| RunError::File { path: self.path.clone(), source })
    }
}

/// Returns the checksum of the format: CRC-32C, rotated and shifted.
fn masked_checksum(bytes: &[u8]) -> u32 {
    CHECKSUM.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
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
