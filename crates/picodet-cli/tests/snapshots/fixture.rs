//! Files that the cases name: images, datasets, weights and recipes, sound and faulty.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Side of the squares' images in pixels.
const SIDE: u32 = 64;

/// A new folder with all files.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    images(at);
    models(at);
    datasets(at);
    results(at);
    recipes(at);
    folder
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, bytes).expect("a file");
}

/// A 24-bit BMP file with a bright square on grey.
fn bmp(width: u32, height: u32, square: (u32, u32)) -> Vec<u8> {
    let row = (width * 3).next_multiple_of(4);
    let mut bytes = bmp_header(width, height, row * height);
    for y in (0..height).rev() {
        let mut pixels = Vec::new();
        for x in 0..width {
            let inside = (square.0..square.0 + 24).contains(&x) && (square.1..square.1 + 24).contains(&y);
            pixels.extend(if inside { [40, 200, 220] } else { [90; 3] });
        }
        pixels.resize(row as usize, 0);
        bytes.extend(pixels);
    }
    bytes
}

fn bmp_header(width: u32, height: u32, size: u32) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    for value in [54u32.wrapping_add(size), 0, 54, 40, width, height] {
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    for value in [0, size, 2835, 2835, 0, 0] {
        bytes.extend(value.to_le_bytes());
    }
    bytes
}

fn images(at: &Path) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/page.png");
    write(at, "page.png", std::fs::read(page).expect("the page"));
    write(at, "42.png", std::fs::read(page).expect("the page"));
    let photo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/coffee.jpg");
    write(at, "coffee.jpg", std::fs::read(photo).expect("the photo"));
    write(at, "empty.jpg", b"");
    write(at, "text.jpg", b"not an image");
    write(at, "broken.png", b"\x89PNG\r\n\x1a\nbroken");
    write(at, "huge.bmp", bmp_header(60_000, 60_000, 0));
    let grey = vec![128u8; 64 * 64 * 3];
    write(at, "grey.bmp", [bmp_header(64, 64, 64 * 64 * 3), grey].concat());
    write(at, "no_images/notes.txt", b"notes");
    write(at, "names.txt", b"one\ntwo\n");
}

