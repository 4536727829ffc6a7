//! Regular files of a tar archive in memory.

/// Size of a header, and the unit of the contents.
const BLOCK: usize = 512;

/// Why an archive cannot be read. Offsets are bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// The archive ends inside a file.
    #[error("the archive ends at byte {offset} inside a file; it is truncated")]
    Truncated {
        /// Length of the archive.
        offset: usize,
    },
    /// A header whose checksum or size is wrong.
    #[error("no header of a tar archive at byte {offset}")]
    Header {
        /// Offset of the header.
        offset: usize,
    },
}

/// A regular file of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TarFile<'a> {
    /// Name without its folders; names of more than 100 bytes are cut.
    pub name: &'a str,
    /// The contents.
    pub contents: &'a [u8],
}

/// Returns the regular files of an archive that is not compressed, in its order.
///
/// # Errors
/// [`TarError`] when the archive is damaged or ends early.
pub fn tar_files(bytes: &[u8]) -> Result<Vec<TarFile<'_>>, TarError> {
    let mut files = Vec::new();
    let mut offset = 0usize;
    loop {
        let header = bytes.get(offset..offset.saturating_add(BLOCK));
        let header = header.ok_or(TarError::Truncated { offset: bytes.len() })?;
        if header.iter().all(|&byte| byte == 0) {
            return Ok(files);
        }
        let wrong = TarError::Header { offset };
        let stored = octal(&header[148..156]).ok_or(wrong)?;
        let sum = header.iter().enumerate().map(|(at, &byte)| match at {
            148..156 => u64::from(b' '),
            _ => u64::from(byte),
        });
        if sum.sum::<u64>() != stored {
            return Err(wrong);
        }
        let size = octal(&header[124..136]).and_then(|size| usize::try_from(size).ok()).ok_or(wrong)?;
        let start = offset + BLOCK;
        let end = start.checked_add(size).filter(|&end| end <= bytes.len());
        let end = end.ok_or(TarError::Truncated { offset: bytes.len() })?;
        if matches!(header[156], b'0' | 0) {
            let path = header[..100].split(|&byte| byte == 0).next().unwrap_or_default();
            let path = std::str::from_utf8(path).map_err(|_| wrong)?;
            let name = path.rsplit('/').next().unwrap_or(path);
            files.push(TarFile { name, contents: &bytes[start..end] });
        }
        offset = end.next_multiple_of(BLOCK);
    }
}

/// Parses an octal number between spaces and zero bytes.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches([' ', '\0']), 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, kind: u8, contents: &[u8]) -> Vec<u8> {
        let mut header = vec![0; BLOCK];
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", contents.len()).as_bytes());
        header[148..156].fill(b' ');
        header[156] = kind;
        let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let mut bytes = [header, contents.to_vec()].concat();
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    #[test]
    fn regular_files_are_found_by_name() {
        let archive = [
            entry("model/", b'5', b""),
            entry("model/a.json", b'0', b"first"),
            entry("b", 0, &[7; 600]),
            vec![0; 2 * BLOCK],
        ]
        .concat();
        let files = tar_files(&archive).expect("a sound archive");
        assert_eq!(files[0], TarFile { name: "a.json", contents: b"first" });
        assert_eq!((files[1].name, files[1].contents.len(), files.len()), ("b", 600, 2));
        let accepted =
            (0..archive.len() - 2 * BLOCK).filter(|&cut| tar_files(&archive[..cut]).is_ok()).count();
        assert_eq!(accepted, 0, "cut archives are refused");
        let mut damaged = archive;
        damaged[BLOCK + 3] ^= 1;
        assert_eq!(tar_files(&damaged), Err(TarError::Header { offset: BLOCK }));
    }
}
