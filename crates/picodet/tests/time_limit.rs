//! A run with a time limit: its length is planned, its schedule ends in time, and it resumes bitwise.

mod shapes;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use picodet::crates::train::clock::Clock;
use picodet::crates::train::journal::{Record, StepRecord, read};
use picodet::crates::train::plan::TimePlan;
use picodet::crates::train::state::State;
use picodet::crates::train::{Ending, Event, RunFolder, RunOptions};
use picodet::train::Trainer;
use shapes::{request, shapes, short};

/// Images of the dataset and of a batch, hence two steps per epoch.
const IMAGES: [usize; 2] = [8, 4];
const EPOCHS: usize = 100;
const LIMIT: Duration = Duration::from_secs(20);

/// A clock that advances by a tenth of a second whenever it is read.
#[derive(Debug, Default)]
struct Ticks(AtomicU32);

impl Clock for Ticks {
    fn now(&self) -> Duration {
        Duration::from_millis(100) * self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Returns a new run of many epochs in a folder, with its options.
fn start(data: &Path, folder: &Path, clock: Arc<dyn Clock>) -> (Trainer, RunOptions) {
    let trainer = Trainer::new(request(data, short("v2_xs_320", EPOCHS, 64), IMAGES[1])).expect("a run");
    trainer.make_folder(folder).expect("a folder");
    let options = RunOptions { evaluate_every: 5, time_limit: Some(LIMIT), clock, ..RunOptions::new(folder) };
    (trainer, options)
}

fn steps(folder: &Path) -> Vec<StepRecord> {
    let text = std::fs::read_to_string(folder.join(RunFolder::JOURNAL)).expect("a journal");
    let step = |record| match record {
        Record::Step(record) => Some(record),
        Record::Epoch(_) => None,
    };
    read(&text).into_iter().filter_map(step).collect()
}

/// Returns the state of a checkpoint without the clock.
fn state_of(folder: &Path) -> Vec<u8> {
    let mut state = State::read(&folder.join(RunFolder::CHECKPOINT)).expect("a checkpoint");
    state.progress.seconds = 0.0;
    state.to_bytes()
}

#[test]
fn a_run_is_shortened_to_its_time_limit_and_resumes_bitwise() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), IMAGES[0]);
    let whole = folder.path().join("whole");
    let clock = Arc::new(Ticks::default());
    let (mut trainer, options) = start(&data, &whole, Arc::<Ticks>::clone(&clock));
    let mut plans: Vec<TimePlan> = Vec::new();
    let ending = trainer.run(&options, "cpu", &mut |event| {
        if let Event::Planned(plan) = event {
            plans.push(**plan);
        }
    });
    assert_eq!(ending.expect("a run to the end"), Ending::Finished);
    let [plan] = plans[..] else { panic!("{} plans", plans.len()) };
    assert_eq!(trainer.state.progress.plan, Some(plan));
    assert!(plan.steps < plan.of_steps && plan.of_steps == 2 * EPOCHS, "{plan:?}");
    let taken = trainer.state.progress.seconds;
    let limit = LIMIT.as_secs_f64();
    assert!((0.8 * limit..limit).contains(&taken), "{taken} s of {limit} s, {plan:?}");

    // The learning rate falls to the end of the schedule, and the last step is evaluated.
    let records = steps(&whole);
    assert_eq!(records.len(), plan.steps);
    let [first, last] = [&records[0], &records[plan.steps - 1]];
    let highest = records.iter().map(|record| record.rate).fold(0.0, f64::max);
    assert!(first.of_steps == plan.of_steps && last.of_steps == plan.steps, "{first:?} {last:?}");
    assert!(last.rate < 0.05 * highest, "ends at a rate of {}, {highest} at most", last.rate);
    let evaluated = trainer.state.progress.last.expect("an evaluation");
    assert_eq!(evaluated.epoch, plan.steps.div_ceil(2));
    assert!(whole.join(RunFolder::FINAL).exists());

    // Another run of the same plan, stopped twice; the resumed runs have another clock.
    let stopped = folder.path().join("stopped");
    let (mut trainer, options) = start(&data, &stopped, Arc::new(Ticks::default()));
    let mut resumed = RunOptions { evaluate_every: 5, ..RunOptions::new(&stopped) };
    for (options, stop_after) in
        [(&options, plan.steps / 2), (&resumed, plan.steps / 2 + 1), (&resumed, plan.steps - 1)]
    {
        let stop = Arc::clone(&options.stop);
        stop.store(0, Ordering::Relaxed);
        let ending = trainer.run(options, "cpu", &mut |event| match event {
            Event::Step(record) if record.step + 1 == stop_after => stop.store(15, Ordering::Relaxed),
            _ => {}
        });
        assert_eq!(ending.expect("an ending"), Ending::Signal(15), "after step {stop_after}");
        trainer = Trainer::resume(&stopped).expect("a run to resume");
        assert_eq!(trainer.state.progress.plan, Some(plan));
    }
    resumed.stop = Arc::default();
    let ending = trainer.run(&resumed, "cpu", &mut |event| {
        assert!(!matches!(event, Event::Planned(_)), "planned again");
    });
    assert_eq!(ending.expect("a run to the end"), Ending::Finished);
    assert!(state_of(&whole) == state_of(&stopped), "the states differ");
    let model = |folder: &Path| std::fs::read(folder.join(RunFolder::FINAL)).expect("a model");
    assert!(model(&whole) == model(&stopped), "the models differ");
}

#[test]
fn a_limit_that_is_reached_before_any_measurement_ends_the_run_unplanned() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), IMAGES[0]);
    let out = folder.path().join("run");
    let (mut trainer, options) = start(&data, &out, Arc::new(Ticks::default()));
    let options = RunOptions { time_limit: Some(Duration::ZERO), ..options };
    let ending = trainer.run(&options, "cpu", &mut |_| {}).expect("an ending");
    assert_eq!((ending, trainer.state.progress.step), (Ending::TimeLimit, 1));
    let mut trainer = Trainer::resume(&out).expect("a run to resume");
    let options = RunOptions::new(&out);
    let stop = Arc::clone(&options.stop);
    let ending = trainer.run(&options, "cpu", &mut |event| match event {
        Event::Step(record) if record.step == 9 => stop.store(15, Ordering::Relaxed),
        _ => {}
    });
    assert_eq!(ending.expect("an ending"), Ending::Signal(15), "the expired limit is not planned for");
    assert_eq!(trainer.state.progress.plan, None);
}
