//! Ways to read the four numbers of a box.

use std::fmt;

/// Sides of network inputs whose pixels may be the unit: those of usual detectors, and others in steps of 32.
const ODD_SIDES: [u16; 2] = [300, 1333];
const LEAST_SIDE: u16 = 224;
const GREATEST_SIDE: u16 = 2048;
const STEP: usize = 32;

/// The meaning of the four numbers of a box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Numbers {
    Size,
    Corners,
    Centre,
    RowFirstCorners,
    RowFirstSize,
}

/// The unit of these numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unit {
    Pixels,
    Fractions,
    /// Hundredths of the image's sides.
    Percent,
    /// Thousandths of the image's sides, as vision-language models write them.
    Thousandths,
    /// Pixels of a square input to which the image was resized.
    Stretched(u16),
    /// Pixels of a square input in whose centre the image was placed.
    Letterboxed(u16),
    /// Pixels of the image after its longer side was resized to this one.
    Longer(u16),
    /// Pixels of the image after its shorter side was resized to this one.
    Shorter(u16),
}

/// A way to read a box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reading {
    pub(super) numbers: Numbers,
    pub(super) unit: Unit,
}

pub(super) const COCO: Reading = Reading { numbers: Numbers::Size, unit: Unit::Pixels };

impl Reading {
    /// Whether its unit is one of many, of which one matches a few objects by chance.
    pub(super) fn is_one_of_many(self) -> bool {
        !matches!(self.unit, Unit::Pixels | Unit::Fractions)
    }

    /// The readings in pixels and fractions of the image, the simplest first.
    pub(super) fn simple() -> impl Iterator<Item = Self> {
        [Unit::Pixels, Unit::Fractions].into_iter().flat_map(Self::with_unit)
    }

    /// The readings in units of which there are many.
    pub(super) fn of_many() -> impl Iterator<Item = Self> {
        let inputs =
            |side| [Unit::Stretched(side), Unit::Letterboxed(side), Unit::Longer(side), Unit::Shorter(side)];
        let sides = (LEAST_SIDE..=GREATEST_SIDE).step_by(STEP).chain(ODD_SIDES);
        // A side first: thousandths must match more.
        let inputs = sides.flat_map(inputs).flat_map(|unit| Self::with_unit(unit).take(3));
        inputs.chain([Unit::Percent, Unit::Thousandths].into_iter().flat_map(Self::with_unit))
    }

    fn with_unit(unit: Unit) -> impl Iterator<Item = Self> {
        use Numbers::{Centre, Corners, RowFirstCorners, RowFirstSize, Size};
        [Size, Corners, Centre, RowFirstCorners, RowFirstSize]
            .into_iter()
            .map(move |numbers| Self { numbers, unit })
    }

    /// Returns `[left, top, width, height]` in pixels of an image with these sides.
    pub(super) fn read(self, [a, b, c, d]: [f64; 4], [width, height]: [f64; 2]) -> [f64; 4] {
        let [x, y, w, h] = match self.numbers {
            Numbers::Size => [a, b, c, d],
            Numbers::Corners => [a, b, c - a, d - b],
            Numbers::Centre => [a - c / 2.0, b - d / 2.0, c, d],
            Numbers::RowFirstCorners => [b, a, d - b, c - a],
            Numbers::RowFirstSize => [b, a, d, c],
        };
        let scaled = |sx: f64, sy: f64| [x * sx, y * sy, w * sx, h * sy];
        let evenly = |scale: f64| scaled(scale, scale);
        match self.unit {
            Unit::Pixels => [x, y, w, h],
            Unit::Fractions => scaled(width, height),
            Unit::Percent => scaled(width / 100.0, height / 100.0),
            Unit::Thousandths => scaled(width / 1000.0, height / 1000.0),
            Unit::Stretched(side) => scaled(width / f64::from(side), height / f64::from(side)),
            Unit::Letterboxed(side) => {
                let scale = width.max(height) / f64::from(side);
                let [x, y, w, h] = evenly(scale);
                let margin = |own: f64| (width.max(height) - own) / 2.0;
                [x - margin(width), y - margin(height), w, h]
            }
            Unit::Longer(side) => evenly(width.max(height) / f64::from(side)),
            Unit::Shorter(side) => evenly(width.min(height) / f64::from(side)),
        }
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.numbers {
            Numbers::Size => "[left, top, width, height]",
            Numbers::Corners => "[left, top, right, bottom]",
            Numbers::Centre => "[centre x, centre y, width, height]",
            Numbers::RowFirstCorners => "[top, left, bottom, right]",
            Numbers::RowFirstSize => "[top, left, height, width]",
        })?;
        match self.unit {
            Unit::Pixels => f.write_str(" in pixels of the image"),
            Unit::Fractions => f.write_str(" in fractions of the image's sides"),
            Unit::Percent => f.write_str(" in percent of the image's sides"),
            Unit::Thousandths => f.write_str(" in thousandths of the image's sides"),
            Unit::Stretched(side) => write!(f, " in pixels of an input of {side}×{side}"),
            Unit::Letterboxed(side) => write!(f, " in pixels of a letterboxed input of {side}×{side}"),
            Unit::Longer(side) => write!(f, " in pixels of the image resized to a longer side of {side}"),
            Unit::Shorter(side) => write!(f, " in pixels of the image resized to a shorter side of {side}"),
        }
    }
}
