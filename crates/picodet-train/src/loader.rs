//! Prepares batches on separate threads: decode, augment, resize, normalise.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use picodet_data::Dataset;
use picodet_image::{Image, Interpolation, Limits, decode, resize_f32};

use crate::augment::{Sample, Step};
use crate::random::{Purpose, Stream};
use crate::sampler::Sampler;
use picodet_graph::TensorView;

use crate::Truth;

/// The recipe of batches.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchRecipe {
    /// Augmentations of each image, in order.
    pub augmentation: Vec<Step>,
    /// First epoch without mosaics, counted from 0.
    pub mosaic_until: Option<usize>,
    /// Sizes (height, width) of the network input, one of which is drawn for each batch.
    pub sizes: Vec<(usize, usize)>,
    /// Interpolations of the resize, one of which is drawn for each batch.
    pub interpolations: Vec<Interpolation>,
    /// Mean of each channel, of values from 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of each channel.
    pub std: [f32; 3],
}

/// The images and objects of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The step, counted from 0.
    pub step: usize,
    /// `[n, 3, h, w]`.
    pub shape: [usize; 4],
    /// Normalised values, row-major.
    pub pixels: Vec<f32>,
    /// Objects of each image in pixels of the network input.
    pub truths: Vec<Truth>,
    /// Indices of the images in the dataset.
    pub images: Vec<usize>,
}

impl Batch {
    /// Returns the images, `[n, 3, h, w]`.
    ///
    /// # Panics
    /// When `pixels` is shorter than `shape` requires, which a loader rules out.
    pub fn view(&self) -> TensorView<'_> {
        match TensorView::channels_first(&self.pixels, self.shape) {
            Some(view) => view,
            None => panic!("a batch of shape {:?} has {} values", self.shape, self.pixels.len()),
        }
    }
}

/// An unusable image.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{path}: {problem}; `picodet check` lists everything of this kind")]
pub struct ImageProblem {
    /// The file.
    pub path: PathBuf,
    /// The error.
    pub problem: String,
}

/// Reads images, with a cache of decoded ones.
#[derive(Debug)]
struct Store {
    dataset: Arc<Dataset>,
    kept: Mutex<HashMap<usize, Arc<Image>>>,
    /// Free bytes of the cache.
    room: AtomicUsize,
}

impl Store {
    fn image(&self, index: usize, limits: &Limits) -> Result<Arc<Image>, ImageProblem> {
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = lock().get(&index) {
            return Ok(Arc::clone(image));
        }
        let path = self.dataset.image_path(index).unwrap_or_default();
        let problem = |problem: String| ImageProblem { path: path.clone(), problem };
        let bytes = self.dataset.read_image(index).map_err(|error| problem(error.to_string()))?;
        let image = decode(&bytes, limits).map_err(|error| problem(error.to_string()))?;
        let image = Arc::new(image);
        let take = |room: usize| room.checked_sub(image.data().len());
        if self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            lock().insert(index, Arc::clone(&image));
        }
        Ok(image)
    }

    /// Returns an image with its objects. Crowd regions and degenerate boxes are skipped.
    fn sample(&self, index: usize, limits: &Limits) -> Result<Sample, ImageProblem> {
        let image = self.image(index, limits)?;
        let mut truth = Truth::default();
        for object in self.dataset.images[index].objects.iter().filter(|object| !object.crowd) {
            // Boxes are in pixels of the picture in its file, of which a large one is decoded at a reduced size.
            let source = image.source_size();
            let (width, height) = (source.0 as f64, source.1 as f64);
            let [across, down] = [image.width() as f64 / width, image.height() as f64 / height];
            let [x1, y1, x2, y2] = object.bbox;
            let bbox = [x1.max(0.0), y1.max(0.0), x2.min(width), y2.min(height)];
            let bbox = [bbox[0] * across, bbox[1] * down, bbox[2] * across, bbox[3] * down];
            if object.is_finite() && bbox[2] - bbox[0] > 1e-5 && bbox[3] - bbox[1] > 1e-5 {
                truth.boxes.push(bbox);
                truth.classes.push(object.class);
            }
        }
        Ok(Sample { image: (*image).clone(), truth })
    }
}

/// Prepares the batch of any step.
#[derive(Clone, Debug)]
pub struct Batches {
    store: Arc<Store>,
    sampler: Sampler,
    recipe: BatchRecipe,
    /// Rank of this process and number of processes.
    shard: (usize, usize),
    limits: Limits,
}

impl Batches {
    /// Returns the batches of a dataset, with a cache of `cache` bytes of decoded images.
    pub fn new(dataset: Arc<Dataset>, sampler: Sampler, recipe: BatchRecipe, cache: usize) -> Self {
        let store = Store { dataset, kept: Mutex::default(), room: AtomicUsize::new(cache) };
        Self { store: Arc::new(store), sampler, recipe, shard: (0, 1), limits: Limits::default() }
    }

    /// Restricts every batch to the shard of rank `rank` of `of` processes.
    #[must_use]
    pub fn with_shard(mut self, rank: usize, of: usize) -> Self {
        self.shard = (rank, of.max(1));
        self
    }

    /// Sets the limits on the images that are decoded.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Changes the recipe of the batches that are prepared from now on.
    pub fn set_recipe(&mut self, recipe: BatchRecipe) {
        self.recipe = recipe;
    }

