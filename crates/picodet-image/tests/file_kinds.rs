//! Files that are not images of a supported format are named as what they are.

use picodet_image::{DecodeError, FileKind, Image, Limits, decode, encode_jpeg};

fn brands(brands: &[&[u8; 4]]) -> Vec<u8> {
    let size = 16 + 4 * (brands.len() as u32 - 1);
    [
        &size.to_be_bytes(),
        &b"ftyp"[..],
        brands[0],
        &[0; 4],
        &brands[1..].iter().copied().flatten().copied().collect::<Vec<u8>>(),
        &[0; 64],
    ]
    .concat()
}

/// A little-endian TIFF whose first directory has these tags, with value 1.
fn tiff(tags: &[u16]) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend((tags.len() as u16).to_le_bytes());
    for tag in tags {
        bytes.extend(
            [&tag.to_le_bytes()[..], &4u16.to_le_bytes(), &1u32.to_le_bytes(), &1u32.to_le_bytes()].concat(),
        );
    }
    bytes.extend([0; 4]);
    bytes
}

/// The module for browsers names them instead of reading them.
#[test]
fn pictures_that_browsers_decode_are_recognised() {
    for bytes in [&b"GIF89a\x01\0"[..], b"BM\x46\0", b"RIFF\x24\0\0\0WEBPVP8 "] {
        assert_eq!(FileKind::of(bytes), Some(FileKind::LeftToTheBrowser));
        assert!(!matches!(decode(bytes, &Limits::default()), Err(DecodeError::Unsupported(_))));
    }
}

#[test]
fn foreign_files_are_named() {
    let html = "<!DOCTYPE html>\n<html><head><title>404</title></head></html>";
    let svg = "<?xml version=\"1.0\"?>\n<!-- drawn -->\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>";
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let cases: Vec<(&str, Vec<u8>, FileKind)> = vec![
        ("heic", brands(&[b"heic", b"mif1"]), FileKind::Heic),
        ("heif", brands(&[b"mif1", b"heix"]), FileKind::Heic),
        ("heif of unknown brands", brands(&[b"mif1", b"miaf"]), FileKind::Heic),
        ("avif", brands(&[b"avif", b"mif1", b"miaf"]), FileKind::Avif),
        ("avif sequence", brands(&[b"mif1", b"avis"]), FileKind::Avif),
        ("cr3", brands(&[b"crx ", b"isom"]), FileKind::CameraRaw),
        ("mp4", brands(&[b"isom", b"mp42"]), FileKind::Video),
        ("mov", brands(&[b"qt  "]), FileKind::Video),
        ("tiff", tiff(&[256, 257]), FileKind::Tiff),
        ("big-endian tiff", b"MM\0*\0\0\0\x08\0\x01".to_vec(), FileKind::Tiff),
        ("cut tiff", b"II*\0\xff\xff\xff\xff".to_vec(), FileKind::Tiff),
        ("dng", tiff(&[254, 50_706]), FileKind::CameraRaw),
        ("nef", tiff(&[254, 256, 330]), FileKind::CameraRaw),
        ("cr2", b"II*\0\x10\0\0\0CR\x02\0\0\0".to_vec(), FileKind::CameraRaw),
        ("raf", b"FUJIFILMCCD-RAW 0201".to_vec(), FileKind::CameraRaw),
        ("jp2", b"\0\0\0\x0cjP  \r\n\x87\n".to_vec(), FileKind::Jpeg2000),
        ("jxl", b"\xff\x0a\0\0".to_vec(), FileKind::JpegXl),
        ("psd", b"8BPS\0\x01".to_vec(), FileKind::Photoshop),
        ("pdf", b"%PDF-1.7".to_vec(), FileKind::Pdf),
        ("ppm", b"P6\n4 4\n255\n".to_vec(), FileKind::Pnm),
        ("ico", b"\0\0\x01\0\x01\0".to_vec(), FileKind::Icon),
        ("svg", svg.as_bytes().to_vec(), FileKind::Svg),
        ("html", html.as_bytes().to_vec(), FileKind::Html),
        ("html behind spaces", [b"\xef\xbb\xbf\r\n  ", html.as_bytes()].concat(), FileKind::Html),
        ("lfs", lfs.as_bytes().to_vec(), FileKind::GitLfsPointer),
        ("json", b"{\"error\": \"not found\"}".to_vec(), FileKind::Text),
        ("long text", "täglich ".repeat(1000).into_bytes(), FileKind::Text),
        ("apple double", b"\0\x05\x16\x07\0\x02\0\0Mac OS X".to_vec(), FileKind::AppleDouble),
        ("zip", b"PK\x03\x04\x14\0".to_vec(), FileKind::Archive),
        ("zeros", vec![0; 100], FileKind::Zeros),
    ];
    for (name, bytes, kind) in cases {
        assert_eq!(FileKind::of(&bytes), Some(kind), "{name}");
        let error = decode(&bytes, &Limits::default()).expect_err(name);
        assert_eq!(error, DecodeError::Unsupported(kind), "{name}");
        let message = error.to_string();
        assert!(message.contains(kind.description()) && message.contains(kind.remedy()), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
    assert_eq!(decode(&[], &Limits::default()), Err(DecodeError::Empty));
    for noise in [&[1, 2, 3][..], &[0xe9, 0x01], b"\xde\xad\xbe\xef"] {
        assert_eq!(decode(noise, &Limits::default()), Err(DecodeError::UnknownFormat));
    }
}

#[test]
fn no_beginning_of_a_file_panics() {
    for bytes in [tiff(&[254, 330, 50_706]), brands(&[b"mif1", b"avif"]), "é".repeat(600).into_bytes()] {
        for end in 0..bytes.len() {
            let _ = FileKind::of(&bytes[..end]);
        }
    }
}

#[test]
fn coding_processes_of_jpeg_without_a_decoder_are_named() {
    let image = Image::new(17, 9, vec![90; 17 * 9 * 3]).expect("an image");
    let jpeg = encode_jpeg(&image, 90);
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).expect("a frame header");
    for (marker, name) in [
        (0xc3, "lossless JPEG"),
        (0xc5, "hierarchical JPEG"),
        (0xc9, "JPEG with arithmetic coding"),
        (0xca, "JPEG with arithmetic coding"),
        (0xcb, "lossless JPEG"),
        (0xf7, "JPEG-LS"),
    ] {
        let mut changed = jpeg.clone();
        changed[frame + 1] = marker;
        let error = decode(&changed, &Limits::default()).map(drop).map_err(|error| error.to_string());
        let expected = format!("{name} is not supported; save the image as PNG");
        assert!(error.as_ref().is_err_and(|error| error.contains(&expected)), "{marker:#x}: {error:?}");
    }
    assert!(decode(&jpeg, &Limits::default()).is_ok());
}
