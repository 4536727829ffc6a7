//! A picture is complete or incomplete by its own data, whatever is behind it.

use std::io::Cursor;

use image::{ExtendedColorType, ImageFormat, RgbImage};
use picodet_image::{DecodeError, Image, Limits, Missing, decode, encode_jpeg, encode_png};
use picodet_testing::without_huffman_tables;

const PROGRESSIVE: &[u8] = include_bytes!("data/progressive.jpg");
const RESTARTS: &[u8] = include_bytes!("data/restarts.jpg");
const CMYK: &[u8] = include_bytes!("data/cmyk.jpg");
const LOSSY_WEBP: &[u8] = include_bytes!("data/lossy.webp");
const EOI: [u8; 2] = [0xff, 0xd9];

fn picture(width: usize, height: usize) -> Image {
    let value = |at: usize| ((at % (3 * width)) * 3 + (at / (3 * width)) * 7 + at % 3 * 40) as u8;
    Image::new(width, height, (0..3 * width * height).map(value).collect()).expect("a picture")
}

/// A picture in a format of the `image` crate.
fn encoded(image: &Image, format: ImageFormat) -> Vec<u8> {
    let (width, height) = (image.width() as u32, image.height() as u32);
    let picture = RgbImage::from_raw(width, height, image.data().to_vec()).expect("a picture");
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("encodes");
    bytes.into_inner()
}

fn read(bytes: &[u8]) -> Result<Image, DecodeError> {
    decode(bytes, &Limits::default())
}

/// JPEG files of every coding process that is read.
fn jpegs() -> Vec<(&'static str, Vec<u8>)> {
    let grey = {
        let mut bytes = Vec::new();
        let data: Vec<u8> = (0..40 * 50).map(|at| (at % 40 * 6) as u8).collect();
        image::codecs::jpeg::JpegEncoder::new(&mut bytes)
            .encode(&data, 40, 50, ExtendedColorType::L8)
            .expect("encodes");
        bytes
    };
    vec![
        ("baseline", encode_jpeg(&picture(60, 70), 85)),
        ("grey", grey),
        ("progressive", PROGRESSIVE.to_vec()),
        ("restarts", RESTARTS.to_vec()),
        ("cmyk", CMYK.to_vec()),
    ]
}

/// Start of the entropy-coded data of the first scan.
fn scan(jpeg: &[u8]) -> usize {
    let at = jpeg.windows(2).position(|pair| pair == [0xff, 0xda]).expect("a scan");
    at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]))
}

#[test]
fn whatever_is_behind_a_picture_does_not_matter() {
    let thumbnail = encode_jpeg(&picture(16, 16), 50);
    for (name, jpeg) in jpegs() {
        let whole = read(&jpeg).expect(name);
        let half = &jpeg[..jpeg.len() / 2];
        let motion_photo = [&b"\0\0\0\x18ftypmp42\xff\xda"[..], &[1, 2, 0xff, 0xd9, 3]].concat();
        let trailers: [(&str, &[u8]); 7] = [
            ("another picture", &thumbnail),
            ("half a picture", half),
            ("a start of scan", &[0xff, 0xda]),
            ("a start of image", &[0xff, 0xd8, 0xff]),
            ("a video", &motion_photo),
            ("zeros", &[0; 4096]),
            ("text", b"camera=1\r\n"),
        ];
        for (trailer, bytes) in trailers {
            let found = read(&[&jpeg, bytes].concat());
            assert_eq!(found.as_ref(), Ok(&whole), "{name} with {trailer}");
        }
    }
}

#[test]
fn a_thumbnail_in_the_header_does_not_complete_a_picture() {
    let thumbnail = encode_jpeg(&picture(16, 16), 50);
    for (name, jpeg) in jpegs() {
        let length = (thumbnail.len() as u16 + 8).to_be_bytes();
        let exif = [&[0xff, 0xe1, length[0], length[1]], &b"Exif\0\0"[..], &thumbnail].concat();
        let jpeg = [&jpeg[..2], &exif, &jpeg[2..]].concat();
        assert!(read(&jpeg).is_ok(), "{name}");
        let cut = read(&jpeg[..jpeg.len() - (jpeg.len() - scan(&jpeg)) / 2]);
        assert!(cut.is_ok() || matches!(cut, Err(DecodeError::Incomplete { .. })), "{name}: {cut:?}");
        let cut = read(&jpeg[..exif.len() + 40]);
        assert!(matches!(cut, Err(DecodeError::Incomplete { .. })), "{name}: {cut:?}");
    }
}

#[test]
fn a_jpeg_that_is_cut_anywhere_is_whole_or_refused() {
    for (name, jpeg) in jpegs() {
        let whole = read(&jpeg).expect(name);
        let start = scan(&jpeg);
        let mut accepted = Vec::new();
        for end in start..jpeg.len() {
            for ending in [&[][..], &[0; 512]] {
                match read(&[&jpeg[..end], ending].concat()) {
                    Ok(image) if image == whole => accepted.push(end),
                    Ok(_) => panic!("{name} cut at {end} of {} is taken for complete", jpeg.len()),
                    Err(DecodeError::Incomplete { format: "JPEG", missing }) => {
                        let rows = matches!(missing, Missing::Rows { first, count } if first < count);
                        assert!(rows || name == "progressive", "{name} cut at {end}: {missing:?}");
                    }
                    Err(error) => panic!("{name} cut at {end}: {error}"),
                }
            }
        }
        // Without its end of image, a picture is complete.
        assert!(accepted.contains(&(jpeg.len() - 2)), "{name}: {accepted:?}");
        assert!(accepted.iter().all(|&end| end + 16 > jpeg.len()), "{name}: {accepted:?}");
    }
}

