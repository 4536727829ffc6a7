//! Recognises folders of masks by their name.

/// Words in the names of folders of masks.
const WORDS: [&str; 9] =
    ["mask", "segm", "panoptic", "trimap", "stuff", "semantic", "annotation", "label", "depth"];

/// Whether a path of folders has the usual name of a folder of masks.
pub(crate) fn is_mask_folder(folder: &str) -> bool {
    let folder = folder.to_ascii_lowercase();
    WORDS.iter().any(|word| folder.contains(word))
}
