//! Published models by name: downloaded from their publisher, converted, and cached as native models.
//!
//! The sha256 of each file is recorded at its first download, next to it in the cache, and must not change.
//! The environment variable [`MIRROR`] gives the base URL of a mirror, to which the name of
//! the file is appended.

use std::path::Path;

use picodet_model::{ConvertError, ConvertOptions, Model, ModelError, convert};
use picodet_weights::Storage;
use picodet_zoo::{PUBLISHED_LICENCE, Published};

use super::{DownloadError, DownloadOptions, MIRROR, cache_name, fetch_from};

/// An error in opening a published model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishedError {
    /// No model is published under the name.
    #[error("no model is published as `{0}`; `picodet models` lists all")]
    Unknown(String),
    /// The file cannot be downloaded.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The file does not hold the weights of the network.
    #[error("the downloaded file is not as expected and was discarded: {0}")]
    Convert(#[from] ConvertError),
    /// The converted model in the cache is damaged.
    #[error("{path}: {source}; delete the file to convert it again")]
    Cache {
        /// The file in the cache.
        path: String,
        /// The damage.
        source: ModelError,
    },
}

/// Opens a published model by the name of its file or of its network (see [`picodet_zoo::published`]).
///
/// The converted model is kept in the cache, so that later calls need no network. `progress` is called with
/// the bytes received and, if the server reports it, the total.
///
/// # Errors
/// When the name is unknown, the file is neither in the cache nor can be downloaded, its sha256 differs, or
/// it does not hold the weights of its network.
pub fn open(
    name: &str,
    options: &DownloadOptions,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<Model, PublishedError> {
    let unknown = || PublishedError::Unknown(name.to_owned());
    let published = picodet_zoo::published(name).ok_or_else(unknown)?;
    let variant = published.network().ok_or_else(unknown)?;
    let source = options.cache()?.join(cache_name(published.url));
    let native = source.with_extension("safetensors");
    // A pinned sha256 is that of the published file, which is then read again.
    if native.exists() && options.sha256.is_none() {
        return read(&native);
    }
    let record = source.with_extension("sha256");
    let is_first = !record.exists();
    let source = fetch_from(published.url, &address(published, options.mirror.clone())?, options, progress)?;
    let names = published.classes.map(|classes| classes.iter().map(ToString::to_string).collect());
    let settings = ConvertOptions {
        classes: names,
        origin: Some(published.url.to_owned()),
        licence: Some(PUBLISHED_LICENCE.to_owned()),
        ..ConvertOptions::default()
    };
    let model = convert(&source, variant, &settings).inspect_err(|_| {
        // The page of a proxy must not be mistaken for the publisher's file later.
        let _ = std::fs::remove_file(&source);
        if is_first {
            let _ = std::fs::remove_file(&record);
        }
    })?;
    let write = |source| DownloadError::Write { path: native.display().to_string(), source };
    picodet_format::write_atomically(&native, &model.to_bytes(Storage::F32)).map_err(write)?;
    Ok(model)
}

fn read(path: &Path) -> Result<Model, PublishedError> {
    let display = || path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| DownloadError::Write { path: display(), source })?;
    Model::from_bytes(&bytes).map_err(|source| PublishedError::Cache { path: display(), source })
}

/// Returns the address of a file: that of its publisher, or of the mirror.
fn address(published: &Published, mirror: Option<String>) -> Result<String, DownloadError> {
    let mirror = mirror.or_else(|| std::env::var(MIRROR).ok());
    let Some(base) = mirror.filter(|base| !base.is_empty()) else {
        return Ok(published.url.to_owned());
    };
    if !base.starts_with("https://") && !is_local(&base) {
        return Err(DownloadError::Mirror(base));
    }
    let file = published.url.rsplit('/').next().unwrap_or_default();
    Ok(format!("{}/{file}", base.trim_end_matches('/')))
}

/// Whether an address is http on this machine.
fn is_local(base: &str) -> bool {
    let Some(rest) = base.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    !authority.contains('@') && matches!(host, "127.0.0.1" | "localhost" | "::1")
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_this_machine_is_local() {
        let local = ["http://127.0.0.1:80/a", "http://localhost", "http://[::1]:8000/x"];
        assert!(local.into_iter().all(is_local));
        let remote =
            ["http://example.org", "http://127.0.0.1.example.org", "http://127.0.0.1:80@example.org/"];
        assert!(!remote.into_iter().any(is_local));
    }
}