fn models(at: &Path) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../picodet/models/layout_cdla.safetensors");
    let model = std::fs::read(file).expect("the embedded model");
    let replaced = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let mut bytes = model.clone();
        let place = bytes.windows(from.len()).position(|window| window == from.as_bytes());
        let place = place.unwrap_or_else(|| panic!("`{from}` is not in the model"));
        bytes[place..place + from.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    write(at, "model_cut.safetensors", &model[..model.len() / 2]);
    write(at, "model_variant.safetensors", replaced(r#"\"layout_cdla\""#, r#"\"layout_none\""#));
    write(at, "model_tensor.safetensors", replaced("backbone.stem.conv.bias", "backbone.stem.conv.base"));
    write(at, "model_rows.safetensors", replaced("stem.conv.weight.scale", "stem.conv.weight.range"));
    write(at, "model_format.safetensors", replaced(r#"picodet.format\":\"1\""#, r#"picodet.format\":\"9\""#));
    write(at, "model_text.safetensors", b"not a model");
    write(at, "weights.pdparams", b"not a pickle");
    write(at, "weights.onnx", b"\xff\xff\xff");
    write(at, "weights.param", b"7767517\n1 1\nInput image 0 1 image\n");
    write(at, "weights.bin", b"");
    write(at, "weights.xyz", b"");
    write(at, "tensors.safetensors", safetensors("other", &[1]));
    write(at, "image.safetensors", safetensors("image", &[1, 3, 40, 40]));
    write(at, "input.safetensors", safetensors("image", &[1, 3, 64, 64]));
}

/// A safetensors file with one tensor of zeros.
fn safetensors(name: &str, shape: &[usize]) -> Vec<u8> {
    let size = 4 * shape.iter().product::<usize>();
    let header = json!({ name: { "dtype": "F32", "shape": shape, "data_offsets": [0, size] } }).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + size, 0);
    bytes
}

fn coco(file: &dyn Fn(usize) -> String, faults: &[(usize, Value)]) -> Value {
    let images: Vec<Value> =
        (0..8).map(|n| json!({"id": n, "file_name": file(n), "width": SIDE, "height": SIDE})).collect();
    let mut annotations: Vec<Value> = (0..8)
        .map(|n| {
            json!({
                "id": n + 1, "image_id": n, "category_id": 1, "bbox": [4 + 3 * n, 30 - 2 * n, 24, 24],
                "area": 576, "iscrowd": 0,
            })
        })
        .collect();
    for (index, bbox) in faults {
        annotations[*index]["bbox"] = bbox.clone();
    }
    json!({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "square"}]})
}

fn datasets(at: &Path) {
    for n in 0..8 {
        write(at, &format!("squares/{n}.bmp"), bmp(SIDE, SIDE, (4 + 3 * n, 30 - 2 * n)));
    }
    let file = |n: usize| format!("{n}.bmp");
    write(at, "squares/squares.json", coco(&file, &[]).to_string());
    let faults = [
        (0, json!([4, 30, 0, 24])),
        (1, json!([50, 28, 24, 24])),
        (2, json!([10, 26, -5, 24])),
        (3, json!([0.1, 0.2, 0.3, 0.4])),
    ];
    let faulty = coco(&|n| if n == 7 { "missing.bmp".to_owned() } else { file(n) }, &faults);
    write(at, "squares_faulty/faulty.json", faulty.to_string());
    for n in 0..7 {
        write(at, &format!("squares_faulty/{n}.bmp"), bmp(SIDE, SIDE, (4 + 3 * n, 30 - 2 * n)));
    }
    for split in ["train", "val"] {
        write(at, &format!("splits/annotations/instances_{split}.json"), coco(&file, &[]).to_string());
    }
    write(at, "syntax.json", "{\"images\": [\n  {\"id\": 1,,\n");
    write(at, "array.json", "[1, 2, 3]");
    write(at, "nothing/readme.txt", "no labels");
    write(at, "yolo/data.yaml", "train: images\n");
    write(at, "yolo_row/data.yaml", "train: images\nnames: [square]\n");
    write(at, "yolo_row/images/0.bmp", bmp(SIDE, SIDE, (4, 30)));
    write(at, "yolo_row/labels/0.txt", "0 0.5 0.5 oops 0.2\n");
}

fn results(at: &Path) {
    let result = |image: usize, category: usize, score: Value, bbox: Value| json!({"image_id": image, "category_id": category, "score": score, "bbox": bbox});
    let sound: Vec<Value> =
        (0..6).map(|n| result(n, 1, json!(0.9), json!([4 + 3 * n, 30 - 2 * n, 24, 22 + n]))).collect();
    let write_json = |name: &str, value: Value| write(at, name, value.to_string());
    write_json("results.json", sound.into());
    write_json("results_image.json", json!([result(99, 1, json!(0.9), json!([0, 0, 1, 1]))]));
    write_json(
        "results_type.json",
        json!([{"image_id": 0, "category_id": 1, "score": "high", "bbox": [0, 0, 1, 1]}]),
    );
    write_json("results_box.json", json!([result(0, 1, json!(0.5), json!([0, 0, 1]))]));
    write_json("results_category.json", json!([result(42, 77, json!(0.5), json!([0, 0, 1, 1]))]));
    write(
        at,
        "results_nan.json",
        "[{\"image_id\": 0, \"category_id\": 1, \"score\": 1e999, \"bbox\": [0, 0, 1, 1]}]",
    );
    write(at, "results_cut.json", "[{\"image_id\": 0,");
    write_json("results_object.json", json!({"results": []}));
    write_json("no_list.json", json!({"categories": []}));
}

fn recipes(at: &Path) {
    let recipe = |change: (&str, &str)| {
        "model = \"v2_xs_320\"\nepochs = 2\nloss = \"second_generation\"\n[batch]\nimages = 8\nsizes = [64]\n\
         augmentation = [\"flip 0.5\"]\n[rate]\nbase = 0.1\nepochs = 2\n[assigner]\n\
         kind = \"atss_then_task_aligned\"\nstatic_epochs = 1\n"
            .replace(change.0, change.1)
    };
    write(at, "recipe.toml", recipe(("", "")));
    write(at, "recipe_key.toml", recipe(("epochs = 2\nloss", "epoch = 2\nloss")));
    write(at, "recipe_syntax.toml", recipe(("images = 8", "images = = 8")));
    write(at, "recipe_model.toml", recipe(("v2_xs_320", "v9")));
    write(at, "recipe_size.toml", recipe(("[64]", "[65]")));
    write(at, "recipe_rate.toml", recipe(("base = 0.1", "base = -0.1")));
    write(at, "recipe_zero.toml", recipe(("images = 8", "images = 0")));
    write(at, "run_none/notes.txt", "no run");
    write(at, "run_broken/checkpoint.safetensors", b"broken");
    write(at, "run_other/checkpoint.safetensors", safetensors("other", &[1]));
    write(at, "file", b"a file where a folder should be");
}
