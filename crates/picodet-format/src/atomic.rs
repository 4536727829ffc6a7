//! Writes a file atomically: readers see the old contents or the new ones, never a part.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes the temporary file names of one process unique.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Writes `bytes` to a temporary file in the same folder, syncs it, and renames it over `path`.
///
/// # Errors
/// The underlying I/O error; `path` is then unchanged and the temporary file is removed.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"))?;
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!(".{}.{}.{number}.tmp", name.to_string_lossy(), std::process::id()));
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&temporary, path));
    // The rename survives a power failure only after the folder is synced; some systems cannot sync a folder.
    #[cfg(unix)]
    if renamed.is_ok() {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    if renamed.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_without_leftovers() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("model.safetensors");
        write_atomically(&path, b"first")?;
        write_atomically(&path, b"second")?;
        assert_eq!(fs::read(&path)?, b"second");
        assert_eq!(fs::read_dir(folder.path())?.count(), 1);
        assert!(write_atomically(&folder.path().join("missing/model"), b"x").is_err());
        assert!(write_atomically(Path::new("/"), b"x").is_err());
        Ok(())
    }

    #[test]
    fn a_failed_rename_keeps_the_target_and_removes_the_temporary_file() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let target = folder.path().join("taken");
        fs::create_dir(&target)?;
        fs::write(target.join("inside"), b"kept")?;
        assert!(write_atomically(&target, b"x").is_err());
        assert_eq!(fs::read(target.join("inside"))?, b"kept");
        assert_eq!(fs::read_dir(folder.path())?.count(), 1);
        Ok(())
    }
}
