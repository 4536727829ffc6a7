//! Downloads models by https URL into a cache: resumable, with the sha256 pinned or recorded.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use ureq::tls::{RootCerts, TlsConfig};

/// Largest size of a model in bytes, far above all published ones.
const LARGEST_MODEL: u64 = 1 << 30;

/// The reason why a model cannot be downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// Only https is fetched.
    #[error("{0}: only https URLs are fetched")]
    Scheme(String),
    /// No cache folder is known.
    #[error("no cache folder: set PICODET_CACHE, XDG_CACHE_HOME or HOME")]
    NoCache,
    /// The model is not in the cache, and downloads are disabled.
    #[error("{0} is not in the cache, and --offline forbids downloading it")]
    Offline(String),
    /// The server or the connection fails.
    #[error("{url}: {problem}; run the command again to resume the download")]
    Transfer {
        /// The URL.
        url: String,
        /// The fault.
        problem: String,
    },
    /// The checksum does not match.
    #[error("{path}: sha256 is {found}, expected {expected}; delete the file to fetch it again")]
    Checksum {
        /// The file in the cache.
        path: String,
        /// Its checksum.
        found: String,
        /// The expected checksum.
        expected: String,
    },
    /// The cache cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// The file in the cache.
        path: String,
        /// The underlying I/O error.
        source: std::io::Error,
    },
}

/// Settings of a download.
#[derive(Clone, Debug, Default)]
pub struct DownloadOptions {
    /// Never use the network.
    pub offline: bool,
    /// The sha256 that the model must have, in hexadecimal; when not given, that of the first fetch is recorded and
    /// must not change.
    pub sha256: Option<String>,
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

/// Returns the path of a model in the cache, after downloading it if it is missing. `progress` is called with the bytes
/// received and, if the server reports it, the total.
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
    let path = cache_folder()?.join(cache_name(url));
    let write = |source| DownloadError::Write { path: path.display().to_string(), source };
    if !path.exists() {
        if options.offline {
            return Err(DownloadError::Offline(url.to_owned()));
        }
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(write)?;
        let part = path.with_extension("part");
        transfer(url, &part, progress)?;
        check(&part, options.sha256.as_deref(), url)?;
        std::fs::rename(&part, &path).map_err(write)?;
    }
    let record = path.with_extension("sha256");
    let recorded = std::fs::read_to_string(&record).ok().map(|text| text.trim().to_owned());
    let found = check(&path, options.sha256.as_deref().or(recorded.as_deref()), url)?;
    if recorded.is_none() {
        picodet_format::write_atomically(&record, format!("{found}\n").as_bytes()).map_err(write)?;
    }
    Ok(path)
}

/// Returns a file name that is unique to the URL and readable.
fn cache_name(url: &str) -> String {
    let digest = hex(&Sha256::digest(url.as_bytes()));
    let name = url.rsplit('/').next().unwrap_or_default();
    let safe: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).take(80).collect();
    format!("{}-{}", &digest[..16], safe.trim_start_matches('.'))
}

fn transfer(url: &str, part: &Path, progress: &mut dyn FnMut(u64, Option<u64>)) -> Result<(), DownloadError> {
    let failed = |problem: String| DownloadError::Transfer { url: url.to_owned(), problem };
    let write = |source| DownloadError::Write { path: part.display().to_string(), source };
    let mut there = std::fs::metadata(part).map_or(0, |metadata| metadata.len());
    // The certificates of the system, so that a company's own authority counts too.
    let certificates = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().tls_config(certificates).build());
    let mut request = agent.get(url);
    if there > 0 {
        request = request.header("Range", format!("bytes={there}-"));
    }
    let mut response = request.call().map_err(|error| failed(error.to_string()))?;
    let resumed = response.status().as_u16() == 206;
    let mut file = OpenOptions::new()
        .create(true)
        .append(resumed)
        .write(true)
        .truncate(!resumed)
        .open(part)
        .map_err(write)?;
    if !resumed {
        there = 0;
    }
    let length =
        response.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let total = length.map(|length| there + length);
    if total.is_some_and(|total| total > LARGEST_MODEL) {
        return Err(failed(format!("{} bytes are too many for a model", total.unwrap_or_default())));
    }
    let mut reader = response.body_mut().as_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = reader.read(&mut buffer).map_err(|error| failed(error.to_string()))?;
        if count == 0 {
            break;
        }
        file.write_all(&buffer[..count]).map_err(write)?;
        there += count as u64;
        if there > LARGEST_MODEL {
            return Err(failed("the file is too large for a model".to_owned()));
        }
        progress(there, total);
    }
    if total.is_some_and(|total| there != total) {
        return Err(failed(format!("the transfer ended after {there} bytes")));
    }
    file.sync_all().map_err(write)
}

/// The sha256 of a file, compared with what it should be.
fn check(path: &Path, expected: Option<&str>, url: &str) -> Result<String, DownloadError> {
    let failed =
        |error: std::io::Error| DownloadError::Transfer { url: url.to_owned(), problem: error.to_string() };
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    let found = hex(&hasher.finalize());
    match expected {
        Some(expected) if !expected.eq_ignore_ascii_case(&found) => Err(DownloadError::Checksum {
            path: path.display().to_string(),
            found,
            expected: expected.to_owned(),
        }),
        _ => Ok(found),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
