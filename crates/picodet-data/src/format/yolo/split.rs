//! Writes the files of one split.

use super::rewrite::rewrite_rows;
use super::write::write_rows;
use crate::dataset::Format;
use crate::error::DataError;
use crate::format::handler::{SplitOutput, write_file};
use crate::walk::without_extension;
use std::fs;

/// Writes `labels/<split>/*.txt`.
pub(super) fn write_split(output: &SplitOutput<'_>) -> Result<(), DataError> {
    let folder = output.out.join("images").join(output.split);
    fs::create_dir_all(&folder).map_err(|source| DataError::io(&folder, source))?;
    for (index, name) in output.image_names.iter().enumerate() {
        let image = output.sized(index);
        if image.width == 0 && !image.objects.is_empty() {
            let what = format!(
                "{}: neither the label nor the image has the size, which YOLO needs for its fractions",
                image.file
            );
            return Err(DataError::BadArgument { what });
        }
        let path = output.out.join(format!("labels/{}/{}.txt", output.split, without_extension(name)));
        let own = output.dataset.format == Format::YOLO;
        let rows = own.then(|| rewrite_rows(output.dataset, &image)).flatten();
        write_file(&path, &rows.unwrap_or_else(|| write_rows(&image)))?;
    }
    Ok(())
}
