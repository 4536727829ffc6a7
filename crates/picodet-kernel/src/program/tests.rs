//! Schedules that the check refuses, and runs of a small one on several threads.

use std::sync::Arc;

use picodet_graph::{Activation, DType};
use picodet_simd::Isa;

use super::operation::{Buffer, Elementwise, Operation, Step, Weights};
use super::{Arena, Image, Job, Program, Schedule, Spawn};
use crate::gemm::pack;
use crate::map::ChannelRange;

const SIZE: (usize, usize) = (6, 5);

fn step(operation: Operation, size: (usize, usize), out_size: (usize, usize)) -> Step {
    Step { scope: String::new(), operation, size, out_size, macs: 0 }
}

/// Imports an image, adds up its channels in a pointwise convolution, upsamples it and exports the result.
fn schedule(workers: usize) -> Schedule {
    let (pixels, out_size) = (SIZE.0 * SIZE.1, (2 * SIZE.0, 2 * SIZE.1));
    let lanes = Isa::PORTABLE.lanes();
    let buffers = vec![
        Buffer { stride: 16, dtype: DType::F32, cells: pixels, offset: 0 },
        Buffer { stride: 16, dtype: DType::F32, cells: 4 * pixels, offset: 16 * pixels },
    ];
    let zeros = 16 * 5 * pixels;
    let range = ChannelRange { source: 3, other: 0, destination: 0, len: 1 };
    let steps = vec![
        step(Operation::Import { to: 0, columns: vec![0, 1, 2] }, SIZE, SIZE),
        step(
            Operation::Pointwise {
                from: 0,
                ranges: vec![(0, 3)],
                weights: Weights::Constant(pack(3, 1, lanes, |_, _| 1.0)),
                bias: vec![0.5; lanes],
                columns: 1,
                residual: None,
                act: Some(Activation::Relu),
                to: 0,
                column: 3,
            },
            SIZE,
            SIZE,
        ),
        step(
            Operation::Elementwise {
                kind: Elementwise::Upsample,
                from: 0,
                other: None,
                to: 1,
                ranges: vec![range],
            },
            SIZE,
            out_size,
        ),
        step(Operation::Export { from: 1, columns: vec![0], output: 0, act: None }, out_size, out_size),
    ];
    let outputs = vec![("sum".to_owned(), [1, out_size.0, out_size.1])];
    Schedule {
        isa: Isa::PORTABLE,
        int8: Isa::PORTABLE.int8(),
        workers,
        buffers,
        steps,
        outputs,
        zeros,
        arena: zeros + 16,
    }
}

fn image(seed: usize) -> Vec<f32> {
    (0..3 * SIZE.0 * SIZE.1).map(|i| ((i + seed) % 7) as f32).collect()
}

fn expected(image: &[f32]) -> Vec<f32> {
    let plane = SIZE.0 * SIZE.1;
    let sum = |pixel: usize| image[pixel] + image[plane + pixel] + image[2 * plane + pixel] + 0.5;
    let width = 2 * SIZE.1;
    (0..4 * plane).map(|pixel| sum(pixel / width / 2 * SIZE.1 + pixel % width / 2)).collect()
}

/// Calls the job on one thread per worker.
fn threads(job: &Job, workers: usize) {
    std::thread::scope(|scope| {
        for worker in 1..workers {
            let job = Arc::clone(job);
            scope.spawn(move || job(worker));
        }
        job(0);
    });
}

#[test]
fn images_run_in_bands_and_side_by_side() {
    for workers in 1..=4 {
        let Ok(program) = Program::new(schedule(workers), SIZE) else { panic!("a sound schedule") };
        let program = Arc::new(program);
        let inputs: Vec<Vec<f32>> = (0..2 * workers).map(image).collect();
        let spawns: [Option<&Spawn>; 2] = [None, Some(&threads)];
        let spawns = if cfg!(target_family = "wasm") { &spawns[..1] } else { &spawns[..] };
        for &spawn in spawns {
            for in_bands in [true, false] {
                let mut outputs = vec![vec![0.0; 4 * SIZE.0 * SIZE.1]; inputs.len()];
                let mut images: Vec<Image<'_>> = inputs
                    .iter()
                    .zip(&mut outputs)
                    .map(|(input, output)| Image { input, outputs: vec![output.as_mut_slice()] })
                    .collect();
                if in_bands {
                    program.run_in_bands(&mut program.arena(), &mut images, true, spawn);
                } else {
                    let mut arenas: Vec<Arena> = (0..workers).map(|_| program.arena()).collect();
                    program.run_side_by_side(&mut arenas, &mut images, spawn);
                }
                for (input, output) in inputs.iter().zip(&outputs) {
                    assert_eq!(*output, expected(input), "{workers} workers, in bands: {in_bands}");
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "words of the arena")]
fn an_arena_of_another_program_is_refused() {
    let Ok(program) = Program::new(schedule(1), SIZE) else { panic!("a sound schedule") };
    let input = image(0);
    let mut images = [Image { input: &input, outputs: Vec::new() }];
    Arc::new(program).run_in_bands(&mut Arena::new(16), &mut images, false, None);
}

#[test]
fn unsound_schedules_are_refused() {
    type Change = fn(&mut Schedule);
    let cases: [(&str, Change); 14] = [
        ("a buffer that does not exist", |s| {
            s.steps[0].operation = Operation::Import { to: 9, columns: vec![0] }
        }),
        ("more planes than an image has", |s| {
            s.steps[0].operation = Operation::Import { to: 0, columns: vec![0, 1, 2, 3] };
        }),
        ("an access outside of its buffer", |s| {
            s.steps[0].operation = Operation::Import { to: 0, columns: vec![16] };
        }),
        ("another image size", |s| s.steps[0].size.0 = 7),
        ("an access outside of its buffer", |s| s.buffers[0].cells -= 1),
        ("a buffer outside of the arena", |s| s.buffers[1].offset += 16),
        ("a buffer outside of the arena", |s| s.buffers[1].offset = usize::MAX),
        ("no worker or no arena", |s| s.workers = 0),
        ("two buffers in the same memory", |s| s.buffers[1].offset -= 16),
        ("a map that should be f32", |s| s.buffers[0].dtype = DType::Bf16),
        ("an elementwise step of another size", |s| s.steps[2].out_size.1 += 1),
        ("channels outside of a map", |s| {
            if let Operation::Elementwise { ranges, .. } = &mut s.steps[2].operation {
                ranges[0].destination = 16;
            }
        }),
        ("a band that accesses what another one writes", |s| {
            if let Operation::Elementwise { to, .. } = &mut s.steps[2].operation {
                *to = 0;
            }
            s.buffers[0].cells *= 4;
            s.buffers[0].offset = 0;
            s.buffers.truncate(1);
            if let Operation::Elementwise { ranges, .. } = &mut s.steps[2].operation {
                ranges[0].destination = 3;
            }
        }),
        ("an output of another shape", |s| s.outputs[0].1[0] = 2),
    ];
    for (fault, change) in cases {
        let mut schedule = schedule(2);
        change(&mut schedule);
        let Err(error) = Program::new(schedule, SIZE) else { panic!("{fault} is accepted") };
        // The first faulty step is reported; types are checked before extents.
        let related =
            error.fault == fault || fault == "a map that should be f32" && error.fault.contains("f32");
        assert!(related, "{fault}: {error}");
    }
}
