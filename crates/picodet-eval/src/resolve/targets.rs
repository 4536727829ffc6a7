//! The images and categories of a dataset by the ids and names in results.

use std::collections::{HashMap, HashSet};

use picodet_format::coco::{ImageNames, ResultRecord};

use crate::types::Category;

/// The images and categories that results can refer to.
#[derive(Debug, Default)]
pub struct ResultTargets {
    /// Ids of the images.
    pub image_ids: HashSet<i64>,
    /// File names of the images.
    pub names: ImageNames,
    /// Numbers of the image ids that are texts in the dataset.
    pub text_ids: HashMap<String, i64>,
    /// The categories.
    pub categories: Vec<Category>,
}

impl ResultTargets {
    /// Returns the id of each image by the number in its file name, if the numeric image ids of results are such numbers
    /// and none of them is the id of an image; otherwise an empty map.
    pub(super) fn by_number(&self, records: &[ResultRecord]) -> HashMap<i64, i64> {
        let ids = || records.iter().filter_map(|record| record.image.number());
        if ids().next().is_none() || ids().any(|id| self.image_ids.contains(&id)) {
            return HashMap::new();
        }
        self.names.by_number()
    }

    /// Describes numeric image ids of which some are no id of the dataset, but all the number of a file name.
    pub(super) fn number_note(&self, records: &[ResultRecord]) -> Option<String> {
        let ids: HashSet<i64> = records.iter().filter_map(|record| record.image.number()).collect();
        let unknown = ids.iter().filter(|id| !self.image_ids.contains(id)).count();
        if unknown == 0 || unknown == ids.len() {
            return None;
        }
        let by_number = self.names.by_number();
        ids.iter().all(|id| by_number.contains_key(id)).then(|| {
            format!(
                "image ids seem to be the numbers of the file names: {unknown} of {} are no image id of the dataset, and \
                 all are such a number; write the image ids of the dataset into the results",
                ids.len()
            )
        })
    }
}

/// The categories by name.
pub(super) struct CategoryNames<'a> {
    exact: HashMap<&'a str, i64>,
    /// By [`simplified`] name; `None` for a name of several categories.
    similar: HashMap<String, Option<i64>>,
}

impl<'a> CategoryNames<'a> {
    pub(super) fn new(categories: &'a [Category]) -> Self {
        let exact = categories.iter().rev().map(|category| (category.name.as_str(), category.id)).collect();
        let mut similar: HashMap<String, Option<i64>> = HashMap::new();
        for category in categories {
            similar
                .entry(simplified(&category.name))
                .and_modify(|id| *id = None)
                .or_insert(Some(category.id));
        }
        Self { exact, similar }
    }

    /// Returns the category of a name, and whether its spelling is another one.
    pub(super) fn find(&self, name: &str) -> Option<(i64, bool)> {
        let exact = self.exact.get(name).map(|id| (*id, false));
        exact.or_else(|| Some(((*self.similar.get(&simplified(name))?)?, true)))
    }
}

/// A name in lower case, with spaces for underscores and hyphens.
fn simplified(name: &str) -> String {
    name.trim().replace(['_', '-'], " ").to_lowercase()
}
