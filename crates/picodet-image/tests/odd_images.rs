//! Odd pictures are decoded right or refused with a reason; hostile ones neither panic nor take memory.

use std::path::{Path, PathBuf};

use picodet_image::{DecodeError, Image, Interpolation, Limits, decode, dimensions, encode_jpeg, encode_png};
use picodet_testing::shared_path;
use proptest::prelude::*;

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, into);
        } else if path
            .extension()
            .is_some_and(|ending| ["jpg", "png", "webp"].iter().any(|known| ending == *known))
        {
            into.push(path);
        }
    }
}

fn open(path: &Path) -> Result<Image, DecodeError> {
    decode(&std::fs::read(path).expect("a readable file"), &Limits::default())
}

/// Largest and mean difference of two pictures of one size.
fn difference(a: &Image, b: &Image) -> (u8, f64) {
    let differences = a.data().iter().zip(b.data()).map(|(a, b)| a.abs_diff(*b));
    let sum: f64 = differences.clone().map(f64::from).sum();
    (differences.max().unwrap_or(0), sum / a.data().len() as f64)
}

/// Whether a file must be refused: the suite's broken files, and lossless JPEG, which is not supported.
fn is_refused(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let lossless = path.components().any(|part| part.as_os_str() == "lossless") && name.ends_with(".jpg");
    (name.starts_with('x') && path.components().any(|part| part.as_os_str() == "pngsuite")) || lossless
}

