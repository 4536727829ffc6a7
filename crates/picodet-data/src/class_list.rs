//! One class list for several splits, matched by name.

use std::collections::{HashMap, HashSet};

use crate::dataset::{Class, Dataset, Part};

/// Returns the datasets of the parts with one class list, if theirs differ: the classes of the first part with
/// their ids, then those of the others. Classes are matched by name.
pub(crate) fn unified(parts: &[Part<'_>]) -> Option<Vec<Dataset>> {
    let first = &parts.first()?.dataset.classes;
    let key = |class: &Class| (class.id, class.name.clone());
    let same = |part: &Part<'_>| part.dataset.classes.iter().map(key).eq(first.iter().map(key));
    if parts.iter().all(same) {
        return None;
    }
    let mut classes: Vec<Class> = Vec::new();
    let mut index: HashMap<&str, usize> = HashMap::new();
    let mut ids: HashSet<i64> = HashSet::new();
    for class in parts.iter().flat_map(|part| &part.dataset.classes) {
        if index.contains_key(class.name.as_str()) {
            continue;
        }
        let mut class_here = class.clone();
        if !ids.insert(class.id) {
            class_here.id = ids.iter().copied().max().unwrap_or(0).saturating_add(1);
            ids.insert(class_here.id);
        }
        index.insert(&class.name, classes.len());
        classes.push(class_here);
    }
    let remap = |part: &Part<'_>| {
        let mut dataset = part.dataset.clone();
        let map: Vec<usize> = dataset.classes.iter().map(|class| index[class.name.as_str()]).collect();
        for object in dataset.images.iter_mut().flat_map(|image| &mut image.objects) {
            object.class = map.get(object.class).copied().unwrap_or(object.class);
        }
        dataset.classes.clone_from(&classes);
        dataset
    };
    Some(parts.iter().map(remap).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Format, ImageRecord, Object};

    fn dataset(classes: &[(i64, &str)]) -> Dataset {
        let class = |&(id, name): &(i64, &str)| Class { id, name: name.to_string(), supercategory: None };
        let objects = (0..classes.len()).map(|index| Object::new(index, [0.0, 0.0, 1.0, 1.0])).collect();
        let image = ImageRecord {
            id: 1,
            file: "a.png".to_string(),
            width: 2,
            height: 2,
            objects,
            label: None,
            source: 0,
        };
        Dataset {
            format: Format::COCO,
            root: "d".into(),
            annotations: None,
            split: None,
            classes: classes.iter().map(class).collect(),
            images: vec![image],
        }
    }

    #[test]
    fn classes_are_matched_by_name() {
        let (train, val) =
            (dataset(&[(1, "cat"), (2, "dog")]), dataset(&[(1, "dog"), (2, "cow"), (3, "cat")]));
        let parts = [Part { name: "train", dataset: &train }, Part { name: "val", dataset: &val }];
        let both = unified(&parts).expect("different lists");
        let names: Vec<_> = both[1].classes.iter().map(|class| (class.id, class.name.as_str())).collect();
        assert_eq!(names, [(1, "cat"), (2, "dog"), (3, "cow")]);
        let classes: Vec<usize> = both[1].images[0].objects.iter().map(|object| object.class).collect();
        assert_eq!((both[0].classes == both[1].classes, classes), (true, vec![1, 2, 0]));
        assert!(unified(&parts[..1]).is_none());
    }
}
