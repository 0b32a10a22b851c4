//! The fingerprint of a run, and on demand its every event in words.

use super::Event;
use std::hash::{DefaultHasher, Hash, Hasher};

pub(super) struct Trace {
    hasher: DefaultHasher,
    verbose: bool,
    lines: Vec<String>,
}

impl Trace {
    pub(super) fn new(verbose: bool) -> Self {
        Self { hasher: DefaultHasher::new(), verbose, lines: Vec::new() }
    }

    pub(super) fn note(&mut self, at_us: u64, event: &Event) {
        at_us.hash(&mut self.hasher);
        std::mem::discriminant(event).hash(&mut self.hasher);
        match event {
            Event::Request { to, message } => {
                (*to, message.from, message.life, message.task, message.round).hash(&mut self.hasher)
            }
            Event::Answer { to, life, task, from, round, .. } => {
                (*to, *life, *task, *from, *round).hash(&mut self.hasher)
            }
            Event::Disk { node, life } => (*node, *life).hash(&mut self.hasher),
            Event::Timer { node, life, task } => (*node, *life, *task).hash(&mut self.hasher),
            Event::Client { client: number }
            | Event::Restart { node: number }
            | Event::Steward { node: number }
            | Event::Epilogue { step: number } => number.hash(&mut self.hasher),
            Event::Fault | Event::Rot | Event::Move | Event::Heal | Event::Quiet => {}
        }
        self.say(at_us, || format!("{event:?}"));
    }

    /// Writes a line that does not count for the fingerprint.
    pub(super) fn say(&mut self, at_us: u64, words: impl FnOnce() -> String) {
        if self.verbose {
            self.lines.push(format!("{:>12.3} ms  {}", at_us as f64 / 1e3, words()));
        }
    }

    pub(super) fn finish(self) -> (u64, Vec<String>) {
        (self.hasher.finish(), self.lines)
    }
}
