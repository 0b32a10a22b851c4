//! Things by number, shared by all threads of an exploration; a thing is put there once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

/// Things that are the same if their names are.
pub(super) struct Shelf<T> {
    inner: RwLock<Inner<T>>,
}

struct Inner<T> {
    numbers: HashMap<String, u32>,
    things: Vec<Arc<T>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { inner: RwLock::new(Inner { numbers: HashMap::new(), things: Vec::new() }) }
    }
}

impl<T> Shelf<T> {
    /// The number of what is called `name`; `thing` if it is new.
    pub(super) fn number(&self, name: String, thing: impl FnOnce() -> T) -> u32 {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = inner.numbers.get(&name) {
            return *number;
        }
        let number = u32::try_from(inner.things.len()).expect("memory ends long before numbers do");
        inner.things.push(Arc::new(thing()));
        inner.numbers.insert(name, number);
        number
    }

    /// What has `number`.
    pub(super) fn thing(&self, number: u32) -> Arc<T> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&inner.things[number as usize])
    }
}

/// What was worked out once.
pub(super) struct Notes<Q, A> {
    answers: RwLock<HashMap<Q, A>>,
}

impl<Q, A> Default for Notes<Q, A> {
    fn default() -> Self {
        Self { answers: RwLock::new(HashMap::new()) }
    }
}

impl<Q: Eq + Hash, A: Clone> Notes<Q, A> {
    /// The answer to `question`, which `work` finds the first time.
    pub(super) fn answer(&self, question: Q, work: impl FnOnce(&Q) -> A) -> A {
        let known = self.answers.read().unwrap_or_else(PoisonError::into_inner).get(&question).cloned();
        known.unwrap_or_else(|| {
            let answer = work(&question);
            let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
            answers.insert(question, answer.clone());
            answer
        })
    }
}
