//! Calls of the C interface with arguments drawn from bytes: handles open, closed, of another kind and invented; pointers that
//! are NULL or misaligned; structs with arbitrary fields. Pointers that are neither lead to memory of the stated size, since the
//! library cannot check that.

use std::ffi::{CStr, CString, c_char};
use std::ptr::{null, null_mut, without_provenance_mut};
use std::sync::{Mutex, OnceLock, PoisonError};

use picodet_c::*;

/// Arguments drawn from bytes; zeros when they are used up.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let count = N.min(self.0.len());
        bytes[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        bytes
    }

    fn byte(&mut self) -> u8 {
        self.bytes::<1>()[0]
    }

    /// A number: often small or at a limit.
    fn number(&mut self) -> u64 {
        match self.byte() % 8 {
            0..3 => u64::from(self.byte()),
            3 => u64::from(u16::from_le_bytes(self.bytes())),
            4 => u64::from(u32::MAX) - u64::from(self.byte() % 3),
            5 => u64::MAX - u64::from(self.byte() % 3),
            6 => (u64::MAX >> 1) - 1 + u64::from(self.byte() % 3),
            _ => u64::from_le_bytes(self.bytes()),
        }
    }

    /// One of a few values, sometimes any.
    fn code(&mut self, values: &[i32]) -> i32 {
        let choice = usize::from(self.byte());
        if choice >= 240 { self.number() as i32 } else { values[choice % values.len()] }
    }

    fn float(&mut self) -> f32 {
        let choice = self.byte();
        if choice < 128 {
            f32::from(choice) / 127.0
        } else {
            f32::from_bits(u32::from_le_bytes(self.bytes()))
        }
    }
}

/// Memory for the places of results, aligned for all types.
#[repr(align(16))]
struct Place([u8; 8192]);

/// Handles that were open at some time, and images.
struct State {
    models: Vec<*mut Model>,
    detectors: Vec<*mut Detector>,
    results: Vec<*mut DetectionResult>,
    images: Vec<ImageView>,
    pixels: Vec<u8>,
    place: Box<Place>,
}

/// The bytes of a file of the model, of an image, and its path.
fn files() -> &'static (Vec<u8>, CString) {
    static FILES: OnceLock<(Vec<u8>, CString)> = OnceLock::new();
    FILES.get_or_init(|| {
        // From the crate, or from the folder of fuzz targets.
        let paths = [
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/calls/small.png"),
            concat!(env!("CARGO_MANIFEST_DIR"), "/../bindings/c/tests/calls/small.png"),
        ];
        let path = paths.into_iter().find(|path| std::path::Path::new(path).exists()).expect("the picture");
        (std::fs::read(path).expect("the picture"), CString::new(path).expect("no zero byte"))
    })
}

impl State {
    /// A handle: one of those that were opened, NULL, one of another kind, or an invented number.
    fn handle<H>(known: &[*mut H], others: &[usize], source: &mut Source<'_>) -> *mut H {
        let choice = usize::from(source.byte());
        match choice % 8 {
            0 => null_mut(),
            1 => without_provenance_mut(source.number() as usize),
            2 => without_provenance_mut(others.get(choice / 8 % others.len().max(1)).copied().unwrap_or(8)),
            _ => known.get(choice / 8 % known.len().max(1)).copied().unwrap_or(null_mut()),
        }
    }

    fn numbers(&self) -> Vec<usize> {
        let models = self.models.iter().map(|handle| handle.addr());
        let detectors = self.detectors.iter().map(|handle| handle.addr());
        models.chain(detectors).chain(self.results.iter().map(|handle| handle.addr())).collect()
    }

    fn model(&self, source: &mut Source<'_>) -> *mut Model {
        Self::handle(&self.models, &self.numbers(), source)
    }

    fn detector(&self, source: &mut Source<'_>) -> *mut Detector {
        Self::handle(&self.detectors, &self.numbers(), source)
    }

    fn result(&self, source: &mut Source<'_>) -> *mut DetectionResult {
        Self::handle(&self.results, &self.numbers(), source)
    }

    /// A place for a result: usually good, sometimes NULL or misaligned.
    fn out<T>(&mut self, source: &mut Source<'_>) -> *mut T {
        match source.byte() % 16 {
            0 => null_mut(),
            1 => self.place.0[1..].as_mut_ptr().cast(),
            _ => self.place.0.as_mut_ptr().cast(),
        }
    }

