//! Many seeds on all processors.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs `one` with `count` seeds from `base` on and returns the results in the order of their seeds.
pub fn run<T: Send>(base: u64, count: u64, threads: Option<usize>, one: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let threads = threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let (next, results) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let result = one(base.wrapping_add(number));
                    results.lock().expect("no other run panicked").push((number, result));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("no run panicked");
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}
