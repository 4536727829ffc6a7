//! One transfer over HTTP, resumable.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig};

use super::DownloadError;

/// Largest size of a model in bytes, far above all published ones.
const LARGEST_MODEL: u64 = 1 << 30;
/// Longest time to connect, and to wait for the head of a response.
const PATIENCE: Duration = Duration::from_secs(60);

/// Downloads `url` to the end of the file `part`; starts again if the server cannot resume.
///
/// # Errors
/// When the server or the connection fails, or the part cannot be written; the received bytes stay in the
/// part.
pub(super) fn transfer(
    url: &str,
    part: &Path,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<(), DownloadError> {
    let received = std::fs::metadata(part).map_or(0, |metadata| metadata.len());
    match append(url, part, received, progress) {
        // The part is longer than the file: it is of another version.
        Err(DownloadError::Status { status: 416, .. }) if received > 0 => {
            let write = |source| DownloadError::Write { path: part.display().to_string(), source };
            std::fs::remove_file(part).map_err(write)?;
            append(url, part, 0, progress)
        }
        result => result,
    }
}

fn append(
    url: &str,
    part: &Path,
    mut received: u64,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<(), DownloadError> {
    let failed = |problem: String| DownloadError::Transfer { url: url.to_owned(), problem };
    let write = |source| DownloadError::Write { path: part.display().to_string(), source };
    let mut request = agent().get(url);
    if received > 0 {
        request = request.header("Range", format!("bytes={received}-"));
    }
    let mut response = request.call().map_err(|error| match error {
        ureq::Error::StatusCode(status) => DownloadError::Status { url: url.to_owned(), status },
        error => failed(error.to_string()),
    })?;
    let resumed = response.status().as_u16() == 206;
    let mut file = OpenOptions::new()
        .create(true)
        .append(resumed)
        .write(true)
        .truncate(!resumed)
        .open(part)
        .map_err(write)?;
    if !resumed {
        received = 0;
    }
    let length =
        response.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let total = length.map(|length| received.saturating_add(length));
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
        received += count as u64;
        if received > LARGEST_MODEL {
            return Err(failed("the file is too large for a model".to_owned()));
        }
        progress(received, total);
    }
    if total.is_some_and(|total| received != total) {
        return Err(failed(format!("the transfer ended after {received} bytes")));
    }
    file.sync_all().map_err(write)
}

fn agent() -> ureq::Agent {
    // The certificates of the system, so that a company's own authority counts too.
    let certificates = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = ureq::Agent::config_builder()
        .tls_config(certificates)
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .build();
    ureq::Agent::new_with_config(config)
}
