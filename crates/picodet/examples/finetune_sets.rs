//! Derives two small detection datasets from a COCO dataset with the splits train and val, for `bench/finetune/run.sh`.
//!
//! ```sh
//! cargo run --release -p picodet --all-features --example finetune_sets -- COCO OUTPUT
//! ```
//!
//! `OUTPUT/person` has only the class person: all images of train and every second one of val for training, the others for
//! validation. `OUTPUT/shapes` has four generated shapes, pasted on the photos of train for training and on those of val for
//! validation. Both are the same on every machine.

use std::error::Error;
use std::f64::consts::TAU;
use std::path::Path;

use picodet::crates::data::{Dataset, ImageRecord, Object};
use picodet::crates::image::{Image, Limits, decode, encode_jpeg};
use picodet_testing::Noise;
use sets::{overlap, write_split};

mod sets;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SHAPES: [&str; 4] = ["ring", "cross", "star", "crescent"];
/// Images generated from each photo of train.
const COPIES: usize = 2;
/// Photos of val with pasted shapes.
const VALIDATION_PHOTOS: usize = 60;
const QUALITY: u8 = 90;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, output] = &arguments[..] else {
        return Err("usage: finetune_sets COCO OUTPUT".into());
    };
    let train = Dataset::open(Path::new(source), Some("train"))?;
    let val = Dataset::open(Path::new(source), Some("val"))?;
    write_person(&train, &val, &Path::new(output).join("person"))?;
    write_shapes(&train, &val, &Path::new(output).join("shapes"))
}

/// Writes the dataset of persons.
fn write_person(train: &Dataset, val: &Dataset, folder: &Path) -> Result<()> {
    let mut parts = [("train", Vec::new()), ("val", Vec::new())];
    for (split, dataset) in [("train", train), ("val", val)] {
        let person =
            dataset.classes.iter().position(|class| class.name == "person").ok_or("no class person")?;
        for (index, image) in dataset.images.iter().enumerate() {
            let part = usize::from(split == "val" && index % 2 == 1);
            let bytes = dataset.read_image(index)?;
            let persons = image.objects.iter().filter(|object| object.class == person);
            let objects = persons.map(|object| Object { class: 0, ..*object }).collect();
            parts[part].1.push((bytes, ImageRecord { objects, ..image.clone() }));
        }
    }
    for (split, images) in parts {
        write_split(folder, split, &["person".to_owned()], images)?;
    }
    Ok(())
}

/// Writes the dataset of pasted shapes.
fn write_shapes(train: &Dataset, val: &Dataset, folder: &Path) -> Result<()> {
    let mut noise = Noise::new(0);
    for (split, dataset, photos, copies) in
        [("train", train, usize::MAX, COPIES), ("val", val, VALIDATION_PHOTOS, 1)]
    {
        let mut images = Vec::new();
        for (index, record) in dataset.images.iter().enumerate().take(photos) {
            let photo = decode(&dataset.read_image(index)?, &Limits::default())?;
            for _ in 0..copies {
                let (image, objects) = paste(photo.clone(), &mut noise);
                images.push((encode_jpeg(&image, QUALITY), ImageRecord { objects, ..record.clone() }));
            }
        }
        write_split(folder, split, &SHAPES.map(str::to_owned), images)?;
    }
    Ok(())
}

/// Pastes up to six shapes on a photo, none of which covers more than a quarter of the box of an earlier one.
fn paste(mut photo: Image, noise: &mut Noise) -> (Image, Vec<Object>) {
    let (width, height) = (photo.width() as f64, photo.height() as f64);
    let mut objects: Vec<Object> = Vec::new();
    for _ in 0..1 + noise.bits() % 6 {
        let shape = Shape::draw(width, height, noise);
        let bbox = shape.bbox();
        let is_inside = bbox[0] >= 0.0 && bbox[1] >= 0.0 && bbox[2] <= width && bbox[3] <= height;
        if is_inside && objects.iter().all(|other| overlap(&other.bbox, &bbox) < 0.25) {
            shape.fill(&mut photo);
            objects.push(Object::new(shape.class, bbox));
        }
    }
    (photo, objects)
}

/// A shape with its place, colours and turn.
struct Shape {
    class: usize,
    centre: [f64; 2],
    radius: f64,
    turn: f64,
    colours: [[f64; 3]; 2],
    stripes: f64,
    opacity: f64,
}

impl Shape {
    fn draw(width: f64, height: f64, noise: &mut Noise) -> Self {
        let mut colour = || [noise.unit(), noise.unit(), noise.unit()].map(|value| 255.0 * value);
        let colours = [colour(), colour()];
        Self {
            class: (noise.bits() % SHAPES.len() as u64) as usize,
            centre: [noise.unit() * width, noise.unit() * height],
            // The logarithm of the radius is uniform.
            radius: width.min(height) * 0.03 * 8f64.powf(noise.unit()),
            turn: noise.unit() * TAU,
            colours,
            stripes: 1.0 + 7.0 * noise.unit(),
            opacity: 0.5 + 0.5 * noise.unit(),
        }
    }

    /// Returns the position of a pixel's centre in the shape, where the circle around it has the radius 1.
    fn position(&self, x: i64, y: i64) -> [f64; 2] {
        let (dx, dy) = (x as f64 + 0.5 - self.centre[0], y as f64 + 0.5 - self.centre[1]);
        let (sin, cos) = self.turn.sin_cos();
        [(dx * cos + dy * sin) / self.radius, (dy * cos - dx * sin) / self.radius]
    }

    fn contains(&self, [u, v]: [f64; 2]) -> bool {
        let distance = u.hypot(v);
        distance <= 1.0
            && match self.class {
                0 => distance >= 0.6,
                1 => u.abs().min(v.abs()) <= 0.22,
                2 => distance <= 0.45 + 0.55 * (2.5 * v.atan2(u)).cos().abs(),
                _ => (u - 0.5).hypot(v) >= 0.8,
            }
    }

    /// Returns the pixels of the shape.
    fn pixels(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let range = |centre: f64| (centre - self.radius) as i64 - 1..=(centre + self.radius) as i64 + 1;
        range(self.centre[1])
            .flat_map(move |y| range(self.centre[0]).map(move |x| (x, y)))
            .filter(|&(x, y)| self.contains(self.position(x, y)))
    }

    /// Returns the smallest box around the pixels of the shape.
    fn bbox(&self) -> [f64; 4] {
        let empty = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
        self.pixels()
            .map(|(x, y)| [x as f64, y as f64])
            .fold(empty, |[x1, y1, x2, y2], [x, y]| [x1.min(x), y1.min(y), x2.max(x + 1.0), y2.max(y + 1.0)])
    }

    /// Blends the shape into an image in which it lies.
    fn fill(&self, image: &mut Image) {
        for (x, y) in self.pixels() {
            let stripe = (self.position(x, y)[0] * self.stripes).rem_euclid(2.0) as usize;
            let mut colour = image.pixel(x as usize, y as usize);
            for (value, stripe) in colour.iter_mut().zip(self.colours[stripe.min(1)]) {
                *value = (f64::from(*value) * (1.0 - self.opacity) + stripe * self.opacity) as u8;
            }
            image.set_pixel(x as usize, y as usize, colour);
        }
    }
}
