//! What the writers know: for every key what was acknowledged, what may have happened, and what may be read.
//!
//! A key has one writer, which waits for each answer before it goes on. A write whose outcome is unknown retires its key:
//! such a write may take effect at any later time, so nothing may follow it that it could overtake.

use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};
use std::collections::BTreeMap;
use std::fmt;

/// A write's own number, unlike any other's in the run: every value is unique.
pub type Serial = u64;

/// Which key: its writer, and the writer's own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The only one that writes it.
    pub writer: usize,
    /// The writer's keys are counted.
    pub number: usize,
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "power/{}/{}", self.writer, self.number)
    }
}

/// What is, or may be, at a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing: never written, or deleted by the write of this number.
    Absent(Option<Serial>),
    /// The value of the write of this number.
    Value(Serial),
}

impl State {
    /// The value's own number; `None` where there is none.
    pub fn value(self) -> Option<Serial> {
        match self {
            Self::Value(serial) => Some(serial),
            Self::Absent(_) => None,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(None) => write!(formatter, "nothing"),
            Self::Absent(Some(serial)) => write!(formatter, "nothing (deleted by {serial})"),
            Self::Value(serial) => write!(formatter, "value {serial}"),
        }
    }
}

/// A key's past, as far as it decides what may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    acknowledged: State,
    unknown: Option<State>,
    refused: Vec<Serial>,
    /// The version of the acknowledged value.
    pub etag: Option<String>,
}

impl Default for History {
    fn default() -> Self {
        Self { acknowledged: State::Absent(None), unknown: None, refused: Vec::new(), etag: None }
    }
}

/// How a write ended, for its writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, with this version if it is a value.
    Acknowledged(Option<String>),
    /// It may be done, now or later.
    Unknown,
    /// It is not done and never will be.
    Refused,
}

/// What is wrong at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The acknowledged state is gone.
    Lost {
        /// What had been acknowledged last.
        acknowledged: State,
        /// What is there.
        seen: Option<Serial>,
    },
    /// A write that was answered with "not done" is there.
    RefusedButDone(Serial),
    /// Bytes that no write of this key has written.
    Foreign(String),
    /// A compare-and-set by the only writer found another version than the writer's last one.
    Contradicted(String),
}

impl Fault {
    /// Whether an acknowledged write is gone.
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { acknowledged, seen: Some(seen) } => {
                write!(formatter, "LOST: {acknowledged} had been acknowledged, value {seen} is there")
            }
            Self::Lost { acknowledged, seen: None } => {
                write!(formatter, "LOST: {acknowledged} had been acknowledged, nothing is there")
            }
            Self::RefusedButDone(serial) => write!(formatter, "value {serial} was refused as not done and is there"),
            Self::Foreign(what) => write!(formatter, "WRONG DATA: {what}"),
            Self::Contradicted(what) => write!(formatter, "CONTRADICTED: {what}"),
        }
    }
}

impl History {
    /// Whether its writer may go on with it.
    pub fn is_settled(&self) -> bool {
        self.unknown.is_none()
    }

    /// What was acknowledged last.
    pub fn acknowledged(&self) -> State {
        self.acknowledged
    }

    /// Whether anything at all was acknowledged.
    pub fn is_acknowledged(&self) -> bool {
        self.acknowledged != State::Absent(None)
    }

    /// Notes how the write of `state` ended.
    pub fn note(&mut self, state: State, outcome: Outcome) {
        match outcome {
            Outcome::Acknowledged(etag) => {
                self.acknowledged = state;
                self.etag = etag;
            }
            Outcome::Unknown => self.unknown = Some(state),
            Outcome::Refused => self.refused.extend(state.value()),
        }
    }

    /// Judges what a strong read has found, and remembers it: what one read has seen no later read may miss.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn judge(&mut self, seen: Option<Serial>) -> Result<(), Fault> {
        if seen == self.acknowledged.value() {
            return Ok(());
        }
        if let Some(unknown) = self.unknown.filter(|unknown| unknown.value() == seen) {
            // It has taken effect, and is as good as acknowledged from here on. The key stays retired: its version is not known.
            self.acknowledged = unknown;
            self.etag = None;
            return Ok(());
        }
        Err(match seen {
            Some(serial) if self.refused.contains(&serial) => Fault::RefusedButDone(serial),
            _ => Fault::Lost { acknowledged: self.acknowledged, seen },
        })
    }
}

/// Everything that was written in a run.
#[derive(Debug, Default)]
pub struct Ledger {
    histories: BTreeMap<Key, History>,
    next: Serial,
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Writes whose outcome is unknown.
    pub unknown: u64,
    /// Writes that were refused as not done.
    pub refused: u64,
    /// What went wrong while writing.
    pub faults: Vec<(Key, Fault)>,
}

impl Ledger {
    /// A number that no write has had.
    pub fn serial(&mut self) -> Serial {
        self.next += 1;
        self.next
    }

    /// The past of `key`, begun if it has none.
    pub fn history(&mut self, key: Key) -> &mut History {
        self.histories.entry(key).or_default()
    }

    /// Notes how a write ended.
    pub fn note(&mut self, key: Key, state: State, outcome: Outcome) {
        match outcome {
            Outcome::Acknowledged(_) => self.acknowledged += 1,
            Outcome::Unknown => self.unknown += 1,
            Outcome::Refused => self.refused += 1,
        }
        self.history(key).note(state, outcome);
    }

