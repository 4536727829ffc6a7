//! JPEG pictures above the limit are decoded at a reduced size.

use image::ExtendedColorType;
use picodet_image::{
    DecodeError, Image, Interpolation, Limits, decode, decode_with_header, dimensions, encode_jpeg,
    encode_png,
};

const PROGRESSIVE: &[u8] = include_bytes!("data/progressive.jpg");
const CMYK: &[u8] = include_bytes!("data/cmyk.jpg");

fn picture(width: usize, height: usize) -> Image {
    let pixel = |at: usize| {
        let (x, y) = ((at % width) as f32, (at / width) as f32);
        [x / 17.0, y / 13.0, (x + y) / 29.0].map(|phase| (128.0 + 100.0 * phase.sin()) as u8)
    };
    Image::new(width, height, (0..width * height).flat_map(pixel).collect()).expect("a picture")
}

fn mean_difference(a: &Image, b: &Image) -> f64 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let sum: f64 = a.data().iter().zip(b.data()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    sum / a.data().len() as f64
}

fn mean_colour(image: &Image) -> [f64; 3] {
    let pixels = (image.width() * image.height()) as f64;
    [0, 1, 2].map(|channel| {
        image.data().iter().skip(channel).step_by(3).map(|&value| f64::from(value)).sum::<f64>() / pixels
    })
}

#[test]
fn reduced_pictures_equal_the_resized_whole_within_a_tolerance() {
    let mut grey = Vec::new();
    let data: Vec<u8> = picture(200, 120).data().iter().step_by(3).copied().collect();
    image::codecs::jpeg::JpegEncoder::new(&mut grey)
        .encode(&data, 200, 120, ExtendedColorType::L8)
        .expect("encodes");
    // Sides that are multiples of 8; otherwise the last column and row of a reduced picture show less than the others.
    let files = [
        ("colour", encode_jpeg(&picture(208, 120), 95)),
        ("grey", grey),
        ("progressive", PROGRESSIVE.to_vec()),
        ("cmyk", CMYK.to_vec()),
    ];
    for (name, jpeg) in files {
        let whole = decode(&jpeg, &Limits::default()).expect(name);
        let size = (whole.width(), whole.height());
        for by in [2, 4, 8] {
            let (width, height) = (size.0.div_ceil(by), size.1.div_ceil(by));
            let limits = Limits::new((width * height) as u64);
            assert_eq!(dimensions(&jpeg, &limits).expect(name), size);
            let (header, reduced) = decode_with_header(&jpeg, &limits).expect(name);
            assert_eq!((reduced.width(), reduced.height()), (width, height), "{name} by {by}");
            assert_eq!((header.width, header.height), size);
            assert_eq!((reduced.source_size(), whole.source_size()), (size, size));
            let expected = whole.resized((height, width), Interpolation::Area);
            let difference = mean_difference(&reduced, &expected);
            // The small pictures of the fixtures have steps in blue, which colours at half the resolution blur: only their
            // mean colour is compared.
            let (found, allowed) = if matches!(name, "colour" | "grey") {
                (difference, 5.0)
            } else {
                let means = mean_colour(&reduced).into_iter().zip(mean_colour(&expected));
                (means.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max), 8.0)
            };
            assert!(found < allowed, "{name} by {by} differs by {found:.2} in the mean");
        }
    }
}

#[test]
fn reduced_pictures_are_turned_upright() {
    let jpeg = encode_jpeg(&picture(160, 80), 95);
    // A TIFF directory of one entry: orientation 6, turned by a quarter.
    let tiff = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let length = (tiff.len() as u16 + 2).to_be_bytes();
    let turned = [&jpeg[..2], &[0xff, 0xe1], &length, tiff, &jpeg[2..]].concat();
    let image = decode(&turned, &Limits::new(80 * 40)).expect("a turned picture");
    assert_eq!((image.width(), image.height(), image.source_size()), (40, 80, (80, 160)));
    let whole = decode(&turned, &Limits::default()).expect("a turned picture");
    assert!(mean_difference(&image, &whole.resized((80, 40), Interpolation::Area)) < 5.0);
}

#[test]
fn cut_pictures_are_refused_at_a_reduced_size_too() {
    let jpeg = encode_jpeg(&picture(160, 80), 95);
    let limits = Limits::new(80 * 40);
    assert!(decode(&jpeg[..jpeg.len() - 2], &limits).is_ok());
    for end in [jpeg.len() / 2, jpeg.len() - 60] {
        for ending in [&[][..], &[0xff, 0xd9]] {
            let found = decode(&[&jpeg[..end], ending].concat(), &limits);
            assert!(matches!(found, Err(DecodeError::Incomplete { .. })), "{found:?}");
        }
    }
}

#[test]
fn what_cannot_be_reduced_is_refused_with_the_limit() {
    let limits = Limits::new(1000);
    let error = decode(&encode_png(&picture(50, 40)), &limits).expect_err("too large");
    assert_eq!(error, DecodeError::TooLarge { width: 50, height: 40, limit: 1000 });
    assert!(error.to_string().contains("50 x 40") && error.to_string().contains("1000"), "{error}");
    let tiny = decode(&encode_jpeg(&picture(400, 400), 80), &limits);
    assert!(matches!(tiny, Err(DecodeError::TooLarge { limit: 1000, .. })), "{tiny:?}");
    assert!(decode(&encode_png(&picture(40, 25)), &limits).is_ok());
}
