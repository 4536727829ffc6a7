//! A detector with the buffers through which JavaScript exchanges data with it.

use picodet::{ChannelOrder, Detections, Detector, Model, Pixels};
use serde::Serialize;

use crate::request::{CreateOptions, Failure};

/// What JavaScript learns about a detector.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Description<'a> {
    classes: Vec<&'a str>,
    category_ids: &'a [u32],
    /// Height and width.
    input_size: (usize, usize),
    version: &'a str,
}

/// A detector, once it is created, and the buffers of the calls.
#[derive(Debug, Default)]
pub struct Session {
    detector: Option<Detector>,
    /// Bytes from JavaScript.
    pub(crate) input: Vec<u8>,
    /// The pixels of the last call, red, green and blue.
    rgb: Vec<u8>,
    /// Bytes for JavaScript: JSON, or detections of six `f32` values.
    pub(crate) output: Vec<u8>,
}

impl Session {
    /// Returns a session without a detector.
    #[must_use]
    pub const fn new() -> Self {
        Self { detector: None, input: Vec::new(), rgb: Vec::new(), output: Vec::new() }
    }

    /// Creates the detector: the input holds `options` bytes of JSON and then the model file. The output becomes the
    /// description of the detector.
    ///
    /// # Errors
    /// When the options or the model are invalid.
    pub fn create(&mut self, options: usize) -> Result<(), Failure> {
        self.detector = None;
        let input = std::mem::take(&mut self.input);
        let (options, model) = input.split_at(options.min(input.len()));
        // Model files are read from text too: a second parser, of bytes, would make the module larger.
        let options: CreateOptions = serde_json::from_str(&String::from_utf8_lossy(options))?;
        let model = Model::integers_from_bytes(model).map_err(picodet::Error::from)?;
        let detector = Detector::new(&model, &options.to_options())?;
        self.output = serde_json::to_vec(&Description {
            classes: detector.classes().iter().map(|class| &**class).collect(),
            category_ids: detector.category_ids(),
            input_size: detector.input_size(),
            version: env!("CARGO_PKG_VERSION"),
        })?;
        self.detector = Some(detector);
        Ok(())
    }

    /// Detects in the image file in the input. The output becomes six `f32` values per object: left, top, right and bottom
    /// in pixels, score, class.
    ///
    /// # Errors
    /// When the file is not an image, or there is no detector.
    pub fn detect_file(&mut self) -> Result<(), Failure> {
        let detector = self.detector.as_ref().ok_or(Failure::NoModel)?;
        let found = detector.detect(self.input.as_slice())?;
        self.write(&found);
        Ok(())
    }

    /// Detects in the pixels in the input, `[height, width, 4]` with red first, whose last channel is ignored. The output is
    /// that of [`Session::detect_file`].
    ///
    /// # Errors
    /// When the input is not of this size, or there is no detector.
    pub fn detect_pixels(&mut self, width: u32, height: u32) -> Result<(), Failure> {
        let detector = self.detector.as_ref().ok_or(Failure::NoModel)?;
        let (width, height) = (u64::from(width), u64::from(height));
        if width == 0 || height == 0 {
            return Err(Failure::Empty { width, height });
        }
        let size = Failure::Size { width, height, bytes: self.input.len() };
        if (width * height).checked_mul(4) != Some(self.input.len() as u64) {
            return Err(size);
        }
        let (pixels, _) = self.input.as_chunks::<4>();
        // The memory of the last call: pictures of a video are of one size.
        self.rgb.resize(3 * pixels.len(), 0);
        for (to, &[red, green, blue, _]) in self.rgb.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
            *to = [red, green, blue];
        }
        let image = Pixels::new(width as usize, height as usize, &self.rgb, ChannelOrder::Rgb).ok_or(size)?;
        let found = detector.detect(image)?;
        self.write(&found);
        Ok(())
    }

    fn write(&mut self, found: &Detections) {
        self.output.clear();
        for found in found {
            let [x1, y1, x2, y2] = found.bbox.xyxy();
            for value in [x1, y1, x2, y2, found.score, found.class as f32] {
                self.output.extend_from_slice(&value.to_le_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &[u8] = include_bytes!("../../../examples/page.png");

    fn model() -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/picodet/models");
        std::fs::read(format!("{folder}/layout_cdla.safetensors")).expect("the embedded model")
    }

    fn session(options: &str) -> Result<Session, Failure> {
        let mut session = Session::new();
        session.input = [options.as_bytes(), &model()].concat();
        session.create(options.len())?;
        Ok(session)
    }

    #[test]
    fn files_and_pixels_give_the_boxes_of_the_library() {
        let mut session = session(r#"{"score":0.4}"#).expect("a detector");
        assert!(String::from_utf8_lossy(&session.output).contains(r#""categoryIds":["#));
        let model = Model::from_bytes(&model()).expect("a model");
        let options = picodet::Options::new().with_score_threshold(0.4);
        let expected = Detector::new(&model, &options).and_then(|it| it.detect(PAGE)).expect("detections");
        session.input = PAGE.to_vec();
        session.detect_file().expect("detections");
        let from_file = session.output.clone();
        assert_eq!(from_file.len(), expected.len() * 24);
        let first = f32::from_le_bytes([from_file[0], from_file[1], from_file[2], from_file[3]]);
        assert_eq!(first, expected.iter().next().expect("an object").bbox.xyxy()[0]);

        let image = picodet::Input::from(PAGE).read().expect("an image").into_owned();
        session.input = image.data().chunks_exact(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 255]).collect();
        session.detect_pixels(image.width() as u32, image.height() as u32).expect("detections");
        assert_eq!(session.output, from_file);
    }

    #[test]
    fn bad_calls_are_errors() {
        let code = |result: Result<Session, Failure>| result.expect_err("an error").code();
        assert_eq!(code(session("{")), "option");
        assert_eq!(code(session(r#"{"scores":0.4}"#)), "option");
        assert_eq!(code(session(r#"{"score":4}"#)), "option");
        let mut empty = Session::new();
        empty.input = b"{}<!doctype html>".to_vec();
        assert_eq!(empty.create(2).expect_err("an error").code(), "model");
        assert_eq!(empty.detect_file().expect_err("an error").code(), "model");
        let mut session = session("{}").expect("a detector");
        session.input = vec![0; 16];
        assert_eq!(session.detect_pixels(0, 4).expect_err("an error").code(), "image");
        assert_eq!(session.detect_pixels(2, 4).expect_err("an error").code(), "image");
        assert_eq!(session.detect_pixels(u32::MAX, u32::MAX).expect_err("an error").code(), "image");
        assert_eq!(session.detect_file().expect_err("an error").code(), "unsupported");
        session.detect_pixels(2, 2).expect("a detection in a tiny image");
    }
}
