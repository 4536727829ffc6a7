//! Resizing and preprocessing equal the reference's fixtures.

use picodet_image::{Image, Interpolation, resize_f32, resize_u8, to_tensor};
use picodet_testing::shared;
use safetensors::SafeTensors;

const SOURCE: (usize, usize) = (123, 187);

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
}

#[test]
fn every_interpolation_equals_opencv() {
    let Some(bytes) = shared("golden/misc/resize.safetensors") else {
        return;
    };
    let file = SafeTensors::deserialize(&bytes).expect("a sound fixture");
    let tensor = |name: String| file.tensor(&name).expect("a tensor of the fixture").data().to_vec();
    let source = tensor("src_u8".to_owned());
    let source_floats: Vec<f32> = source.iter().map(|&value| f32::from(value)).collect();
    let mut wrong = Vec::new();
    for interpolation in Interpolation::ALL {
        for size in [(64, 96), (160, 224)] {
            let name = format!("{interpolation}.{}x{}", size.0, size.1);
            let expected = tensor(format!("{name}.u8"));
            let found = resize_u8(&source, SOURCE, 3, size, interpolation);
            let differences = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
            let largest = found.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
            if differences > 0 || found.len() != expected.len() {
                wrong.push(format!(
                    "{name}.u8: {differences} of {} differ, by up to {largest:?}",
                    found.len()
                ));
            }
            let expected = floats(&tensor(format!("{name}.f32")));
            let found = resize_f32(&source_floats, SOURCE, 3, size, interpolation);
            let largest = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            if largest > 1e-3 || found.len() != expected.len() {
                wrong.push(format!("{name}.f32: differs by up to {largest}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn preprocessing_equals_the_reference() {
    let Some(bytes) = shared("golden/misc/resize.safetensors") else {
        return;
    };
    let file = SafeTensors::deserialize(&bytes).expect("a sound fixture");
    let tensor = |name: &str| file.tensor(name).expect("a tensor of the fixture").data().to_vec();
    let image = Image::new(SOURCE.1, SOURCE.0, tensor("src_u8")).expect("the fixture's picture");
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let found = to_tensor(&image, (96, 128), Interpolation::Cubic, mean, std);
    let expected = floats(&tensor("eval.image"));
    let largest = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest <= 1e-6 && found.len() == expected.len(), "differs by up to {largest}");
}
