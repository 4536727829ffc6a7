use std::path::{Path, PathBuf};

use super::*;

fn label(bbox: [f32; 4], text: &str) -> Label {
    Label::new(bbox, text, [200, 30, 30]).with_fallback("#12 0.87")
}

/// The rectangles at which the captions of `labels` are drawn, first label first.
fn placed(image: (i32, i32), em: f32, labels: &[Label]) -> Vec<Rect> {
    let bounds = Rect::new(0, 0, image.0, image.1);
    let boxes: Vec<Rect> = labels.iter().filter_map(|label| Rect::of_box(label.bbox, bounds)).collect();
    let mut taken = Vec::new();
    for (index, label) in labels.iter().enumerate() {
        let caption = Caption::new(&Fonts::embedded(), label, em, bounds).unwrap();
        taken.push(place(caption.size(), &boxes, index, bounds, &taken));
    }
    taken
}

/// A font with one glyph, a square, for `character`, written into a new folder under `name`.
fn folder_with_font(name: &str, character: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("deep")).unwrap();
    std::fs::write(folder.path().join("deep").join(name), square_font(character)).unwrap();
    folder
}

/// The tables that a font needs, with glyph 1 a square of one em for `character`.
fn square_font(character: u32) -> Vec<u8> {
    let words = |values: &[u16]| values.iter().flat_map(|value| value.to_be_bytes()).collect::<Vec<u8>>();
    let mut head = words(&[1, 0, 1, 0, 0, 0, 0x5f0f, 0x3cf5, 0, 1000]);
    head.extend([0; 16]);
    head.extend(words(&[0, 0, 1000, 1000, 0, 8, 2, 0, 0]));
    let hhea = words(&[1, 0, 1000, 0, 0, 1000, 0, 0, 1000, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
    let mut maxp = words(&[1, 0, 2]);
    maxp.extend([0; 26]);
    let mut cmap = words(&[0, 1, 3, 10, 0, 12, 12, 0, 0, 28, 0, 0, 0, 1]);
    for value in [character, character, 1] {
        cmap.extend(value.to_be_bytes());
    }
    // One contour of four points on the outline: flags, then the steps in x and in y.
    let mut glyf = words(&[1, 0, 0, 1000, 1000, 3, 0]);
    glyf.extend([1; 4]);
    glyf.extend(words(&[0, 1000, 0, (-1000i16) as u16, 0, 0, 1000, 0]));
    let length = glyf.len() as u16;
    let loca = words(&[0, 0, length / 2]);
    let hmtx = words(&[1000, 0, 0]);
    let tables: [(&[u8; 4], Vec<u8>); 7] = [
        (b"cmap", cmap),
        (b"glyf", glyf),
        (b"head", head),
        (b"hhea", hhea),
        (b"hmtx", hmtx),
        (b"loca", loca),
        (b"maxp", maxp),
    ];
    let mut file = words(&[1, 0, tables.len() as u16, 0, 0, 0]);
    let mut offset = 12 + 16 * tables.len();
    for (tag, table) in &tables {
        file.extend(*tag);
        for value in [0, offset as u32, table.len() as u32] {
            file.extend(value.to_be_bytes());
        }
        offset += table.len().next_multiple_of(4);
    }
    for (_, table) in tables {
        file.extend(&table);
        file.resize(file.len().next_multiple_of(4), 0);
    }
    file
}

/// Pixels of `image` that equal the ink of a caption on `colour`.
fn ink_pixels(image: &Image, colour: [u8; 3]) -> usize {
    let ink = contrasting(colour);
    image.data().as_chunks::<3>().0.iter().filter(|pixel| **pixel == ink).count()
}

#[test]
fn boxes_outside_the_image_and_invalid_boxes_do_no_harm() {
    let image = Image::filled(20, 10, [0; 3]);
    for bbox in [[-5.0, -5.0, 100.0, 100.0], [f32::NAN; 4], [15.0, 8.0, 2.0, 1.0], [f32::INFINITY; 4]] {
        let drawn = draw_with(&image, &[label(bbox, "超 label")], &Fonts::embedded());
        assert_eq!((drawn.width(), drawn.height()), (20, 10));
    }
    let skipped = draw_with(&image, &[label([15.0, 8.0, 2.0, 1.0], "label")], &Fonts::embedded());
    assert_eq!(skipped, image);
}

#[test]
fn an_outline_follows_the_box() {
    let image = Image::filled(40, 40, [0; 3]);
    let drawn = draw(&image, &[Label::new([5.0, 6.0, 30.0, 31.0], "", [9, 8, 7])]);
    assert_eq!(drawn.pixel(5, 20), [9, 8, 7]);
    assert_eq!(drawn.pixel(30, 20), [9, 8, 7]);
    assert_eq!(drawn.pixel(17, 6), [9, 8, 7]);
    assert_eq!(drawn.pixel(17, 20), [0; 3]);
}

#[test]
fn a_caption_stands_above_its_box_where_there_is_room() {
    let at = placed((400, 300), 14.0, &[label([100.0, 100.0, 200.0, 200.0], "person 0.87")])[0];
    assert_eq!((at.left, at.bottom), (100, 100));
}

#[test]
fn captions_stay_within_the_image() {
    for (width, height) in [(64, 64), (400, 300), (37, 200), (200, 19)] {
        let (w, h) = (width as f32, height as f32);
        let corners =
            [[0.0, 0.0, 9.0, 9.0], [w - 9.0, 0.0, w, 9.0], [0.0, h - 9.0, 9.0, h], [w - 9.0, h - 9.0, w, h]];
        let edges = [[-50.0, -50.0, w + 50.0, h + 50.0], [w - 1.0, 0.0, w + 90.0, h]];
        let labels: Vec<Label> =
            corners.into_iter().chain(edges).map(|bbox| label(bbox, "traffic light 0.87")).collect();
        let bounds = Rect::new(0, 0, width, height);
        for at in placed((width, height), 12.0, &labels) {
            assert!(bounds.contains(at), "{at:?} in {width} × {height}");
        }
    }
}

#[test]
fn captions_do_not_overlap_where_there_is_room() {
    // The same object twenty times, and neighbours whose captions are wider than they are.
    let mut labels = vec![label([100.0, 100.0, 300.0, 300.0], "dining table 0.87"); 20];
    for index in 0..20 {
        let left = 320.0 + 15.0 * index as f32;
        labels.push(label([left, 400.0, left + 12.0, 440.0], "sports ball 0.55"));
    }
    let at = placed((640, 480), 12.0, &labels);
    for (index, one) in at.iter().enumerate() {
        for (other_index, other) in at.iter().enumerate().skip(index + 1) {
            assert_eq!(one.overlap(*other), 0, "captions {index} and {other_index}");
        }
    }
}

#[test]
fn a_caption_that_is_too_long_is_shortened() {
    let bounds = Rect::new(0, 0, 100, 100);
    let text = "a class name of many words that no small image has room for 0.99";
    let caption = Caption::new(&Fonts::embedded(), &label([0.0; 4], text), 12.0, bounds).unwrap();
    assert!(caption.size().0 <= 100 && caption.size().0 > 80, "{:?}", caption.size());
}

#[test]
fn european_letters_are_embedded() {
    let fonts = Fonts::embedded();
    let text = "Größe çà niño Łódź Ελληνικά Кириллица Їжак 0.87 – “#%” …";
    assert_eq!(fonts.missing(text), None);
    assert_eq!(fonts.missing("car 汽车"), Some('汽'));
}

#[test]
fn a_font_of_the_system_draws_what_the_embedded_font_lacks() {
    let folder = folder_with_font("NotoSansSC-Regular.ttf", u32::from('超'));
    let fonts = Fonts::with_system_folders(&[folder.path().to_owned()]);
    assert_eq!(fonts.missing("超 0.9"), None);
    assert_eq!(fonts.missing("超市 0.9"), Some('市'));
    let image = Image::filled(200, 100, [120; 3]);
    let one = [Label::new([20.0, 40.0, 150.0, 90.0], "超", [200, 30, 30])];
    let square = ink_pixels(&draw_with(&image, &one, &fonts), one[0].colour);
    // The whole square of one em, which is 12 pixels.
    assert!((100..=144).contains(&square), "{square} pixels");
}

#[test]
fn the_fallback_is_drawn_where_no_font_has_a_character() {
    let image = Image::filled(200, 100, [120; 3]);
    let fonts = Fonts::with_system_folders(&[PathBuf::from("/nonexistent")]);
    let bbox = [20.0, 40.0, 150.0, 90.0];
    let chinese = draw_with(&image, &[label(bbox, "超市 0.87")], &fonts);
    assert_eq!(chinese, draw_with(&image, &[label(bbox, "#12 0.87")], &fonts));
    // Without a fallback the characters are empty rectangles.
    let unnamed = draw_with(&image, &[Label::new(bbox, "超", [200, 30, 30])], &fonts);
    let between = |pixel: &&[u8; 3]| **pixel != [120; 3] && **pixel != [200, 30, 30];
    assert!(unnamed.data().as_chunks::<3>().0.iter().filter(between).count() > 8);
}

#[test]
fn a_given_font_file_comes_first_and_a_wrong_file_is_named() {
    let folder = folder_with_font("any.ttf", u32::from('a'));
    let path = folder.path().join("deep/any.ttf");
    let fonts = Fonts::embedded().with_file(&path).unwrap();
    let image = Image::filled(200, 100, [120; 3]);
    let one = [Label::new([20.0, 40.0, 150.0, 90.0], "a", [200, 30, 30])];
    assert_ne!(draw_with(&image, &one, &fonts), draw_with(&image, &one, &Fonts::embedded()));
    let text = folder.path().join("text.ttf");
    std::fs::write(&text, "not a font").unwrap();
    let error = Fonts::embedded().with_file(&text).unwrap_err().to_string();
    assert!(error.contains("text.ttf") && error.contains(".otf"), "{error}");
    assert!(Fonts::embedded().with_file(Path::new("/nonexistent.ttf")).is_err());
}

#[test]
fn a_broken_font_draws_nothing_and_does_not_panic() {
    let whole = square_font(u32::from('a'));
    let folder = tempfile::tempdir().unwrap();
    let image = Image::filled(60, 40, [120; 3]);
    let path = folder.path().join("cut.ttf");
    for length in (0..whole.len()).step_by(3) {
        std::fs::write(&path, &whole[..length]).unwrap();
        if let Ok(fonts) = Fonts::embedded().with_file(&path) {
            let drawn = draw_with(&image, &[label([5.0, 20.0, 50.0, 35.0], "a")], &fonts);
            assert_eq!(drawn.width(), 60);
        }
    }
}
