//! A network prepared by the CPU engine, and its inferences.

use std::sync::Arc;
use std::time::Instant;

use picodet_graph::Tensor4;
use picodet_kernel::program::{Arena, Image, Program, Spawn};

use super::outputs::{self, Outputs};
use super::threads::{HelperPolicy, IN_BROWSER, run_on_helpers};
use crate::{BufferPool, Lease, Plan, RunError};

/// A network prepared by [`CpuEngine`](super::CpuEngine): a checked program with its packed weights, which never change.
///
/// Clones share all of it; each running inference leases its own arena.
#[derive(Clone, Debug)]
pub struct CpuPlan {
    pub(super) program: Arc<Program>,
    input_size: (usize, usize),
    arenas: Arc<BufferPool<Arena>>,
    policy: Arc<HelperPolicy>,
    /// Whether every output has a [`TensorView`](picodet_graph::TensorView) inside the arena.
    in_place: bool,
}

impl Plan for CpuPlan {
    fn input_size(&self) -> (usize, usize) {
        self.input_size
    }

    fn run(&self, image: &Tensor4) -> Result<Vec<(String, Tensor4)>, RunError> {
        let mut outputs = self.outputs(image)?;
        let workers = self.program.schedule().workers;
        // As many images at a time as there are workers, each on one worker; the remaining ones in bands.
        let whole = if workers > 1 { image.shape[0] / workers * workers } else { 0 };
        let mut arenas = self.arenas(if whole > 0 { workers } else { 1 });
        let mut images = images(image, &mut outputs);
        if whole > 0 {
            self.program.run_side_by_side(&mut arenas, &mut images[..whole], Some(&run_on_helpers));
        }
        if images.len() > whole {
            self.run_in_bands(&mut arenas[0], &mut images[whole..], true);
        }
        Ok(outputs)
    }

    fn run_in_place(&self, image: &Tensor4) -> Result<Option<Outputs<'_>>, RunError> {
        self.check(image)?;
        if image.shape[0] != 1 || !self.in_place {
            return Ok(None);
        }
        let mut arenas = self.arenas(1);
        let mut images = [Image { input: &image.data, outputs: Vec::new() }];
        self.run_in_bands(&mut arenas[0], &mut images, false);
        Ok(Some(Outputs::new(self.program.schedule(), arenas)))
    }
}

impl CpuPlan {
    pub(super) fn new(program: Program, input_size: (usize, usize)) -> Self {
        Self {
            in_place: outputs::are_views(program.schedule()),
            program: Arc::new(program),
            input_size,
            arenas: Arc::default(),
            policy: Arc::default(),
        }
    }

    /// Returns the schedule as text, one step per line.
    pub fn describe(&self) -> String {
        self.program.schedule().to_string()
    }

    /// Returns the size in bytes of an arena, which holds all maps of one inference. The number of arenas is
    /// the largest number of inferences at the same time; [`Plan::run`] of a batch uses one per thread.
    pub fn arena_bytes(&self) -> usize {
        self.program.schedule().arena * size_of::<f32>()
    }

    /// Returns the number of multiply-accumulates of one image.
    pub fn macs(&self) -> u64 {
        self.program.schedule().steps.iter().map(|step| step.macs).sum()
    }

