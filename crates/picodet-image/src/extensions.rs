//! Names of image files in folders.

/// Extensions of the files that are read as images from a folder, in lower case; names of any case count.
pub const IMAGE_EXTENSIONS: &[&str] = &[
    "jpg", "jpeg", "jfif", "jpe", "jif", "jfi", "pjpeg", "pjp", "mpo", "png", "apng", "webp", "bmp", "dib",
    "gif",
];

/// Whether systems, not users, store a file or folder of this name next to images: hidden names (among them the metadata
/// `._NAME` of macOS), `Thumbs.db`, `desktop.ini`, `__MACOSX`, and `@eaDir` of network storage.
#[must_use]
pub fn is_ignored_name(name: &str) -> bool {
    const NAMES: [&str; 5] = ["thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir"];
    name.starts_with('.') || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_systems_are_ignored() {
        for name in [".DS_Store", "._a.jpg", ".hidden", "Thumbs.db", "__MACOSX", "Desktop.ini"] {
            assert!(is_ignored_name(name), "{name}");
        }
        for name in ["a.jpg", "_a.jpg", "thumbs.jpg", "notes.txt"] {
            assert!(!is_ignored_name(name), "{name}");
        }
    }
}
