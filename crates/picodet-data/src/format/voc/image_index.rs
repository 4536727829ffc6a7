//! Finds the image of an XML among the files of a dataset.

use crate::paths::{FileIndex, Lookup, Stated};
use crate::walk::{file_name, without_extension};

/// The image files below the dataset.
pub(super) struct ImageIndex {
    files: FileIndex,
    /// The folder in which missing images are expected; `None` for that of the XML.
    folder: Option<String>,
}

/// The image of an XML.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Image {
    /// The image, or the path at which a missing image is expected.
    One(String),
    /// Two images fit equally well.
    Two(String, String),
}

impl ImageIndex {
    /// Indexes image files. Missing images are expected in their folder, or in that of the XML.
    pub(super) fn new(files: Vec<String>, beside: bool) -> Self {
        let first = || files.iter().find_map(|file| Some(file.split_once('/')?.0.to_string()));
        let folder = (!beside).then(|| first().unwrap_or_else(|| "JPEGImages".to_string()));
        Self { files: FileIndex::new(files), folder }
    }

    /// Returns the image with one of the names, with or without extension.
    pub(super) fn named<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
        names.into_iter().find_map(|name| match self.files.find(&Stated::with_spaces(name), &|_| true) {
            Lookup::Found(file) => Some(file.to_string()),
            _ => None,
        })
    }

    /// Returns the image with the name of the XML file `label`, if one fits best.
    pub(super) fn own(&self, label: &str) -> Option<String> {
        self.named([without_extension(label)])
    }

    /// Returns the image of the XML file `label` (relative to the dataset) with the name and paths in it. Among several of
    /// the name: the one with the longest common path suffix with `<path>`, with `<filename>`, or with the XML, below the
    /// folder of the XML if there are any.
    pub(super) fn find(&self, label: &str, stated: &[&str]) -> Image {
        let stem = without_extension(label);
        let own = Stated::with_spaces(stem);
        let mut ambiguous = None;
        let as_written = stated.iter().map(|name| Stated::with_spaces(name));
        let trimmed = stated.iter().filter(|name| name.trim() != **name).map(|name| Stated::new(name));
        for name in as_written.chain(trimmed).chain([own.clone()]) {
            match self.files.find(&name, &|_| true) {
                Lookup::Found(file) => return Image::One(file.to_string()),
                Lookup::Missing => {}
                Lookup::Ambiguous(first, second) => {
                    // The folders of the XML decide: `Annotations/a/1.xml` belongs to `JPEGImages/a/1.jpg`.
                    let mut beside = own.clone();
                    beside.components.pop();
                    beside.components.extend(name.components.last().cloned());
                    let mut across = beside.clone();
                    let labels =
                        across.components.iter_mut().find(|name| name.eq_ignore_ascii_case("Annotations"));
                    if let Some(labels) = labels {
                        *labels = "JPEGImages".into();
                    }
                    for path in [across, beside] {
                        if let Lookup::Found(file) = self.files.find(&path, &|_| true) {
                            return Image::One(file.to_string());
                        }
                    }
                    ambiguous.get_or_insert((first.to_string(), second.to_string()));
                }
            }
        }
        if let Some((first, second)) = ambiguous {
            return Image::Two(first, second);
        }
        let named = stated.last().map_or_else(|| format!("{stem}.jpg"), |name| name.trim().to_string());
        let named = file_name(&named);
        Image::One(match &self.folder {
            Some(folder) => format!("{folder}/{named}"),
            None => format!("{}{named}", &label[..label.len() - file_name(label).len()]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_decide_between_equal_names() {
        let files = ["JPEGImages/a/1.jpg", "JPEGImages/b/1.jpg", "JPEGImages/2.png"];
        let index = ImageIndex::new(files.map(str::to_string).to_vec(), false);
        let one = |file: &str| Image::One(file.to_string());
        assert_eq!(index.find("Annotations/a/1.xml", &["1.jpg"]), one("JPEGImages/a/1.jpg"));
        assert_eq!(index.find("Annotations/1.xml", &[r"C:\x\b\1.jpg", "1.jpg"]), one("JPEGImages/b/1.jpg"));
        let two = Image::Two("JPEGImages/a/1.jpg".to_string(), "JPEGImages/b/1.jpg".to_string());
        assert_eq!(index.find("Annotations/1.xml", &["1.jpg"]), two);
        assert_eq!(index.find("Annotations/2.xml", &["2.jpg"]), one("JPEGImages/2.png"));
        assert_eq!(index.find("Annotations/3.xml", &["x/3.bmp"]), one("JPEGImages/3.bmp"));
        let flat = ImageIndex::new(vec!["a/1.jpg".to_string()], true);
        assert_eq!(flat.find("3.xml", &["3.bmp"]), one("3.bmp"));
        assert_eq!(flat.find("a/3.xml", &[]), one("a/3.jpg"));
    }

    #[test]
    fn spaces_around_names_are_kept_where_a_file_has_them() {
        let files = ["JPEGImages/ 1.jpg", "JPEGImages/1.jpg", "JPEGImages/ 2.jpg"];
        let index = ImageIndex::new(files.map(str::to_string).to_vec(), false);
        let one = |file: &str| Image::One(file.to_string());
        assert_eq!(index.find("Annotations/ 1.xml", &[" 1.jpg"]), one("JPEGImages/ 1.jpg"));
        assert_eq!(index.find("Annotations/1.xml", &["1.jpg"]), one("JPEGImages/1.jpg"));
        assert_eq!(index.find("Annotations/1.xml", &[" 1.jpg "]), one("JPEGImages/1.jpg"));
        assert_eq!(index.find("Annotations/ 2.xml", &["2.jpg"]), one("JPEGImages/ 2.jpg"));
    }

    #[test]
    fn the_folder_of_labels_stands_for_that_of_images() {
        let files = ["JPEGImages/1.jpg", "JPEGImages/JPEGImages/1.jpg", "JPEGImages/a/1.jpg"];
        let index = ImageIndex::new(files.map(str::to_string).to_vec(), false);
        for (label, image) in [("1", files[0]), ("JPEGImages/1", files[1]), ("a/1", files[2])] {
            let found = index.find(&format!("Annotations/{label}.xml"), &["1.jpg"]);
            assert_eq!(found, Image::One(image.to_string()));
        }
    }
}