#[test]
fn an_end_marker_does_not_complete_a_cut_picture() {
    for (name, jpeg) in jpegs() {
        let start = scan(&jpeg);
        // In the last rows of blocks, filler looks like data.
        for end in (start..start + (jpeg.len() - start) / 2).filter(|_| name != "progressive") {
            let found = read(&[&jpeg[..end], &EOI].concat());
            assert!(matches!(found, Err(DecodeError::Incomplete { .. })), "{name} cut at {end}: {found:?}");
        }
    }
}

#[test]
fn errors_name_the_missing_rows() {
    let jpeg = encode_jpeg(&picture(640, 480), 90);
    let error = read(&jpeg[..jpeg.len() / 2]).expect_err("half a picture");
    let DecodeError::Incomplete { missing: Missing::Rows { first, count: 480 }, .. } = error else {
        panic!("{error:?}");
    };
    assert!((200..280).contains(&first) && first % 8 == 0, "{first}");
    let expected = format!(
        "the JPEG picture is incomplete: rows {first} to 479 of 480 are missing; copy or download the file again"
    );
    assert_eq!(error.to_string(), expected);
    let png = encode_png(&picture(64, 48));
    let error = read(&png[..png.len() * 3 / 4]).expect_err("a part of a picture").to_string();
    assert!(
        error.starts_with("the PNG picture is incomplete: rows ") && error.contains("to 47 of 48"),
        "{error}"
    );
    let bmp = encoded(&picture(64, 48), ImageFormat::Bmp);
    let error = read(&bmp[..bmp.len() / 2]).expect_err("half a picture").to_string();
    assert!(error.starts_with("the BMP picture is incomplete: rows 2"), "{error}");
}

#[test]
fn a_png_without_its_end_is_whole() {
    let image = picture(64, 48);
    let png = encode_png(&image);
    // A chunk without data has twelve bytes.
    let cut = &png[..png.len() - 12];
    for ending in [&[][..], &[0, 0, 0], &[0, 0, 0, 9, b't', b'E', b'X', b't', b'a']] {
        assert_eq!(read(&[cut, ending].concat()).expect("a whole picture"), image);
    }
    let data = png.windows(4).position(|name| name == b"IDAT").expect("data");
    let length = u32::from_be_bytes(*png[data - 4..].first_chunk().expect("a length")) as usize;
    // A part of the data in a chunk that is whole, but for its checksum.
    let mut part = png[..data + 4 + length / 2].to_vec();
    part[data - 4..data].copy_from_slice(&u32::try_from(length / 2).expect("short").to_be_bytes());
    part.extend([0; 4]);
    assert!(read(&part).is_err());
}

/// A grey BMP file.
fn palette_bmp(width: u32, height: u32) -> Vec<u8> {
    let row = width.next_multiple_of(4);
    let start = 54 + 1024;
    let long = u32::to_le_bytes;
    let mut bytes = b"BM".to_vec();
    let header =
        [start + row * height, 0, start, 40, width, height, 1 | 8 << 16, 0, row * height, 0, 0, 256, 0];
    bytes.extend(header.into_iter().flat_map(long));
    bytes.extend((0..=255).flat_map(|grey| [grey, grey, grey, 0]));
    bytes.extend((0..row * height).map(|pixel| (pixel * 7 % 251) as u8));
    bytes
}

#[test]
fn other_formats_that_are_cut_anywhere_are_whole_or_refused() {
    let image = picture(23, 19);
    let files = [
        ("PNG", encode_png(&image)),
        ("BMP", encoded(&image, ImageFormat::Bmp)),
        ("BMP with a palette", palette_bmp(23, 19)),
        ("GIF", encoded(&image, ImageFormat::Gif)),
        ("lossless WebP", encoded(&image, ImageFormat::WebP)),
        ("lossy WebP", LOSSY_WEBP.to_vec()),
    ];
    for (name, bytes) in files {
        let whole = read(&bytes).expect(name);
        assert_eq!(read(&[&bytes[..], b"trailer"].concat()).as_ref(), Ok(&whole), "{name} with a trailer");
        let signature = if name.ends_with("WebP") { 12 } else { 8 };
        for end in signature..bytes.len() {
            match read(&bytes[..end]) {
                Ok(image) => assert!(image == whole, "{name} cut at {end} of {}", bytes.len()),
                Err(DecodeError::Incomplete { .. }) => {}
                Err(error) => panic!("{name} cut at {end} of {}: {error}", bytes.len()),
            }
        }
    }
}

#[test]
fn pictures_of_motion_jpeg_use_the_standard_tables() {
    let jpeg = encode_jpeg(&picture(45, 37), 90);
    let stripped = without_huffman_tables(&jpeg);
    assert!(stripped.len() < jpeg.len() - 400);
    assert_eq!(read(&stripped).expect("standard tables"), read(&jpeg).expect("a picture"));
    // A picture that ends early is still an error.
    assert!(matches!(read(&stripped[..stripped.len() / 2]), Err(DecodeError::Incomplete { .. })));
    for end in 0..stripped.len().min(300) {
        assert!(read(&stripped[..end]).is_err());
    }
}
