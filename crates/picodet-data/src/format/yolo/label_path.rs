//! Finds the label file of an image.

use std::path::Path;

use super::labels::{MAX_LABELS, class_index};
use crate::finding::Findings;
use crate::geometry::bounds;
use crate::text::read_text;
use crate::walk::without_extension;

/// Names of image folders that a folder of labels replaces.
const IMAGE_FOLDERS: [&str; 5] = ["images", "image", "imgs", "img", "JPEGImages"];

/// Returns the label path of an image by the rule of YOLO: the last folder `images` becomes `labels`, the extension
/// `.txt`.
pub(super) fn label_of(image: &str) -> String {
    replaced(image, "images", "labels").unwrap_or_else(|| beside(image))
}

/// Returns the label file of an image: by the rule of YOLO, next to the image, or in a folder `labels` at the position of
/// the image folder. If there is none, the path by the rule and `false`.
pub(super) fn find_label(root: &Path, image: &str) -> (String, bool) {
    // Files of Windows can have extensions in capitals.
    let existing = |label: String| {
        let capitals = || label.strip_suffix("txt").map(|stem| format!("{stem}TXT"));
        // Reading a broken link fails, which is reported.
        let exists = |label: &str| {
            let path = root.join(label);
            path.is_file() || path.is_symlink() && !path.exists()
        };
        if exists(&label) {
            return Some(label);
        }
        capitals().filter(|label| exists(label))
    };
    let first = label_of(image);
    if let Some(label) = existing(first.clone()) {
        return (label, true);
    }
    let others = || {
        let folders = IMAGE_FOLDERS.into_iter().filter_map(|folder| replaced(image, folder, "labels"));
        let data = ["data"].into_iter().filter_map(|folder| replaced(image, folder, "labels"));
        std::iter::once(beside(image)).chain(folders).chain(data)
    };
    match others().find_map(existing) {
        Some(label) => (label, true),
        None => (first, false),
    }
}

/// Number of rows of a text that can only be a label file: its first row is the index of a class and four or more other
/// numbers. `None` for other texts: a text next to an image can be anything. Five other numbers are a detection.
pub(crate) fn rows_in(path: &Path) -> Option<usize> {
    let text = read_text(path, MAX_LABELS, "a YOLO label file", &mut Findings::default()).ok()?;
    let mut rows = text.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    is_row(rows.peek()?).then(|| rows.filter(|row| is_row(row)).count())
}

/// The class index and the box in pixels of each row of a text that can only be a label file, of an image of `size` pixels.
/// A row of an even number of values can be a polygon as well, whose bounding box is the second one.
pub(crate) fn boxes_in(path: &Path, (width, height): (u32, u32)) -> Option<Vec<(u32, Vec<[f64; 4]>)>> {
    rows_in(path)?;
    let text = read_text(path, MAX_LABELS, "a YOLO label file", &mut Findings::default()).ok()?;
    let scale = [f64::from(width), f64::from(height)];
    let row = |line: &str| {
        let mut columns = line.split_whitespace();
        let class = class_index(columns.next()?)?;
        let values: Vec<f64> = columns.map(|column| column.parse()).collect::<Result<_, _>>().ok()?;
        let &[x, y, w, h] = values.first_chunk::<4>()?;
        let mut boxes = vec![[x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0]];
        if values.len() >= 6 && values.len().is_multiple_of(2) {
            boxes
                .extend(bounds(values.iter().step_by(2).copied(), values.iter().skip(1).step_by(2).copied()));
        }
        for [x1, y1, x2, y2] in &mut boxes {
            [x1, x2].into_iter().for_each(|x| *x *= scale[0]);
            [y1, y2].into_iter().for_each(|y| *y *= scale[1]);
        }
        Some((class, boxes))
    };
    Some(text.lines().filter_map(row).collect())
}