    /// Leases arenas.
    pub(super) fn arenas(&self, count: usize) -> Lease<'_, Arena> {
        self.arenas.lease(count, || self.program.arena())
    }

    /// Runs images one after the other, their steps divided among the workers; without `export`, outputs stay in the
    /// arena.
    fn run_in_bands(&self, arena: &mut Arena, images: &mut [Image<'_>], export: bool) {
        let workers = self.program.schedule().workers;
        // Without a clock the times cannot be compared.
        let start = (!IN_BROWSER && workers > 1 && images.len() == 1).then(Instant::now);
        let helped = workers > 1 && (IN_BROWSER || self.policy.use_helpers());
        let spawn: Option<&Spawn> = if helped { Some(&run_on_helpers) } else { None };
        self.program.run_in_bands(arena, images, export, spawn);
        if let Some(start) = start {
            self.policy.record(helped, start.elapsed().as_secs_f64());
        }
    }

    fn check(&self, image: &Tensor4) -> Result<(), RunError> {
        let [batch, channels, height, width] = image.shape;
        let complete = image.data.len() == image.shape.iter().product::<usize>();
        if channels != 3 || (height, width) != self.input_size || !complete || batch == 0 {
            return Err(RunError::Shape { found: image.shape, size: self.input_size });
        }
        Ok(())
    }

    /// Checks a batch and returns its outputs, filled with zeros.
    pub(super) fn outputs(&self, image: &Tensor4) -> Result<Vec<(String, Tensor4)>, RunError> {
        self.check(image)?;
        let batch = image.shape[0];
        let outputs = self.program.schedule().outputs.iter();
        let zeros = |&[c, h, w]: &[usize; 3]| Tensor4::zeros([batch, c, h, w]);
        Ok(outputs.map(|(name, shape)| (name.clone(), zeros(shape))).collect())
    }
}

/// Returns the images of a checked batch with their parts of the outputs.
pub(super) fn images<'a>(batch: &'a Tensor4, outputs: &'a mut [(String, Tensor4)]) -> Vec<Image<'a>> {
    let len = batch.data.len() / batch.shape[0];
    let images = batch.data.chunks(len).map(|input| Image { input, outputs: Vec::new() });
    let mut images: Vec<Image<'_>> = images.collect();
    for (_, output) in outputs {
        let len = output.shape[1] * output.plane();
        for (image, output) in images.iter_mut().zip(output.data.chunks_mut(len)) {
            image.outputs.push(output);
        }
    }
    images
}

#[cfg(test)]
mod tests {
    use picodet_graph::Weights;

    use super::*;
    use crate::CpuEngine;

    fn plan(threads: usize) -> CpuPlan {
        let variant = picodet_zoo::variant("v2_xs_320").expect("a published network");
        let graph = variant.architecture.graph(3);
        let mut noise = picodet_testing::Noise::new(9);
        let mut value = || noise.uniform(0.2, 0.45);
        let tensor = |shape: &[usize]| picodet_graph::Tensor {
            shape: shape.to_vec(),
            data: (0..shape.iter().product()).map(|_| value()).collect(),
        };
        let mut tensor = tensor;
        let weights: Weights =
            graph.params.iter().map(|param| (param.name.clone(), tensor(&param.shape))).collect();
        CpuEngine::new().with_threads(threads).prepare(&graph, &weights, (32, 64)).expect("a sound network")
    }

    #[test]
    fn clones_share_the_packed_weights() {
        let plan = plan(1);
        let clone = plan.clone();
        assert!(Arc::ptr_eq(&plan.program, &clone.program) && Arc::ptr_eq(&plan.arenas, &clone.arenas));
    }

    #[test]
    #[cfg_attr(target_family = "wasm", ignore = "WebAssembly has no threads here")]
    fn concurrent_runs_of_one_plan_give_the_same_bits() {
        for threads in [1, 2] {
            let plan = plan(threads);
            let image = |seed: usize| Tensor4 {
                shape: [1, 3, 32, 64],
                data: (0..3 * 32 * 64).map(|i| ((i * 37 + seed * 11) % 255) as f32 / 255.0).collect(),
            };
            let expected: Vec<_> =
                (0..4).map(|seed| plan.run(&image(seed)).expect("the image fits")).collect();
            std::thread::scope(|scope| {
                for (seed, expected) in expected.iter().enumerate() {
                    let (plan, image) = (plan.clone(), image(seed));
                    scope.spawn(move || {
                        for _ in 0..5 {
                            assert_eq!(&plan.run(&image).expect("the image fits"), expected);
                        }
                    });
                }
            });
        }
    }
}
