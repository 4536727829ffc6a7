//! How the images of a dataset are found.

/// How the images of a COCO dataset are found; those of other formats are found in any case, since their labels need them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImagePaths {
    /// Paths that do not exist as written are looked up below the dataset; one that fits two files is an error.
    #[default]
    Needed,
    /// As [`Self::Needed`], but a path that fits two files stays as written and is not reported.
    Optional,
    /// Paths stay as written, for a folder of images elsewhere.
    AsWritten,
}