    /// Every key.
    pub fn keys(&self) -> Vec<Key> {
        self.histories.keys().copied().collect()
    }

    /// Keys of which something was acknowledged.
    pub fn acknowledged_keys(&self) -> usize {
        self.histories.values().filter(|history| history.is_acknowledged()).count()
    }

    /// Judges what a strong read has found at `key`.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn judge(&mut self, key: Key, seen: Option<&[u8]>) -> Result<(), Fault> {
        let serial = seen.map(|bytes| written_at(key, bytes)).transpose()?;
        self.history(key).judge(serial)
    }
}

/// Most random bytes in a value.
const LARGEST: usize = 40_000;
/// Most random bytes in most values.
const SMALL: usize = 400;
/// One value in this many is large, so that the disks see both kinds.
const LARGE_ONE_IN: u64 = 16;

/// The value that the write `serial` puts at `key`: a readable head, then bytes that only this write has.
pub fn value(key: Key, serial: Serial) -> Vec<u8> {
    let mut value = format!("{key} {serial}\n").into_bytes();
    let mut random = SmallRng::seed_from_u64(serial);
    let most = if serial.is_multiple_of(LARGE_ONE_IN) { LARGEST } else { SMALL };
    let head = value.len();
    value.resize(head + random.random_range(0..most), 0);
    random.fill_bytes(&mut value[head..]);
    value
}

/// Which write has put `bytes` at `key`.
///
/// # Errors
/// [`Fault::Foreign`]: none has.
pub fn written_at(key: Key, bytes: &[u8]) -> Result<Serial, Fault> {
    let head = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes, |end| &bytes[..end]);
    let head = String::from_utf8_lossy(&head[..head.len().min(80)]);
    let serial = head.strip_prefix(&key.to_string()).and_then(|rest| rest.trim_start().parse().ok());
    match serial {
        Some(serial) if value(key, serial) == bytes => Ok(serial),
        Some(serial) => Err(Fault::Foreign(format!("value {serial} is damaged ({} bytes)", bytes.len()))),
        None => Err(Fault::Foreign(format!("{} bytes that begin with {head:?}", bytes.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key { writer: 3, number: 14 };

    fn acknowledged(serial: Serial) -> History {
        let mut history = History::default();
        history.note(State::Value(serial), Outcome::Acknowledged(None));
        history
    }

    #[test]
    fn the_last_acknowledged_value_is_expected_and_an_older_one_or_none_is_a_loss() {
        let mut history = acknowledged(1);
        history.note(State::Value(2), Outcome::Acknowledged(Some("e".to_owned())));
        assert_eq!(history.judge(Some(2)), Ok(()));
        assert!(history.judge(Some(1)).unwrap_err().is_loss());
        assert!(history.judge(None).unwrap_err().is_loss());
    }

    #[test]
    fn a_write_of_unknown_outcome_may_be_there_or_not_until_a_read_has_seen_it() {
        let mut history = acknowledged(1);
        history.note(State::Value(2), Outcome::Unknown);
        assert!(!history.is_settled());
        assert_eq!(history.judge(Some(1)), Ok(()));
        assert_eq!(history.judge(Some(2)), Ok(()));
        assert!(history.judge(Some(1)).unwrap_err().is_loss(), "a read had seen the newer one");
    }

    #[test]
    fn a_deleted_value_that_comes_back_is_a_loss() {
        let mut history = acknowledged(1);
        history.note(State::Absent(Some(2)), Outcome::Acknowledged(None));
        assert_eq!(history.judge(None), Ok(()));
        assert!(history.judge(Some(1)).unwrap_err().is_loss());
    }

    #[test]
    fn a_refused_write_must_not_be_there() {
        let mut history = acknowledged(1);
        history.note(State::Value(2), Outcome::Refused);
        assert!(history.is_settled());
        assert_eq!(history.judge(Some(1)), Ok(()));
        assert_eq!(history.judge(Some(2)), Err(Fault::RefusedButDone(2)));
    }

    #[test]
    fn a_value_is_known_by_every_byte() {
        let mut ledger = Ledger::default();
        for serial in [7, 16] {
            ledger.note(KEY, State::Value(serial), Outcome::Acknowledged(None));
            let whole = value(KEY, serial);
            assert_eq!(ledger.judge(KEY, Some(&whole)), Ok(()));
            let mut damaged = whole.clone();
            let last = damaged.len() - 1;
            damaged[last] ^= 1;
            assert!(matches!(ledger.judge(KEY, Some(&damaged)), Err(Fault::Foreign(_))));
            assert!(matches!(ledger.judge(KEY, Some(&whole[..last])), Err(Fault::Foreign(_))));
        }
        let other = value(Key { writer: 3, number: 1 }, 16);
        assert!(matches!(ledger.judge(KEY, Some(&other)), Err(Fault::Foreign(_))));
        assert!(matches!(ledger.judge(KEY, Some(b"")), Err(Fault::Foreign(_))));
    }

    #[test]
    fn values_are_small_or_large_and_all_different() {
        let values: Vec<Vec<u8>> = (1..200).map(|serial| value(KEY, serial)).collect();
        assert!(values.iter().any(|value| value.len() > 8_000) && values.iter().any(|value| value.len() < 100));
        let distinct: std::collections::BTreeSet<_> = values.iter().collect();
        assert_eq!(distinct.len(), values.len());
    }
}
