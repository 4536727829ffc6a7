//! Small folders of label files under the names of all formats, one file per line group of the input.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// File names of all layouts; the first byte of each part of the input chooses one.
const NAMES: [&str; 16] = [
    "data.yaml",
    "classes.txt",
    "obj.data",
    "obj.names",
    "train.txt",
    "val.txt",
    "images/a.png",
    "labels/a.txt",
    "a.txt",
    "annotations/instances_train.json",
    "train/_annotations.coco.json",
    "a.json",
    "Annotations/a.xml",
    "ImageSets/Main/train.txt",
    "train/a.xml",
    "labels.txt",
];

fuzz_target!(|bytes: &[u8]| {
    let folder = std::env::temp_dir().join(format!("picodet-fuzz-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    for part in bytes.split(|&byte| byte == 0xFE).take(8) {
        let Some((&choice, content)) = part.split_first() else { continue };
        let path = folder.join(NAMES[usize::from(choice) % NAMES.len()]);
        if let Some(parent) = path.parent() {
            let _ = std::fs::create_dir_all(parent);
        }
        let _ = std::fs::write(&path, content);
    }
    if let Ok(names) = picodet_data::splits(&folder) {
        for name in names.iter().take(4) {
            let _ = picodet_data::open_lenient(&folder, Some(name));
        }
    }
    let _ = picodet_data::open_lenient(&folder, None);
});
