//! Writes the files of one split.

use super::rewrite::rewrite_one;
use super::write::write_one;
use crate::dataset::Format;
use crate::error::DataError;
use crate::format::handler::{SplitOutput, write_file};
use crate::walk::without_extension;

/// Writes `<split>/*.json`.
pub(super) fn write_split(output: &SplitOutput<'_>) -> Result<(), DataError> {
    for (index, name) in output.image_names.iter().enumerate() {
        let image = output.sized(index);
        let path = output.out.join(output.split).join(format!("{}.json", without_extension(name)));
        let file = name.rsplit('/').next().unwrap_or(name);
        let own = output.dataset.format == Format::LABELME;
        let rewritten = own.then(|| rewrite_one(output.dataset, &image, file)).flatten();
        let text = match rewritten {
            Some(text) => text,
            None => {
                write_one(output.dataset, &image, file).map_err(|error| DataError::io(&path, error.into()))?
            }
        };
        write_file(&path, &text)?;
    }
    Ok(())
}
