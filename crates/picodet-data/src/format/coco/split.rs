//! Writes the files of one split.

use super::joined::{joined_files, write_joined};
use super::reading::Reading;
use super::rewrite::rewrite;
use super::write::write_to;
use crate::dataset::{Format, ImageRecord};
use crate::error::DataError;
use crate::format::handler::{SplitOutput, make_parent};
use std::fs;
use std::io::BufWriter;

/// Writes `annotations/instances_<split>.json`. A dataset that was read from COCO files keeps the fields of
/// these files that the dataset does not represent.
pub(super) fn write_split(output: &SplitOutput<'_>) -> Result<(), DataError> {
    let path = output.out.join(format!("annotations/instances_{}.json", output.split));
    make_parent(&path)?;
    let mut renamed = output.dataset.clone();
    for (index, name) in output.image_names.iter().enumerate() {
        let ImageRecord { width, height, .. } = output.sized(index);
        let image = &mut renamed.images[index];
        image.file.clone_from(name);
        (image.width, image.height) = (width, height);
    }
    let create =
        || fs::File::create(&path).map(BufWriter::new).map_err(|source| DataError::io(&path, source));
    let failed = |source| DataError::io(&path, source);
    if let Some(source) = &renamed.annotations
        && renamed.format == Format::COCO
    {
        for reading in Reading::ALL {
            if rewrite(source, &renamed, create()?, reading).map_err(failed)? {
                return Ok(());
            }
        }
    }
    let files = joined_files(output.parts);
    if !files.is_empty() {
        return write_joined(&files, &renamed, create()?).map_err(failed);
    }
    write_to(create()?, &renamed).map_err(failed)
}
