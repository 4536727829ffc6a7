//! Colours equal the reference's, to the byte.

use picodet_image::Image;
use picodet_testing::shared;
use picodet_train::augment::{brightness, contrast, from_hsv, saturation, shift_hue, to_hsv};
use picodet_weights::read_tensors;

#[test]
fn colour_operations_equal_the_references() {
    let Some(bytes) = shared("golden/misc/color.safetensors") else { return };
    let (tensors, _) = read_tensors(&bytes).expect("a sound fixture");
    let bytes = |name: &str| tensors[name].data.iter().map(|&value| value as u8).collect::<Vec<u8>>();
    let source = Image::new(64, 48, bytes("src")).expect("64x48 pixels");
    let hsv =
        |image: &Image| image.data().as_chunks::<3>().0.iter().flat_map(|&pixel| to_hsv(pixel)).collect();
    let mut compared = 0;
    let mut wrong = Vec::new();
    for name in tensors.keys() {
        let (operation, amount) = name.split_once('.').unwrap_or((name, ""));
        let amount: f64 = amount.parse().unwrap_or_default();
        let found: Vec<u8> = match operation {
            "src" => continue,
            "brightness" => brightness(source.clone(), amount as f32).data().to_vec(),
            "contrast" => contrast(source.clone(), amount as f32).data().to_vec(),
            "saturation" => saturation(source.clone(), amount as f32).data().to_vec(),
            "hue" => shift_hue(source.clone(), amount).data().to_vec(),
            "hsv" => hsv(&source),
            "hue_hsv" => {
                let moved = |pixel: &[u8; 3]| {
                    let [hue, saturation, value] = to_hsv(*pixel);
                    [(f64::from(hue) + amount) as i32 as u8, saturation, value]
                };
                source.data().as_chunks::<3>().0.iter().flat_map(moved).collect()
            }
            other => panic!("the fixture has an operation that is not tested: {other}"),
        };
        let expected = bytes(name);
        let different = found.iter().zip(&expected).filter(|(found, expected)| found != expected).count();
        if different > 0 || found.len() != expected.len() {
            wrong.push(format!("{name}: {different} of {} bytes differ", expected.len()));
        }
        compared += 1;
    }
    assert!(compared >= 25, "only {compared} operations in the fixture");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(from_hsv([0, 0, 77]), [77; 3]);
}
