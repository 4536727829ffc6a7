//! Data of an ONNX model that is stored in other files.
//!
//! A model names such files by a path relative to its own folder. Names that leave the folder, by themselves
//! or through a link, are refused, and a file is never read beyond its length, however many tensors refer to
//! it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// Where the bytes of a tensor are stored.
#[derive(Default)]
pub(super) struct Location {
    path: String,
    offset: Option<String>,
    length: Option<String>,
}

impl Location {
    /// Sets the entry of a key of the tensor's `external_data`.
    pub(super) fn set(&mut self, (key, value): (String, String)) {
        match key.as_str() {
            "location" => self.path = value,
            "offset" => self.offset = Some(value),
            "length" => self.length = Some(value),
            _ => {}
        }
    }
}

/// The files of a model's external data.
pub(super) struct ExternalData {
    /// The folder of the model; `None` when it is not known.
    folder: Option<PathBuf>,
    files: HashMap<String, OpenFile>,
    bytes_read: usize,
}

struct OpenFile {
    file: File,
    length: u64,
    /// Number of bytes that further tensors may read.
    budget: u64,
}

impl ExternalData {
    /// Refuses all external data.
    pub(super) fn refused() -> Self {
        Self { folder: None, files: HashMap::new(), bytes_read: 0 }
    }

    /// Reads external data from files of a folder.
    pub(super) fn in_folder(folder: &Path) -> Self {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        Self { folder: Some(folder.to_path_buf()), files: HashMap::new(), bytes_read: 0 }
    }

    /// Total number of bytes that have been read.
    pub(super) fn bytes_read(&self) -> usize {
        self.bytes_read
    }

    /// Reads the `length` bytes of a tensor; errors are problems of that tensor.
    pub(super) fn read(&mut self, location: &Location, length: usize) -> Result<Vec<u8>, String> {
        let Some(folder) = &self.folder else {
            return Err("is stored in another file; export the model with embedded weights".to_owned());
        };
        let number = |value: &Option<String>| match value {
            Some(text) => {
                text.trim().parse().map(Some).map_err(|_| format!("`{text}` is not a position in a file"))
            }
            None => Ok(None),
        };
        let offset: u64 = number(&location.offset)?.unwrap_or(0);
        let path = &location.path;
        if number(&location.length)?.is_some_and(|stored| stored != length as u64) {
            return Err(format!("its data in `{path}` does not have the {length} bytes of its shape"));
        }
        if !self.files.contains_key(path) {
            self.files.insert(path.clone(), open(folder, path)?);
        }
        let open = self.files.get_mut(path).ok_or_else(|| format!("`{path}` is not open"))?;
        let end = offset.checked_add(length as u64).filter(|&end| end <= open.length);
        if end.is_none() {
            return Err(format!(
                "`{path}` has {} bytes, {length} from byte {offset} are needed; it is truncated or of \
                 another model",
                open.length
            ));
        }
        open.budget = open
            .budget
            .checked_sub(length as u64)
            .ok_or_else(|| format!("the tensors refer to more bytes than `{path}` has"))?;
        let mut bytes = vec![0; length];
        let read = open.file.seek(SeekFrom::Start(offset)).and_then(|_| open.file.read_exact(&mut bytes));
        read.map_err(|error| format!("`{path}`: {error}"))?;
        self.bytes_read = self.bytes_read.saturating_add(length);
        Ok(bytes)
    }
}

/// Opens a regular file below `folder`.
fn open(folder: &Path, path: &str) -> Result<OpenFile, String> {
    let outside =
        || format!("its data is in `{path}`, which is outside of the model's folder; such paths are refused");
    let is_plain =
        Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if path.is_empty() || !is_plain || path.contains(['\\', ':', '\0']) {
        return Err(outside());
    }
    let missing = |error: std::io::Error| {
        format!("its data is in `{path}`, which cannot be read ({error}); put that file next to the model")
    };
    let root = folder.canonicalize().map_err(missing)?;
    let target = folder.join(path).canonicalize().map_err(missing)?;
    if !target.starts_with(&root) {
        return Err(outside());
    }
    // Opening a pipe would wait for a writer.
    let metadata = target.metadata().map_err(missing)?;
    if !metadata.is_file() {
        return Err(format!("its data is in `{path}`, which is not a regular file"));
    }
    let file = File::open(&target).map_err(missing)?;
    let length = file.metadata().map_err(missing)?.len();
    Ok(OpenFile { file, length, budget: length })
}