/// Whether a line is a row: the index of a class and four or more other numbers, but not five, of which the last is a score.
fn is_row(line: &str) -> bool {
    let is_index = |text: &str| text.parse::<f64>().is_ok_and(|index| index >= 0.0 && index.fract() == 0.0);
    let mut columns = line.split_whitespace();
    columns.next().is_some_and(is_index)
        && !matches!(columns.clone().take(6).count(), 0..=3 | 5)
        && columns.all(|column| column.parse::<f64>().is_ok())
}

/// Whether a text can be a label file: it is empty, or most of the columns of its first row are numbers, and at least three.
/// Captions of images are texts as well, and can contain numbers.
pub(super) fn can_be_labels(path: &Path) -> bool {
    first_row(path).is_none() || has_rows(path)
}

/// Whether most of the columns of the first row of a text are numbers, and at least three.
pub(super) fn has_rows(path: &Path) -> bool {
    first_row(path).is_some_and(|(numbers, columns)| numbers >= 3 && 2 * numbers > columns)
}

/// Number of columns that are numbers, and of all columns, of the first line of a text that is not empty; `None` if there is
/// none, or the text cannot be read.
fn first_row(path: &Path) -> Option<(usize, usize)> {
    let text = read_text(path, MAX_LABELS, "a YOLO label file", &mut Findings::default()).ok()?;
    let row: Vec<&str> =
        text.lines().map(|line| line.split_whitespace().collect()).find(|row: &Vec<_>| !row.is_empty())?;
    let numbers = row.iter().filter(|column| column.parse::<f64>().is_ok()).count();
    Some((numbers, row.len()))
}

fn beside(image: &str) -> String {
    format!("{}.txt", without_extension(image))
}

/// Replaces the last folder of this name, in any letter case.
fn replaced(image: &str, folder: &str, by: &str) -> Option<String> {
    let stem = without_extension(image);
    let mut parts: Vec<&str> = stem.split('/').collect();
    let folders = parts.len().saturating_sub(1);
    let part = parts[..folders].iter_mut().rev().find(|part| part.eq_ignore_ascii_case(folder))?;
    let upper = part.chars().next().is_some_and(char::is_uppercase) && folder.starts_with(char::is_lowercase);
    let capitalised = format!("{}{}", by[..1].to_ascii_uppercase(), &by[1..]);
    *part = if upper { &capitalised } else { by };
    Some(format!("{}.txt", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_folder_of_images_is_replaced() {
        let cases = [
            ("images/train/a.jpg", "labels/train/a.txt"),
            ("images/images/a.b.jpg", "images/labels/a.b.txt"),
            ("train/Images/a.jpg", "train/Labels/a.txt"),
            ("obj_train_data/a.jpg", "obj_train_data/a.txt"),
            ("a.jpg", "a.txt"),
        ];
        for (image, label) in cases {
            assert_eq!(label_of(image), label);
        }
    }

    #[test]
    fn labels_are_found_in_every_usual_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for label in ["labels/train/a.txt", "images/b.txt", "labels/c.txt", "labels/d.txt", "labels/f.TXT"] {
            std::fs::create_dir_all(root.join(label).parent().unwrap()).unwrap();
            std::fs::write(root.join(label), "").unwrap();
        }
        std::fs::create_dir_all(root.join("images")).unwrap();
        let found = |image: &str| find_label(root, image);
        assert_eq!(found("images/train/a.jpg"), ("labels/train/a.txt".to_string(), true));
        assert_eq!(found("images/b.jpg"), ("images/b.txt".to_string(), true));
        assert_eq!(found("JPEGImages/c.jpg"), ("labels/c.txt".to_string(), true));
        assert_eq!(found("data/d.jpg"), ("labels/d.txt".to_string(), true));
        assert_eq!(found("images/e.jpg"), ("labels/e.txt".to_string(), false));
        assert_eq!(found("images/f.jpg"), ("labels/f.TXT".to_string(), true));
    }
}