    /// An image: one of those that were decoded, or arbitrary fields over memory of the stated size.
    fn image(&self, source: &mut Source<'_>) -> ImageView {
        let choice = usize::from(source.byte());
        let known = self.images.get(choice / 4 % self.images.len().max(1)).copied();
        if let (Some(image), 0) = (known, choice % 4) {
            return image;
        }
        let start = usize::from(source.byte());
        let size = |source: &mut Source<'_>| 1 + source.number() as usize % (self.pixels.len() - start);
        // SAFETY of the call: all pointers lead to `pixels`, whose length is at least the size stated here.
        let pointer = |source: &mut Source<'_>| {
            if source.byte() < 100 { null() } else { self.pixels[start..].as_ptr() }
        };
        let owner =
            if source.byte() < 220 { null() } else { without_provenance_mut(source.number() as usize) };
        ImageView {
            data: pointer(source),
            size: size(source),
            width: source.number() as u32,
            height: source.number() as u32,
            stride: source.number() as usize,
            format: source.code(&[0, 1, 2, 3, 4, 5, 6, 7, 8]),
            orientation: source.code(&[0, 90, 180, 270]),
            range: source.code(&[0, 1]),
            reserved: source.code(&[0]) as u32,
            chroma: [pointer(source), if source.byte() < 200 { null() } else { pointer(source) }],
            chroma_size: size(source),
            chroma_stride: source.number() as usize,
            owner,
        }
    }

    /// Writes options with arbitrary fields into the place and returns them.
    fn options(&mut self, source: &mut Source<'_>) -> *const Options {
        let options = Options {
            struct_size: if source.byte() < 200 { size_of::<Options>() } else { source.number() as usize },
            score_threshold: source.float(),
            iou_threshold: source.float(),
            max_detections: source.number() as u32,
            threads: source.code(&[1, 1, 2]) as u32,
            input_width: source.code(&[32, 64, 0]) as u32,
            input_height: source.code(&[32, 64, 0]) as u32,
            precision: source.code(&[0, 1, 3]),
            reserved: source.code(&[0]) as u32,
            max_pixels: source.number(),
        };
        let place: *mut Options = self.out(source);
        if !place.is_null() && place.is_aligned() {
            // SAFETY: the place is aligned and has 8192 bytes, more than the library reads.
            unsafe { place.write(options) };
        }
        place
    }
}

/// A model and a detector that stay open between runs unless one closes them: opening them takes longer than all else.
#[derive(Clone, Copy)]
struct Kept {
    model: usize,
    detector: usize,
}

impl Kept {
    /// Opens the default model and a detector with a small input, so that most calls have something to work with.
    fn open() -> Self {
        let (mut model, mut detector) = (null_mut(), null_mut());
        // SAFETY: places and structs of this function.
        unsafe {
            assert_eq!(picodet_model_embedded(null(), &mut model), PICODET_OK);
            let mut options: Options = std::mem::zeroed();
            assert_eq!(picodet_options_init(&mut options, size_of::<Options>()), PICODET_OK);
            (options.input_width, options.input_height, options.score_threshold) = (32, 32, 0.01);
            assert_eq!(picodet_detector_new(model, &options, &mut detector), PICODET_OK);
        }
        Self { model: model.addr(), detector: detector.addr() }
    }

    fn model(self) -> *mut Model {
        without_provenance_mut(self.model)
    }

    fn detector(self) -> *mut Detector {
        without_provenance_mut(self.detector)
    }

    fn is_open(self) -> bool {
        // SAFETY: both places may be NULL.
        let status = unsafe { picodet_detector_input_size(self.detector(), null_mut(), null_mut()) };
        status == PICODET_OK && picodet_model_class_count(self.model()) > 0
    }
}

/// Runs the calls that the bytes describe, and checks what must hold after each.
pub(crate) fn run(bytes: &[u8]) {
    // The number of open handles is that of the process.
    static ONE_AT_A_TIME: Mutex<Option<Kept>> = Mutex::new(None);
    let mut kept = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let open = *kept.get_or_insert_with(Kept::open);
    let mut source = Source(bytes);
    let mut state = State {
        models: vec![open.model()],
        detectors: vec![open.detector()],
        results: vec![],
        images: vec![],
        pixels: (0..70_000u32).map(|index| (index * 7 / 5) as u8).collect(),
        place: Box::new(Place([0; 8192])),
    };
    while !source.0.is_empty() {
        call(&mut state, &mut source);
    }
    kept.take_if(|kept| !kept.is_open());
    let is_kept = |number: usize| kept.is_some_and(|kept| [kept.model, kept.detector].contains(&number));
    state.models.iter().filter(|model| !is_kept(model.addr())).for_each(|&model| {
        picodet_model_free(model);
    });
    state.detectors.iter().filter(|detector| !is_kept(detector.addr())).for_each(|&detector| {
        picodet_detector_free(detector);
    });
    state.results.iter().for_each(|&result| {
        picodet_result_free(result);
    });
    for image in &mut state.images {
        // SAFETY: a struct of this function.
        unsafe { picodet_image_free(image) };
    }
    let left = if kept.is_some() { 2 } else { 0 };
    assert_eq!(picodet_handle_count(), left, "every object can be closed");
}

