//! Maps images to COCO ids.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use picodet::crates::data::coco;
use picodet_format::coco::ImageNames;

/// The error of an image without COCO id.
pub(crate) const NO_IMAGE_ID: &str =
    "no image id; use a numeric file name, or list the file in --annotations";

/// Returns the COCO id of each image: of the image in the annotations whose path has the longest common suffix,
/// or without annotations from a numeric file name.
///
/// # Errors
/// When the annotations cannot be read, a path matches two of their images, or two paths match one image.
pub(crate) fn image_ids(sources: &[PathBuf], annotations: Option<&Path>) -> Result<Vec<Option<u64>>> {
    let Some(path) = annotations else {
        let numeric = |source: &PathBuf| source.file_stem()?.to_str()?.parse().ok();
        return Ok(sources.iter().map(numeric).collect());
    };
    let (dataset, _) = coco::read(path, Path::new(""))?;
    if dataset.images.is_empty() {
        bail!("{}: no images; a COCO annotation file has images, annotations and categories", path.display());
    }
    let names = ImageNames::new(dataset.images.into_iter().map(|image| (image.id, image.file)));
    let find = |source: &PathBuf| {
        let id = names.find(&source.to_string_lossy()).with_context(|| path.display().to_string())?;
        Ok(id.and_then(|id| u64::try_from(id).ok()))
    };
    let ids: Vec<Option<u64>> = sources.iter().map(find).collect::<Result<_>>()?;
    refuse_duplicates(sources, &ids)?;
    Ok(ids)
}

/// Refuses two images with one id, whose detections could not be distinguished.
///
/// # Errors
/// When two images have the same id.
pub(crate) fn refuse_duplicates(sources: &[PathBuf], ids: &[Option<u64>]) -> Result<()> {
    let mut first: HashMap<u64, &PathBuf> = HashMap::new();
    for (source, id) in sources.iter().zip(ids) {
        let Some(id) = id else { continue };
        if let Some(other) = first.insert(*id, source) {
            bail!(
                "`{}` and `{}` both have the image id {id}; give --annotations with the path of each",
                other.display(),
                source.display()
            );
        }
    }
    Ok(())
}
