//! Writes the files of one split.

use super::rewrite::rewrite;
use super::write::write_to;
use crate::dataset::{Format, ImageRecord};
use crate::error::DataError;
use crate::format::handler::{SplitOutput, make_parent};
use std::fs;
use std::io::BufWriter;

/// Writes `annotations/instances_<split>.json`. A dataset that was read from a COCO file keeps the fields of
/// this file that the dataset does not represent.
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
        // Python writes NaN, which is replaced by null in the second attempt.
        for not_finite in [false, true] {
            if rewrite(source, &renamed, create()?, not_finite).map_err(failed)? {
                return Ok(());
            }
        }
    }
    write_to(create()?, &renamed).map_err(failed)
}
