//! Background work: one contract for everything that a node does without being asked.
//!
//! A [`Task`] has a name, tells how far it is, does one unit of work at a time and says what then. [`Background`]
//! runs tasks until the node stops, slows each down by its [`Throttle`], and lists them all to whoever asks.

mod runner;
mod status;
mod throttle;

pub use status::{State, TaskStatus};
pub use throttle::Throttle;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What comes after a unit of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is more to do: goes on after the throttle's pause.
    Work,
    /// Nothing to do for now: goes on after this time, or as soon as [`Task::woken`] returns.
    Wait(Duration),
    /// Nothing will ever be left to do: the task ends and stays in the list.
    Done,
}

/// How far a task is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Units of work done since the process started, in what the task counts.
    pub done: u64,
    /// Units known to be left; `None` where nobody counts them.
    pub remaining: Option<u64>,
    /// A few words for people, such as what is being compared with whom; may be empty.
    pub text: String,
}

/// Why a unit of work came to nothing. The task is asked again after a pause that doubles.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Background work.
pub trait Task: Send + 'static {
    /// A name for people, unique in the process, such as `body resync`.
    fn name(&self) -> &'static str;

    /// How far it is. Cheap: asked after every unit.
    fn progress(&self) -> Progress;

    /// Does one unit of work: little enough that the node stops within a second (it is broken off at its next
    /// `await`, so whatever it had begun must be safe to leave).
    fn work(&mut self) -> impl Future<Output = Result<Next, Failure>> + Send;

    /// Returns when there may be something to do before the time given in [`Next::Wait`] is over. Is dropped and
    /// called again at will.
    fn woken(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

/// Runs background tasks and lists them. A cheap clone.
#[derive(Clone)]
pub struct Background {
    slots: Arc<Mutex<Vec<Arc<Mutex<TaskStatus>>>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Background {
    /// A runner whose tasks end with `stop` and belong to `tasks`.
    #[must_use]
    pub fn new(tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self { slots: Arc::default(), tasks, stop }
    }

    /// Runs `task`, slowed down by `throttle`. Must be called within a tokio runtime.
    pub fn spawn(&self, task: impl Task, throttle: Throttle) {
        let slot = self.register(task.name());
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            // A task that panics is seen as ended, not as working for ever.
            let slot = status::Slot::new(slot);
            let _: Option<()> = stop.run_until_cancelled(runner::run(task, throttle, &slot)).await;
        });
    }

    /// Lists a task that runs elsewhere; whoever runs it keeps the status up to date through the returned place.
    #[must_use]
    pub fn register(&self, name: &'static str) -> Arc<Mutex<TaskStatus>> {
        let slot = Arc::new(Mutex::new(TaskStatus::new(name)));
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&slot));
        slot
    }

    /// Every task with its state, in the order in which they were started.
    #[must_use]
    pub fn statuses(&self) -> Vec<TaskStatus> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.iter().map(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect()
    }
}

#[cfg(test)]
mod tests;
