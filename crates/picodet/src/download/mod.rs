//! Downloads models by https URL into a cache: resumable, with the sha256 pinned or recorded.
//!
//! [`fetch`] downloads any URL; [`published`] the models that PaddleDetection and PaddleOCR publish, by name.

mod error;
pub mod published;
mod transfer;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use error::DownloadError;
use transfer::transfer;

use crate::digest::{hex, sha256};

/// The environment variable with the base URL of a mirror of the published models.
pub const MIRROR: &str = "PICODET_MIRROR";

/// Settings of a download.
#[derive(Clone, Debug, Default)]
pub struct DownloadOptions {
    /// Never use the network.
    pub offline: bool,
    /// The sha256 that the downloaded file must have, in hexadecimal; when not given, that of the first
    /// download is recorded and must not change.
    pub sha256: Option<String>,
    /// The cache folder; by default [`cache_folder`].
    pub cache: Option<PathBuf>,
    /// The base URL of a mirror of the published models; by default that of the environment variable
    /// [`MIRROR`].
    pub mirror: Option<String>,
}

impl DownloadOptions {
    fn cache(&self) -> Result<PathBuf, DownloadError> {
        self.cache.clone().map_or_else(cache_folder, Ok)
    }
}

/// Returns the cache folder of models.
///
/// # Errors
/// When no environment variable names one.
pub fn cache_folder() -> Result<PathBuf, DownloadError> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("PICODET_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("picodet")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/picodet")))
        .or_else(|| folder("LOCALAPPDATA").map(|local| local.join("picodet")))
        .ok_or(DownloadError::NoCache)
}

/// Returns the path of a model in the cache, after downloading it if it is missing. `progress` is called with
/// the bytes received and, if the server reports it, the total.
///
/// # Errors
/// When the transfer fails (the received part is kept and resumed), or the checksum does not match.
pub fn fetch(
    url: &str,
    options: &DownloadOptions,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<PathBuf, DownloadError> {
    if !url.starts_with("https://") {
        return Err(DownloadError::Scheme(url.to_owned()));
    }
    fetch_from(url, url, options, progress)
}

/// As [`fetch`], from another address than the URL under which the file is known.
fn fetch_from(
    url: &str,
    address: &str,
    options: &DownloadOptions,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<PathBuf, DownloadError> {
    let path = options.cache()?.join(cache_name(url));
    let record = path.with_extension("sha256");
    let write = |source| DownloadError::Write { path: path.display().to_string(), source };
    let recorded = std::fs::read_to_string(&record).ok().map(|text| text.trim().to_owned());
    let expected =
        Expected { pinned: options.sha256.as_deref(), recorded: recorded.as_deref(), record: &record };
    if !path.exists() {
        if options.offline {
            return Err(DownloadError::Offline(url.to_owned()));
        }
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(write)?;
        let part = path.with_extension("part");
        // Another process may download the same file; where files cannot be locked, the last one wins.
        let lock = File::create(path.with_extension("lock")).map_err(write)?;
        let _ = lock.lock();
        if !path.exists() {
            transfer(address, &part, progress)?;
            if let Err(error) = expected.check(&part, url) {
                std::fs::remove_file(&part).map_err(write)?;
                return Err(error);
            }
            std::fs::rename(&part, &path).map_err(write)?;
        }
    }
    let found = expected.check(&path, url)?;
    if recorded.is_none() {
        picodet_format::write_atomically(&record, format!("{found}\n").as_bytes()).map_err(write)?;
    }
    Ok(path)
}

/// Returns a file name that is unique to the URL and readable.
fn cache_name(url: &str) -> String {
    let digest = sha256(url.as_bytes());
    let name = url.rsplit('/').next().unwrap_or_default();
    let safe: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).take(80).collect();
    format!("{}-{}", &digest[..16], safe.trim_start_matches('.'))
}

/// The sha256 that a file must have.
struct Expected<'a> {
    /// That of the options.
    pinned: Option<&'a str>,
    /// That of the first download.
    recorded: Option<&'a str>,
    /// The file that holds it.
    record: &'a Path,
}

impl Expected<'_> {
    /// Returns the sha256 of a file after comparing it.
    fn check(&self, path: &Path, url: &str) -> Result<String, DownloadError> {
        let found = sha256_of_file(path)
            .map_err(|source| DownloadError::Write { path: path.display().to_string(), source })?;
        if let Some(pinned) = self.pinned.filter(|pinned| !pinned.eq_ignore_ascii_case(&found)) {
            let path = path.display().to_string();
            return Err(DownloadError::Checksum { path, found, expected: pinned.to_owned() });
        }
        match self.recorded.filter(|recorded| !recorded.eq_ignore_ascii_case(&found)) {
            Some(recorded) if self.pinned.is_none() => Err(DownloadError::Changed {
                url: url.to_owned(),
                found,
                recorded: recorded.to_owned(),
                record: self.record.display().to_string(),
            }),
            _ => Ok(found),
        }
    }
}

/// Returns the sha256 of a file.
fn sha256_of_file(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_cache_are_safe_and_distinct() {
        let a = cache_name("https://example.org/a/model.safetensors");
        let b = cache_name("https://example.org/b/model.safetensors");
        assert_ne!(a, b);
        assert!(a.ends_with("model.safetensors"));
        assert!(!cache_name("https://example.org/..%2f/../..").contains('/'));
    }

    #[test]
    fn only_https_is_fetched() {
        let options = DownloadOptions::default();
        assert!(matches!(
            fetch("http://example.org/x", &options, &mut |_, _| ()),
            Err(DownloadError::Scheme(_))
        ));
    }
}
