//! VOC files that were renamed without their `<filename>`.

mod common;

use std::path::Path;

use common::{picture, put, voc_object, voc_xml};
use picodet_data::{FindingKind, open_lenient};

/// An XML with one object of the class `name`.
fn xml(root: &Path, label: &str, stated: &str, name: &str) {
    put(root.join(label), voc_xml(stated, &voc_object(name, ["1", "1", "50", "50"])));
}

/// Image and class of each XML, and the number of warnings about names.
fn pairs(root: &Path) -> (Vec<(String, String)>, usize) {
    let loaded = open_lenient(root, None).unwrap();
    let dataset = &loaded.dataset;
    let class = |class: usize| dataset.classes[class].name.clone();
    let pairs = dataset.images.iter().map(|image| (image.file.clone(), class(image.objects[0].class)));
    (pairs.collect(), loaded.findings.counts().get(&FindingKind::VocFileName).copied().unwrap_or(0))
}

fn expected(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(file, class)| (file.to_string(), class.to_string())).collect()
}

#[test]
fn an_image_with_an_xml_of_its_name_belongs_to_it() {
    for folder in ["", "JPEGImages/"] {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        let labels = if folder.is_empty() { "" } else { "Annotations/" };
        for (seed, name) in (1..).zip(["a", "b", "c"]) {
            picture(root.join(format!("{folder}{name}.png")), 200, 100, seed);
        }
        let of = |name: &str| format!("{folder}{name}.png");
        // Numbered again: each XML states the old name, which is that of another image.
        for (label, stated, class) in [("a", "b.png", "cat"), ("b", "c.png", "dog"), ("c", "a.png", "cow")] {
            xml(root, &format!("{labels}{label}.xml"), stated, class);
        }
        let renamed = expected(&[(&of("a"), "cat"), (&of("b"), "dog"), (&of("c"), "cow")]);
        assert_eq!(pairs(root), (renamed.clone(), 3));
        // A template: all state the name of the first image.
        for (label, class) in [("a", "cat"), ("b", "dog"), ("c", "cow")] {
            xml(root, &format!("{labels}{label}.xml"), "a.png", class);
        }
        assert_eq!(pairs(root), (renamed, 2));
    }
}

#[test]
fn the_stated_name_counts_for_other_images() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    for (seed, name) in (1..).zip(["a", "b", "x"]) {
        picture(root.join(format!("JPEGImages/{name}.png")), 200, 100, seed);
    }
    // There is no `x.xml` and no `1.png`.
    xml(root, "Annotations/a.xml", "x.png", "cat");
    xml(root, "Annotations/1.xml", "b.png", "dog");
    xml(root, "Annotations/b.xml", "a.png", "cow");
    let files =
        expected(&[("JPEGImages/b.png", "dog"), ("JPEGImages/x.png", "cat"), ("JPEGImages/b.png", "cow")]);
    assert_eq!(pairs(root), (files, 3));
}
