//! Runs one task: work, rest, wait, and a pause that doubles while it fails.

use super::status::Slot;
use super::{Failure, Next, State, Task, Throttle};
use std::time::Duration;
use tokio::time::Instant;

/// Pause after the first failure; doubled with each further one in a row.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Runs `task` to its end, which may never come.
pub(super) async fn run(mut task: impl Task, throttle: Throttle, slot: &Slot) {
    let mut pause = FIRST_PAUSE;
    loop {
        slot.set(State::Working, Some(task.progress()));
        let began = Instant::now();
        let next = task.work().await;
        let rest = throttle.rest(began.elapsed());
        if next.is_ok() {
            pause = FIRST_PAUSE;
        }
        match next {
            Ok(Next::Work) => {
                slot.set(State::Working, Some(task.progress()));
                // Even without a throttle the other tasks of this thread get their turn.
                tokio::task::yield_now().await;
                tokio::time::sleep(rest).await;
            }
            Ok(Next::Wait(wait)) => {
                slot.set(State::Waiting, Some(task.progress()));
                tokio::time::sleep(rest.min(wait)).await;
                tokio::select! {
                    () = tokio::time::sleep(wait.saturating_sub(rest)) => {}
                    () = task.woken() => {}
                }
            }
            Ok(Next::Done) => return slot.set(State::Ended, Some(task.progress())),
            Err(failure) => {
                let failure = line(&failure);
                tracing::debug!(task = task.name(), failure, "a background task failed and tries again");
                slot.fail(failure);
                tokio::time::sleep(pause.max(rest)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// A failure with its causes.
fn line(failure: &Failure) -> String {
    let mut line = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