fn call(state: &mut State, source: &mut Source<'_>) {
    let (picture, path) = files();
    let name = |source: &mut Source<'_>| match source.byte() % 4 {
        0 => null(),
        1 => c"/missing/file".as_ptr(),
        2 => c"\xff\xfe".as_ptr(),
        _ => path.as_ptr(),
    };
    // SAFETY: pointers that are neither NULL nor misaligned lead to memory of this function, as the header demands; handles may be
    // any number.
    let status = unsafe {
        match source.byte() % 24 {
            0 => {
                opened(state, source, |_, out| picodet_model_embedded(null(), out), |state| &mut state.models)
            }
            1 => {
                let size = source.number() as usize % (picture.len() + 1);
                let data = if source.byte() < 20 { null() } else { picture.as_ptr() };
                opened(
                    state,
                    source,
                    |_, out| picodet_model_from_bytes(data, size, out),
                    |state| &mut state.models,
                )
            }
            2 => {
                let file = name(source);
                opened(state, source, |_, out| picodet_model_open(file, out), |state| &mut state.models)
            }
            3 => {
                let options = if source.byte() < 20 { null() } else { state.options(source) };
                let model = state.model(source);
                let mut detector = null_mut();
                let status = picodet_detector_new(model, options, &mut detector);
                assert_eq!(status == PICODET_OK, !detector.is_null());
                state.detectors.push(detector);
                status
            }
            4..10 => {
                let (detector, image) = (state.detector(source), state.image(source));
                let image = if source.byte() < 10 { null() } else { &raw const image };
                opened(
                    state,
                    source,
                    |_, out| picodet_detect(detector, image, out),
                    |state| &mut state.results,
                )
            }
            10 => {
                let (detector, file) = (state.detector(source), name(source));
                opened(
                    state,
                    source,
                    |_, out| picodet_detect_file(detector, file, out),
                    |state| &mut state.results,
                )
            }
            11 | 12 => {
                let mut image = std::mem::zeroed();
                let status = if source.byte() < 128 {
                    picodet_image_open(name(source), source.number(), &mut image)
                } else {
                    let size = if source.byte() < 200 {
                        picture.len()
                    } else {
                        source.number() as usize % picture.len()
                    };
                    let data = if source.byte() < 20 { null() } else { picture.as_ptr() };
                    picodet_image_decode(data, size, source.number(), &mut image)
                };
                assert_eq!(status == PICODET_OK, !image.owner.is_null());
                state.images.push(image);
                status
            }
            13 => match state.images.pop() {
                Some(mut image) => picodet_image_free(&mut image),
                None => return,
            },
            14 => picodet_model_free(state.model(source)),
            15 => picodet_detector_free(state.detector(source)),
            16 => picodet_result_free(state.result(source)),
            17 => {
                let model = state.model(source);
                texts(&[
                    picodet_model_class_name(model, source.number() as usize % 100),
                    picodet_model_metadata(model, c"licence".as_ptr()),
                ]);
                let _ = picodet_model_category_id(model, source.number() as usize);
                let _ = picodet_model_class_count(model);
                picodet_model_input_size(model, state.out(source), state.out(source))
            }
            18 => picodet_detector_input_size(state.detector(source), state.out(source), state.out(source)),
            19 => picodet_result_times(state.result(source), state.out(source)),
            20 => picodet_result_image_size(state.result(source), state.out(source), state.out(source)),
            21 => {
                let result = state.result(source);
                let image = state.image(source);
                let file = if source.byte() < 50 { null() } else { c"/missing/file.png".as_ptr() };
                picodet_result_draw(result, &image, file)
            }
            22 => picodet_options_init(state.out(source), source.number() as usize % 64),
            _ => {
                read(state.result(source));
                return;
            }
        }
    };
    assert!((PICODET_OK..PICODET_ERROR_INTERNAL).contains(&status), "status {status}: {}", message());
    assert_eq!(status == PICODET_OK, message().is_empty(), "status {status}: {}", message());
}

/// Calls a function that opens an object, and keeps its handle.
fn opened<H>(
    state: &mut State,
    source: &mut Source<'_>,
    open: impl FnOnce(&mut State, *mut *mut H) -> Status,
    list: impl FnOnce(&mut State) -> &mut Vec<*mut H>,
) -> Status {
    let out: *mut *mut H = state.out(source);
    let status = open(state, out);
    if !out.is_null() && out.is_aligned() {
        // SAFETY: the place is aligned, and the library has written a handle or NULL into it.
        let handle = unsafe { out.read() };
        assert_eq!(status == PICODET_OK, !handle.is_null());
        list(state).push(handle);
    }
    status
}

/// Reads all of a result.
fn read(result: *const DetectionResult) {
    let (items, count) = (picodet_result_items(result), picodet_result_count(result));
    if items.is_null() {
        assert_eq!(count, 0);
        return;
    }
    // SAFETY: the result is open, since its items are not NULL.
    let items = unsafe { std::slice::from_raw_parts(items, count) };
    for item in items {
        assert!(item.score > 0.0 && item.score <= 1.0 && item.x1.is_finite() && item.y2.is_finite());
        texts(&[item.class_name]);
    }
    texts(&[picodet_result_json(result)]);
}

/// Reads texts to their ends.
fn texts(texts: &[*const c_char]) {
    for &text in texts.iter().filter(|text| !text.is_null()) {
        // SAFETY: a text of the library, whose object is open.
        let text = unsafe { CStr::from_ptr(text) };
        assert!(text.to_str().is_ok());
    }
}

fn message() -> String {
    // SAFETY: the message is a text of this thread until its next call.
    unsafe { CStr::from_ptr(picodet_last_error()) }.to_string_lossy().into_owned()
}
