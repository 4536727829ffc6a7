//! Runs a checked program on one or several threads.

use std::sync::Arc;

use super::arena::Arena;
use super::band::Memory;
use super::execute::run_band;
use super::operation::{Operation, Step};
use super::queue::StepQueue;
use super::schedule::Schedule;
use super::verify::{ProgramError, verify};

/// A function of the number of a worker, to be called on several threads at once.
pub type Job = Arc<dyn Fn(usize) + Send + Sync>;

/// Calls a job for each worker, 0 on the calling thread.
pub type Spawn = dyn Fn(&Job, usize);

/// One image of a run.
#[derive(Debug)]
pub struct Image<'a> {
    /// `[3, height, width]`.
    pub input: &'a [f32],
    /// One `[c, h, w]` per output of the schedule, or none if outputs are read from the arena.
    pub outputs: Vec<&'a mut [f32]>,
}

/// A [`Schedule`] whose accesses have been checked.
#[derive(Clone, Debug)]
pub struct Program {
    schedule: Schedule,
    input_size: (usize, usize),
}

impl Program {
    /// Checks a schedule for an image `[3, height, width]`.
    ///
    /// # Errors
    /// Names the first step with an access outside of its buffer, or with one that conflicts with another
    /// band's.
    pub fn new(schedule: Schedule, input_size: (usize, usize)) -> Result<Self, ProgramError> {
        verify(&schedule, input_size)?;
        Ok(Self { schedule, input_size })
    }

    /// Returns the schedule.
    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Returns a new arena for this program.
    #[must_use]
    pub fn arena(&self) -> Arena {
        Arena::new(self.schedule.arena)
    }

    /// Runs images one after the other, the bands of each step shared among the workers. Outputs are exported
    /// if `export`; else they stay in the arena.
    ///
    /// `spawn(job, workers)` calls `job(0)` on this thread and `job(1)` to `job(workers - 1)`, or fewer of
    /// them, on others; without it all is done on this thread.
    ///
    /// # Panics
    /// If arena, image or outputs do not have the length given by the schedule, or a worker panics.
    pub fn run_in_bands(
        self: &Arc<Self>,
        arena: &mut Arena,
        images: &mut [Image<'_>],
        export: bool,
        spawn: Option<&Spawn>,
    ) {
        let pointer = self.pointer(arena);
        let memories: Vec<Memory> =
            images.iter_mut().map(|image| self.memory(pointer, image, export)).collect();
        let steps = self.schedule.steps.len();
        let program = Arc::clone(self);
        let work = move |index: usize, band: usize| {
            let step = &program.schedule.steps[index % steps];
            if export || !matches!(step.operation, Operation::Export { .. }) {
                // SAFETY: `pointer` and `memory` have checked arena, image and outputs, which stay borrowed
                // until `share_out` returns; the queue calls each band of a step once and after all of the
                // step before.
                unsafe { run_band(&program.schedule, step, &memories[index / steps], band) }
            }
        };
        self.share_out(steps * images.len(), spawn, work);
    }

    /// Runs `images`, a multiple of the number of workers, one per worker at a time, each on another arena.
    ///
    /// # Panics
    /// As [`Program::run_in_bands`]; also if the number of arenas is not the number of workers.
    pub fn run_side_by_side(
        self: &Arc<Self>,
        arenas: &mut [Arena],
        images: &mut [Image<'_>],
        spawn: Option<&Spawn>,
    ) {
        let workers = self.schedule.workers;
        assert!(
            arenas.len() == workers && images.len().is_multiple_of(workers),
            "one image and arena per worker"
        );
        let pointers: Vec<*mut f32> = arenas.iter_mut().map(|arena| self.pointer(arena)).collect();
        let memories: Vec<Memory> = images
            .iter_mut()
            .enumerate()
            .map(|(n, image)| self.memory(pointers[n % workers], image, true))
            .collect();
        let program = Arc::clone(self);
        let work = move |index: usize, worker: usize| {
            for step in &program.schedule.steps {
                for band in 0..workers {
                    // SAFETY: `pointer` and `memory` have checked arena, image and outputs, which stay
                    // borrowed until `share_out` returns. Images of one arena have different indices of the
                    // queue, which run one after the other, and here bands and steps do.
                    unsafe { run_band(&program.schedule, step, &memories[index * workers + worker], band) }
                }
            }
        };
        self.share_out(images.len() / workers, spawn, work);
    }

    /// Runs one image on this thread; `around(step, run)` calls `run` for each step, and may measure it.
    ///
    /// # Panics
    /// As [`Program::run_in_bands`].
    pub fn run_steps(
        &self,
        arena: &mut Arena,
        image: &mut Image<'_>,
        mut around: impl FnMut(usize, &mut dyn FnMut()),
    ) {
        let memory = self.memory(self.pointer(arena), image, true);
        let run = |step: &Step| {
            for band in 0..self.schedule.workers {
                // SAFETY: `pointer` and `memory` have checked arena, image and outputs, which are borrowed;
                // steps and bands run one after the other.
                unsafe { run_band(&self.schedule, step, &memory, band) }
            }
        };
        for (index, step) in self.schedule.steps.iter().enumerate() {
            around(index, &mut || run(step));
        }
    }

    /// Returns the address of an arena, whose length it checks.
    fn pointer(&self, arena: &mut Arena) -> *mut f32 {
        assert_eq!(arena.words().len(), self.schedule.arena, "words of the arena");
        arena.pointer()
    }

    /// Returns the memory of an image, whose lengths it checks; `pointer` is the arena's.
    fn memory(&self, pointer: *mut f32, image: &mut Image<'_>, export: bool) -> Memory {
        assert_eq!(image.input.len(), 3 * self.input_size.0 * self.input_size.1, "elements of the image");
        let lengths = self.schedule.outputs.iter().map(|(_, shape)| shape.iter().product::<usize>());
        let complete = lengths.eq(image.outputs.iter().map(|output| output.len()));
        assert!(complete || !export, "elements of the outputs");
        Memory {
            arena: pointer,
            image: image.input.as_ptr(),
            outputs: image.outputs.iter_mut().map(|output| output.as_mut_ptr()).collect(),
        }
    }

    /// Calls `work(step, band)` for all `steps` and the bands of all workers, each once and in the order of
    /// the steps. Returns, or unwinds, only when no thread is inside `work`, and none will be.
    fn share_out(
        &self,
        steps: usize,
        spawn: Option<&Spawn>,
        work: impl Fn(usize, usize) + Send + Sync + 'static,
    ) {
        let workers = self.schedule.workers;
        let queue = Arc::new(StepQueue::new(workers, steps));
        let Some(spawn) = spawn else {
            queue.work(0, work);
            return;
        };
        let finish = JoinOnDrop(Arc::clone(&queue));
        let job: Job = Arc::new(move |worker| queue.work(worker, &work));
        spawn(&job, workers);
        // In case `spawn` has not called the job on this thread.
        job(0);
        if !finish.0.finish() {
            std::panic::resume_unwind(Box::new("a worker of the inference has panicked"));
        }
    }
}

/// Waits for all workers before the memory they use is freed, also when unwinding.
struct JoinOnDrop(Arc<StepQueue>);

impl Drop for JoinOnDrop {
    fn drop(&mut self) {
        self.0.finish();
    }
}