#[test]
fn every_odd_file_is_decoded_or_refused_with_a_reason() {
    let Some(folder) = shared_path("data/odd_images") else {
        return;
    };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    assert!(paths.len() > 200, "only {} files in {}", paths.len(), folder.display());
    let mut wrong = Vec::new();
    for path in &paths {
        let name = path.display();
        match (open(path), is_refused(path)) {
            (Ok(_), true) => wrong.push(format!("{name} should be refused")),
            (Err(error), false) => wrong.push(format!("{name}: {error}")),
            (Err(error), true) if error.to_string().contains('\n') => {
                wrong.push(format!("{name}: two lines: {error}"))
            }
            (Err(_), true) => {}
            (Ok(image), false) => {
                let header = dimensions(&std::fs::read(path).expect("a readable file"), &Limits::default());
                if header.ok() != Some((image.width(), image.height())) {
                    wrong.push(format!("{name}: the header gives another size"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn jpegs_equal_their_reference_pictures() {
    let Some(folder) = shared_path("data/odd_images/jpeg_ref/mozilla") else {
        return;
    };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    let mut wrong = Vec::new();
    let mut compared = 0;
    for path in paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "jpg")) {
        // The references of these two are from another decoder; the folder's own list leaves them out.
        if path.ends_with("jpg-size-3x3.jpg") || path.ends_with("jpg-size-4x4.jpg") {
            continue;
        }
        let (Ok(found), Ok(expected)) = (open(path), open(&path.with_extension("png"))) else {
            continue;
        };
        compared += 1;
        // The smallest pictures show how decoders blend colours at the edge.
        let allowed = if found.width() <= 2 { 12 } else { 7 };
        let (largest, mean) = difference(&found, &expected);
        if (found.width(), found.height()) != (expected.width(), expected.height())
            || largest > allowed
            || mean > 4.0
        {
            wrong.push(format!("{}: differs by up to {largest}, {mean:.2} in the mean", path.display()));
        }
    }
    assert!(compared >= 15, "only {compared} pictures were compared");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_exif_orientation_gives_the_same_upright_picture() {
    let Some(folder) = shared_path("data/odd_images/exif") else {
        return;
    };
    let upright = open(&folder.join("Landscape_1.jpg")).expect("a sound file");
    let mut wrong = Vec::new();
    for orientation in 2..=8 {
        let turned = open(&folder.join(format!("Landscape_{orientation}.jpg"))).expect("a sound file");
        if (turned.width(), turned.height()) != (upright.width(), upright.height()) {
            wrong.push(format!("{orientation}: {} x {}", turned.width(), turned.height()));
            continue;
        }
        // Each file was encoded separately, and shows its orientation as a digit.
        let small = |image: &Image| image.resized((60, 90), Interpolation::Area);
        let (_, mean) = difference(&small(&turned), &small(&upright));
        if mean > 4.0 {
            wrong.push(format!("{orientation}: differs by {mean:.2} in the mean"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn sixteen_bits_lose_their_lower_byte_and_alpha_is_dropped() {
    let mut png = Vec::new();
    let pixels: Vec<u8> =
        [0x12ffu16, 0xff80, 0x00ff, 0x0000].iter().flat_map(|value| value.to_be_bytes()).collect();
    let native: Vec<u8> = pixels
        .as_chunks::<2>()
        .0
        .iter()
        .flat_map(|&[a, b]| u16::from_be_bytes([a, b]).to_ne_bytes())
        .collect();
    let encoder = image::codecs::png::PngEncoder::new(&mut png);
    image::ImageEncoder::write_image(encoder, &native, 1, 1, image::ExtendedColorType::Rgba16)
        .expect("a picture");
    let image = decode(&png, &Limits::default()).expect("a sound file");
    assert_eq!(image.data(), [0x12, 0xff, 0x00]);
}

/// A PNG whose header has any size and that has no image data.
fn claimed(width: u32, height: u32) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend([width.to_be_bytes(), height.to_be_bytes()].concat());
    header.extend([8, 2, 0, 0, 0]);
    let mut crc = !0u32;
    for byte in &header {
        crc ^= u32::from(*byte);
        (0..8).for_each(|_| crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 });
    }
    let idat = [0, 0, 0, 0, b'I', b'D', b'A', b'T', 0x35, 0xaf, 0x06, 0x1e];
    [&b"\x89PNG\r\n\x1a\n\0\0\0\x0d"[..], &header, &(!crc).to_be_bytes(), &idat].concat()
}

#[test]
fn a_claim_of_gigapixels_is_refused_at_once() {
    let bytes = claimed(50_000, 50_000);
    let error = decode(&bytes, &Limits::default()).expect_err("far too large");
    assert!(matches!(error, DecodeError::TooLarge { width: 50_000, height: 50_000, .. }), "{error}");
    assert!(error.to_string().contains("scale it down"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn flipped_and_truncated_pictures_never_panic(
        which in 0usize..6,
        cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
    ) {
        let picture = Image::new(9, 7, (0..9 * 7 * 3).map(|value| (value * 5 % 256) as u8).collect()).expect("a picture");
        let mut bmp = Vec::new();
        image::codecs::bmp::BmpEncoder::new(&mut bmp)
            .encode(picture.data(), 9, 7, image::ExtendedColorType::Rgb8)
            .expect("a picture");
        let progressive = include_bytes!("data/progressive.jpg").to_vec();
        let restarts = include_bytes!("data/restarts.jpg").to_vec();
        let webp = include_bytes!("data/lossy.webp").to_vec();
        let mut bytes = [encode_png(&picture), encode_jpeg(&picture, 80), bmp, progressive, restarts, webp][which].clone();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
        }
        // Below the second limit JPEG pictures are decoded at a reduced size.
        for limits in [1_000_000, 1_000].map(Limits::new) {
            for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
                let found = decode(bytes, &limits);
                prop_assert!(!matches!(found, Err(DecodeError::Panic)), "a decoder panicked");
                let _ = dimensions(bytes, &limits);
            }
        }
    }
}

/// Returns a chunk of a PNG file.
fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind, data].concat();
    let crc = body.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    });
    [&(data.len() as u32).to_be_bytes()[..], &body, &(!crc).to_be_bytes()].concat()
}

/// EXIF data whose only entry is an orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let entry = [0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0];
    [&b"MM\0*\0\0\0\x08\0\x01"[..], &entry, &[0; 4]].concat()
}

#[test]
fn exif_data_of_png_files_counts_before_and_behind_the_pixels() {
    let stored = Image::new(3, 2, (0..18).collect()).expect("six pixels");
    let file = encode_png(&stored);
    let end = file.len() - 12;
    // Columns and rows of the turned picture, and the stored pixel in each place.
    let turned: [(u8, usize, [usize; 6]); 4] = [
        (1, 3, [0, 1, 2, 3, 4, 5]),
        (3, 3, [5, 4, 3, 2, 1, 0]),
        (5, 2, [0, 3, 1, 4, 2, 5]),
        (6, 2, [3, 0, 4, 1, 5, 2]),
    ];
    for (orientation, width, places) in turned {
        let pixels = stored.data().as_chunks::<3>().0;
        let expected: Vec<u8> = places.iter().flat_map(|&place| pixels[place]).collect();
        for data in [exif(orientation), [&b"Exif\0\0"[..], &exif(orientation)].concat()] {
            for at in [33, end] {
                let with_exif = [&file[..at], &png_chunk(b"eXIf", &data), &file[at..]].concat();
                let image = decode(&with_exif, &Limits::default()).expect("a picture");
                let what = format!("orientation {orientation} at byte {at}");
                assert_eq!((image.width(), image.height()), (width, 6 / width), "{what}");
                assert_eq!(image.data(), expected, "{what}");
                assert_eq!(
                    dimensions(&with_exif, &Limits::default()).ok(),
                    Some((width, 6 / width)),
                    "{what}"
                );
            }
        }
    }
}

/// A text of EXIF data as ImageMagick writes it.
fn raw_profile(name: &str, data: &[u8]) -> Vec<u8> {
    let lines: Vec<String> = data
        .chunks(36)
        .map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n")
        .collect();
    format!("\n{name}\n{:8}\n{}", data.len(), lines.concat()).into_bytes()
}

/// The data of zlib in one block without compression.
fn zlib_stored(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u16).to_le_bytes();
    let (mut a, mut b) = (1u32, 0u32);
    for &byte in data {
        a = (a + u32::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    let checksum = (b << 16 | a).to_be_bytes();
    [&[0x78, 0x01, 0x01][..], &length, &length.map(|byte| !byte), data, &checksum].concat()
}

#[test]
fn exif_data_in_texts_of_png_files_counts() {
    let file = encode_png(&Image::new(3, 2, (0..18).collect()).expect("six pixels"));
    let size = |chunks: &[Vec<u8>]| {
        let file = [&file[..33], &chunks.concat(), &file[33..]].concat();
        let image = decode(&file, &Limits::default()).expect("a picture");
        assert_eq!(dimensions(&file, &Limits::default()).ok(), Some((image.width(), image.height())));
        (image.width(), image.height())
    };
    let text = |keyword: &str, text: &[u8]| png_chunk(b"tEXt", &[keyword.as_bytes(), &[0], text].concat());
    let packed =
        |keyword: &str, data: &[u8]| png_chunk(b"zTXt", &[keyword.as_bytes(), &[0, 0], data].concat());
    for (keyword, name) in [("Raw profile type exif", "exif"), ("Raw profile type APP1", "generic")] {
        for data in [exif(6), [&b"Exif\0\0"[..], &exif(6)].concat()] {
            let profile = raw_profile(name, &data);
            assert_eq!(size(&[text(keyword, &profile)]), (2, 3));
            assert_eq!(size(&[packed(keyword, &zlib_stored(&profile))]), (2, 3));
            // The chunk of EXIF data comes first.
            assert_eq!(size(&[text(keyword, &profile), png_chunk(b"eXIf", &exif(1))]), (3, 2));
        }
    }
    // Texts without EXIF data, and damaged ones.
    let profile = raw_profile("exif", &exif(6));
    let cut = &profile[..profile.len() - 9];
    let bomb = vec![b'\n'; 60_000];
    for chunks in [
        vec![text("Comment", &profile)],
        vec![text("Raw profile type iptc", &profile)],
        vec![text("Raw profile type exif", cut)],
        vec![text("Raw profile type exif", b"\nexif\n 2\nzz\n")],
        vec![packed("Raw profile type exif", &zlib_stored(&profile)[..20])],
        vec![packed("Raw profile type exif", &zlib_stored(&bomb))],
        vec![packed("Raw profile type exif", b"")],
    ] {
        assert_eq!(size(&chunks), (3, 2));
    }
}
