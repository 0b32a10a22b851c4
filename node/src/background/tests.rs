//! Tasks that count, wait, fail and end. Only lower bounds of time are checked: a busy machine may be late.

use super::*;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Does what its script says, unit by unit, then waits for ever.
struct Scripted {
    script: std::vec::IntoIter<Result<Next, Failure>>,
    takes: Duration,
    done: Arc<AtomicU64>,
    wake: Arc<Notify>,
}

impl Task for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn progress(&self) -> Progress {
        let remaining = Some(self.script.len() as u64);
        Progress { done: self.done.load(Ordering::SeqCst), remaining, text: "counting".to_owned() }
    }

    async fn work(&mut self) -> Result<Next, Failure> {
        tokio::time::sleep(self.takes).await;
        let Some(next) = self.script.next() else { return std::future::pending().await };
        self.done.fetch_add(1, Ordering::SeqCst);
        next
    }

    async fn woken(&mut self) {
        self.wake.notified().await;
    }
}

struct Stage {
    background: Background,
    tasks: TaskTracker,
    stop: CancellationToken,
    done: Arc<AtomicU64>,
    wake: Arc<Notify>,
}

impl Stage {
    fn new(script: Vec<Result<Next, Failure>>, takes: Duration, throttle: Throttle) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let background = Background::new(tasks.clone(), stop.clone());
        let (done, wake) = (Arc::default(), Arc::new(Notify::new()));
        let script = script.into_iter();
        background.spawn(Scripted { script, takes, done: Arc::clone(&done), wake: Arc::clone(&wake) }, throttle);
        tasks.close();
        Self { background, tasks, stop, done, wake }
    }

    fn status(&self) -> TaskStatus {
        self.background.statuses().remove(0)
    }

    async fn until(&self, done: u64) {
        while self.done.load(Ordering::SeqCst) < done {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_task_works_until_it_is_done_and_stays_in_the_list() {
    let stage = Stage::new(vec![Ok(Next::Work), Ok(Next::Work), Ok(Next::Done)], Duration::ZERO, Throttle::NONE);
    stage.tasks.wait().await;
    let status = stage.status();
    assert_eq!((status.state, status.progress.done, status.progress.remaining), (State::Ended, 3, Some(0)));
    assert_eq!((status.name, status.progress.text.as_str()), ("scripted", "counting"));
}

#[tokio::test]
async fn a_throttled_task_rests_in_proportion_to_its_work() {
    let began = Instant::now();
    let script = vec![Ok(Next::Work), Ok(Next::Work), Ok(Next::Done)];
    let stage = Stage::new(script, Duration::from_millis(20), Throttle::new(4));
    stage.tasks.wait().await;
    assert!(began.elapsed().as_millis() >= 20 + 80 + 20 + 80 + 20);
}

#[tokio::test]
async fn a_waiting_task_goes_on_when_it_is_woken() {
    let wait = Next::Wait(Duration::from_secs(3600));
    let stage = Stage::new(vec![Ok(wait), Ok(Next::Done)], Duration::ZERO, Throttle::NONE);
    stage.until(1).await;
    stage.wake.notify_one();
    stage.tasks.wait().await;
    assert_eq!(stage.status().progress.done, 2);
}

#[tokio::test]
async fn a_waiting_task_goes_on_by_itself_when_its_time_has_come() {
    let began = Instant::now();
    let wait = Next::Wait(Duration::from_millis(300));
    let stage = Stage::new(vec![Ok(wait), Ok(Next::Done)], Duration::ZERO, Throttle::NONE);
    stage.tasks.wait().await;
    assert!(began.elapsed().as_millis() >= 300);
}

#[tokio::test]
async fn a_failing_task_tries_again_ever_later_and_says_why() {
    let began = Instant::now();
    let script = vec![Err("no peer".into()), Err("no disk".into()), Ok(Next::Done)];
    let stage = Stage::new(script, Duration::ZERO, Throttle::NONE);
    stage.tasks.wait().await;
    let status = stage.status();
    assert_eq!((status.failures, status.last_failure.as_deref()), (2, Some("no disk")));
    assert!(began.elapsed().as_secs() >= 3);
}

#[tokio::test]
async fn a_stopping_node_breaks_a_task_off() {
    let stage = Stage::new(Vec::new(), Duration::ZERO, Throttle::NONE);
    stage.stop.cancel();
    stage.tasks.wait().await;
    assert_eq!(stage.status().state, State::Ended);
}
