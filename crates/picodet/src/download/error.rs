//! Errors of a download.

/// The reason why a model cannot be downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// Only https is fetched.
    #[error("{0}: only https URLs are fetched")]
    Scheme(String),
    /// A mirror is neither https nor on this machine.
    #[error(
        "{mirror}={0}: a mirror must be an https URL, or http on this machine (127.0.0.1 or localhost)",
        mirror = super::MIRROR
    )]
    Mirror(String),
    /// No cache folder is known.
    #[error("no cache folder: set PICODET_CACHE, XDG_CACHE_HOME or HOME")]
    NoCache,
    /// The model is not in the cache, and downloads are disabled.
    #[error("{0} is not in the cache, and --offline forbids downloading it")]
    Offline(String),
    /// The server answers with an error.
    #[error(
        "{url}: the server answers with status {status}; check the address, or set {mirror} to a mirror",
        mirror = super::MIRROR
    )]
    Status {
        /// The URL.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The server or the connection fails.
    #[error("{url}: {problem}; run the command again to resume the download")]
    Transfer {
        /// The URL.
        url: String,
        /// The fault.
        problem: String,
    },
    /// The checksum is not the one that was given.
    #[error("{path}: sha256 is {found}, expected {expected}; the download was discarded")]
    Checksum {
        /// The file in the cache.
        path: String,
        /// Its checksum.
        found: String,
        /// The expected checksum.
        expected: String,
    },
    /// The checksum is not that of the first download.
    #[error(
        "{url}: sha256 is {found}, but {recorded} was recorded at the first download; if the publisher has replaced \
         the file, delete {record}"
    )]
    Changed {
        /// The URL.
        url: String,
        /// The checksum of the file.
        found: String,
        /// The recorded checksum.
        recorded: String,
        /// The file that records it.
        record: String,
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
