//! Measures the round trip of a value between two cores in nanoseconds, as the median of many rounds.
//!
//! It is about 100 where the cores share a cache and several times as much elsewhere; hosts move virtual machines between the two.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

fn main() {
    const ROUNDS: u32 = 2000;
    const HANDOFFS: u32 = 50;
    static PLACE: AtomicU32 = AtomicU32::new(0);
    let wait = |value: u32| {
        while PLACE.load(Ordering::Acquire) != value {
            std::hint::spin_loop();
        }
    };
    let other = thread::spawn(move || {
        for i in 0..ROUNDS * HANDOFFS {
            wait(2 * i + 1);
            PLACE.store(2 * i + 2, Ordering::Release);
        }
    });
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            let start = Instant::now();
            for i in round * HANDOFFS..(round + 1) * HANDOFFS {
                PLACE.store(2 * i + 1, Ordering::Release);
                wait(2 * i + 2);
            }
            1e9 * start.elapsed().as_secs_f64() / f64::from(HANDOFFS)
        })
        .collect();
    let _ = other.join();
    times.sort_by(f64::total_cmp);
    println!("{:.0}", times[times.len() / 2]);
}
