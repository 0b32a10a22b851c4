//! What is told of a background task.

use super::Progress;
use std::sync::{Arc, Mutex, PoisonError};

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has work, also while the throttle holds it back.
    Working,
    /// It has nothing to do for now.
    Waiting,
    /// Its last unit of work failed; it tries again.
    Failing,
    /// It is over, or the node is stopping.
    Ended,
}

impl State {
    /// The state as one lower-case word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Waiting => "waiting",
            Self::Failing => "failing",
            Self::Ended => "ended",
        }
    }
}

/// A background task as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskStatus {
    /// Its name.
    pub name: &'static str,
    /// What it is doing.
    pub state: State,
    /// How far it is.
    pub progress: Progress,
    /// Units of work that failed since the process started.
    pub failures: u64,
    /// The last failure with its causes, one line; kept after a success.
    pub last_failure: Option<String>,
}

impl TaskStatus {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, state: State::Waiting, progress: Progress::default(), failures: 0, last_failure: None }
    }
}

/// A task's place in the list; it shows the task as ended when dropped.
pub(super) struct Slot(Arc<Mutex<TaskStatus>>);

impl Slot {
    pub(super) fn new(status: Arc<Mutex<TaskStatus>>) -> Self {
        Self(status)
    }

    pub(super) fn set(&self, state: State, progress: Option<Progress>) {
        self.change(|status| {
            status.state = state;
            if let Some(progress) = progress {
                status.progress = progress;
            }
        });
    }

    pub(super) fn fail(&self, failure: String) {
        self.change(|status| {
            status.state = State::Failing;
            status.failures += 1;
            status.last_failure = Some(failure);
        });
    }

    fn change(&self, change: impl FnOnce(&mut TaskStatus)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.set(State::Ended, None);
    }
}