    /// Returns the sampler.
    pub fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// Prepares the batch of a step, always the same one for the same seed.
    ///
    /// # Errors
    /// If an image cannot be read.
    pub fn make(&self, step: usize) -> Result<Batch, ImageProblem> {
        let whole = self.sampler.batch_of(step);
        let (rank, of) = self.shard;
        let from = whole.len() * rank / of;
        let images = whole[from..whole.len() * (rank + 1) / of].to_vec();
        let mut stream = Stream::new(self.sampler.seed, Purpose::Batch, step as u64, 0);
        let size = self.recipe.sizes[stream.index(self.recipe.sizes.len())];
        let interpolation = self.recipe.interpolations[stream.index(self.recipe.interpolations.len())];
        let plane = size.0 * size.1;
        let mut pixels = vec![0.0; images.len() * 3 * plane];
        let mut truths = Vec::with_capacity(images.len());
        for (number, &image) in images.iter().enumerate() {
            let sample = self.augmented(image, step, from + number)?;
            let planes = &mut pixels[number * 3 * plane..][..3 * plane];
            truths.push(into_input(sample, size, interpolation, &self.recipe, planes));
        }
        Ok(Batch { step, shape: [images.len(), 3, size.0, size.1], pixels, truths, images })
    }

    fn augmented(&self, image: usize, step: usize, place: usize) -> Result<Sample, ImageProblem> {
        let mut stream = Stream::new(self.sampler.seed, Purpose::Image, step as u64, place as u64);
        let mut sample = self.store.sample(image, &self.limits)?;
        let (epoch, _) = self.sampler.place(step);
        let no_mosaics = self.recipe.mosaic_until.is_some_and(|until| epoch >= until);
        for augmentation in &self.recipe.augmentation {
            if no_mosaics && matches!(augmentation, Step::Mosaic(_)) {
                continue;
            }
            // An unreadable other image is reported in its own batch.
            let mut others =
                |stream: &mut Stream| self.store.sample(stream.index(self.sampler.images), &self.limits).ok();
            sample = augmentation.apply(sample, &mut stream, &mut others);
        }
        Ok(sample)
    }

    /// Starts to prepare the batches `first..last` on `threads` threads, each up to `ahead` batches in advance.
    pub fn start(&self, first: usize, last: usize, threads: usize, ahead: usize) -> Loader {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = threads.max(1);
        let mut workers = Vec::with_capacity(threads);
        let mut handles = Vec::with_capacity(threads);
        for worker in 0..threads {
            let (sender, receiver) = sync_channel(ahead.max(1));
            let (batches, stop) = (self.clone(), Arc::clone(&stop));
            handles.push(std::thread::spawn(move || {
                for step in (first + worker..last).step_by(threads) {
                    let batch = batches.make(step);
                    let failed = batch.is_err();
                    if stop.load(Ordering::Relaxed) || sender.send(batch).is_err() || failed {
                        return;
                    }
                }
            }));
            workers.push(receiver);
        }
        Loader { workers, next: 0, stop, handles }
    }
}

/// Writes a sample to the network input `planes` (`[3, h, w]`), and returns its objects in pixels of the input.
fn into_input(
    sample: Sample,
    (height, width): (usize, usize),
    interpolation: Interpolation,
    recipe: &BatchRecipe,
    planes: &mut [f32],
) -> Truth {
    let Sample { image, mut truth } = sample;
    let floats: Vec<f32> = image.data().iter().map(|&byte| f32::from(byte)).collect();
    let resized = resize_f32(&floats, (image.height(), image.width()), 3, (height, width), interpolation);
    let plane = height * width;
    for channel in 0..3 {
        let (mean, scale) = (recipe.mean[channel], 1.0 / recipe.std[channel]);
        for (value, pixel) in planes[channel * plane..][..plane].iter_mut().zip(resized.as_chunks::<3>().0) {
            *value = (pixel[channel] * (1.0 / 255.0) - mean) * scale;
        }
    }
    let by = [width as f64 / image.width() as f64, height as f64 / image.height() as f64];
    for bbox in &mut truth.boxes {
        for (side, value) in bbox.iter_mut().enumerate() {
            *value = (*value * by[side % 2]).clamp(0.0, [width, height][side % 2] as f64);
        }
    }
    truth
}

/// Batches in preparation.
#[derive(Debug)]
pub struct Loader {
    workers: Vec<Receiver<Result<Batch, ImageProblem>>>,
    next: usize,
    stop: Arc<AtomicBool>,
    handles: Vec<std::thread::JoinHandle<()>>,
}

impl Iterator for Loader {
    type Item = Result<Batch, ImageProblem>;

    /// Returns the next batch in the order of steps; `None` after the last.
    fn next(&mut self) -> Option<Self::Item> {
        let worker = self.next % self.workers.len();
        self.next += 1;
        self.workers[worker].recv().ok()
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.workers.clear();
        for handle in self.handles.drain(..) {
            let _ = handle.join();
        }
    }
}

/// Returns a digest of the files, classes and boxes of a dataset. A run is resumed only with the same digest.
pub fn data_digest(dataset: &Dataset) -> String {
    const CHECKSUM: crc::Crc<u64> = crc::Crc::<u64>::new(&crc::CRC_64_XZ);
    let mut digest = CHECKSUM.digest();
    for class in &dataset.classes {
        digest.update(class.name.as_bytes());
        digest.update(&[0]);
    }
    for image in &dataset.images {
        digest.update(image.file.as_bytes());
        digest.update(&[0]);
        for object in image.objects.iter().filter(|object| !object.crowd) {
            digest.update(&(object.class as u64).to_le_bytes());
            object.bbox.iter().for_each(|side| digest.update(&side.to_bits().to_le_bytes()));
        }
    }
    format!("{:016x}", digest.finalize())
}
