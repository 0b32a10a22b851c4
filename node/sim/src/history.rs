//! What clients asked and what they were told, in an order that is real time.

/// A register as a client sees it. The default was never written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    /// Counts the changes from 1.
    pub version: u64,
    /// The operation that made the last change; 0 for none. The content is unique to the operation.
    pub operation: u64,
    /// Whether there is content (not a tombstone, not untouched).
    pub present: bool,
}

/// What a client asked for. Written contents are the operation's number, so they are unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Report the register.
    Read,
    /// Set the content.
    Put,
    /// Set the content if there is none.
    Create,
    /// Set the content of this version.
    CompareAndSet {
        /// The version.
        version: u64,
    },
    /// Remove the content, if given only of this version.
    Delete {
        /// The version.
        version: Option<u64>,
    },
}

/// What a client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seen {
    /// It is done; this is the register after it.
    Done(State),
    /// It was not done because of this.
    Conflict(State),
    /// A read that showed only that there is no content.
    Absent,
    /// Nothing: it may take effect at any later time, or never.
    Unknown,
    /// It was not done and never will be.
    Refused,
}

/// One operation on one key.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The key's number.
    pub key: usize,
    /// Who asked.
    pub client: usize,
    /// Unique, from 1.
    pub operation: u64,
    /// What was asked.
    pub action: Action,
    /// The moment of asking; every moment of a history is used once.
    pub invoked: u64,
    /// The moment of the answer; [`u64::MAX`] if there was none.
    pub returned: u64,
    /// The answer.
    pub seen: Seen,
}

impl Call {
    /// Whether the call constrains or may change the register: refused calls and unanswered reads do not.
    #[must_use]
    pub fn counts(&self) -> bool {
        !matches!((self.action, self.seen), (_, Seen::Refused) | (Action::Read, Seen::Unknown))
    }
}

/// All calls of a run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// In the order of asking.
    pub calls: Vec<Call>,
    moment: u64,
}

impl History {
    /// The next moment; each is later than all before.
    pub fn tick(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    /// Notes a call at the next moment; returns its place in [`History::calls`]. Its operation is its place + 1.
    pub fn invoke(&mut self, key: usize, client: usize, action: Action) -> usize {
        let invoked = self.tick();
        let operation = self.calls.len() as u64 + 1;
        self.calls.push(Call { key, client, operation, action, invoked, returned: u64::MAX, seen: Seen::Unknown });
        self.calls.len() - 1
    }

    /// Notes, at the next moment, what a read that was asked at `invoked` has shown of `key`.
    pub fn show(&mut self, key: usize, client: usize, invoked: u64, seen: Seen) {
        let call = self.invoke(key, client, Action::Read);
        self.calls[call].invoked = invoked;
        self.answer(call, seen);
    }

    /// Notes the answer to a call at the next moment.
    pub fn answer(&mut self, call: usize, seen: Seen) {
        let returned = self.tick();
        if let Some(call) = self.calls.get_mut(call) {
            call.seen = seen;
            call.returned = if seen == Seen::Unknown { u64::MAX } else { returned };
        }
    }

    /// The calls on `key` that a checker must explain.
    #[must_use]
    pub fn of_key(&self, key: usize) -> Vec<Call> {
        self.calls.iter().filter(|call| call.key == key && call.counts()).copied().collect()
    }
}
