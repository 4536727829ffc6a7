//! Writes the files of one split.

use super::rewrite::rewrite_one;
use super::write::write_one;
use crate::dataset::Format;
use crate::error::DataError;
use crate::format::handler::{SplitOutput, write_file};
use crate::walk::without_extension;

/// Writes `Annotations/*.xml` and `ImageSets/Main/<split>.txt`.
pub(super) fn write_split(output: &SplitOutput<'_>) -> Result<(), DataError> {
    let mut list = String::new();
    for (index, name) in output.image_names.iter().enumerate() {
        let mut image = output.sized(index);
        for object in &mut image.objects {
            object.difficult |= object.crowd;
        }
        let stem = without_extension(name);
        let file = name.rsplit('/').next().unwrap_or(name);
        let own = output.dataset.format == Format::VOC;
        let rewritten = own.then(|| rewrite_one(output.dataset, &image, file)).flatten();
        let xml = rewritten.unwrap_or_else(|| write_one(output.dataset, &image, file));
        write_file(&output.out.join(format!("Annotations/{stem}.xml")), &xml)?;
        list.push_str(stem);
        list.push('\n');
    }
    write_file(&output.out.join(format!("ImageSets/Main/{}.txt", output.split)), &list)
}
