//! The example page: a title, two columns of text, a table, a figure and their captions, drawn from scratch.

use anyhow::{Context, Result};
use font8x8::UnicodeFonts;
use picodet_image::{Image, encode_png};

const WIDTH: usize = 1216;
const HEIGHT: usize = 1600;
const INK: [u8; 3] = [24, 24, 28];
const TEXT: &str = "A small network looks at the whole page once. Its backbone turns pixels into features at three \
    scales, a light pyramid carries what is seen far away to where it is seen near, and a head says for every cell what \
    lies there and how far its borders are. Nothing is guessed twice: the network is a value, written down in one place, \
    and every tool reads the same one. Speed comes from doing little, and from doing it close to where the numbers lie.";

/// Draws the page and writes it.
pub(crate) fn draw() -> Result<()> {
    let mut page = Image::filled(WIDTH, HEIGHT, [255; 3]);
    write_line(&mut page, (90, 60), 1, "PICODET NOTES");
    write_line(&mut page, (1060, 60), 1, "PAGE 7");
    write_line(&mut page, (300, 124), 3, "Finding things on a page");
    paragraph(&mut page, (90, 200), (500, 620));
    write_line(&mut page, (640, 206), 2, "2 A small table");
    paragraph(&mut page, (640, 250), (500, 210));
    write_line(&mut page, (690, 498), 1, "Table 1: Networks, their size and their work.");
    table(&mut page, (640, 520), (500, 290));
    figure(&mut page, (90, 850), (500, 330));
    write_line(&mut page, (130, 1200), 1, "Figure 1: Time of each part of the network.");
    paragraph(&mut page, (90, 1250), (500, 250));
    write_line(&mut page, (640, 856), 2, "3 What is left to do");
    paragraph(&mut page, (640, 900), (500, 600));
    let path = "examples/page.png";
    std::fs::write(path, encode_png(&page)).context(path)
}

fn fill(page: &mut Image, (x, y): (usize, usize), (width, height): (usize, usize), colour: [u8; 3]) {
    for row in y..y + height {
        for column in x..x + width {
            page.set_pixel(column, row, colour);
        }
    }
}

fn write_line(page: &mut Image, (x, y): (usize, usize), scale: usize, text: &str) {
    for (index, letter) in text.chars().enumerate() {
        let glyph = font8x8::BASIC_FONTS.get(letter).unwrap_or_default();
        for (row, bits) in glyph.into_iter().enumerate() {
            for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                let corner = (x + (index * 8 + column) * scale, y + row * scale);
                fill(page, corner, (scale, scale), INK);
            }
        }
    }
}

/// Draws words into the lines of a column.
fn paragraph(page: &mut Image, (x, y): (usize, usize), (width, height): (usize, usize)) {
    const LINE: usize = 15;
    let letters = width / 8;
    let mut words = TEXT.split_whitespace().cycle();
    let mut word = words.next().unwrap_or_default();
    for line in 0..height / LINE {
        let mut text = String::new();
        while text.len() + word.len() < letters {
            text.push_str(word);
            text.push(' ');
            word = words.next().unwrap_or_default();
        }
        write_line(page, (x, y + line * LINE), 1, &text);
    }
}

fn table(page: &mut Image, (x, y): (usize, usize), (width, height): (usize, usize)) {
    const ROWS: [[&str; 4]; 7] = [
        ["Network", "Input", "Params", "MACs"],
        ["S", "320", "0.99 M", "351 M"],
        ["S", "416", "0.99 M", "594 M"],
        ["M", "320", "2.15 M", "716 M"],
        ["M", "416", "2.15 M", "1211 M"],
        ["L", "416", "3.30 M", "1834 M"],
        ["L", "640", "3.30 M", "4336 M"],
    ];
    let row_height = height / ROWS.len();
    let column_width = width / ROWS[0].len();
    for (index, row) in ROWS.iter().enumerate() {
        fill(page, (x, y + index * row_height), (width, if index < 2 { 2 } else { 1 }), INK);
        for (column, text) in row.iter().enumerate() {
            write_line(
                page,
                (x + column * column_width + 14, y + index * row_height + row_height / 2 - 4),
                1,
                text,
            );
        }
    }
    fill(page, (x, y + ROWS.len() * row_height), (width, 2), INK);
    for column in 0..=ROWS[0].len() {
        fill(page, (x + column * column_width, y), (1, ROWS.len() * row_height), INK);
    }
}

fn figure(page: &mut Image, (x, y): (usize, usize), (width, height): (usize, usize)) {
    const BARS: [(&str, usize, [u8; 3]); 5] = [
        ("stem", 30, [76, 114, 176]),
        ("body", 92, [221, 132, 82]),
        ("neck", 61, [85, 168, 104]),
        ("head", 48, [196, 78, 82]),
        ("boxes", 12, [129, 114, 179]),
    ];
    fill(page, (x, y), (width, height), [245, 246, 250]);
    let (left, base) = (x + 50, y + height - 40);
    fill(page, (left, y + 20), (2, height - 60), INK);
    fill(page, (left, base), (width - 80, 2), INK);
    for tick in 0..5 {
        let top = base - tick * (height - 90) / 4;
        fill(page, (left - 6, top), (6, 1), INK);
        write_line(page, (x + 14, top.saturating_sub(4)), 1, &(tick * 25).to_string());
    }
    let step = (width - 90) / BARS.len();
    for (index, (name, share, colour)) in BARS.into_iter().enumerate() {
        let tall = share * (height - 90) / 100;
        let corner = (left + 20 + index * step, base - tall);
        fill(page, corner, (step - 30, tall), colour);
        write_line(page, (corner.0 + 6, base + 14), 1, name);
    }
}
