//! Locks with a time to live, on registers: who holds one, and when another may take it over.
//!
//! Only durations are ever compared, never instants of two machines (Gray and Cheriton, SOSP 1989; Kleppmann,
//! "How to do distributed locking", 2016). A contender takes a lock over by compare-and-set from version v, after
//! it has itself seen v unchanged for a whole time to live on its own monotonic clock. A holder's time began
//! before its version could be seen, so it has run out by then on any clock that runs at the same rate.
//!
//! The token of a holder is the version of the lock's register. It grows with every change of the lock, released
//! or not: a released lock stays a register. What a lock guards must itself refuse a token below one that it has
//! seen; a lock alone cannot stop a holder that stood still for longer than its time to live.

use crate::id::{Key, Partition};
use crate::kv::UserKey;
use crate::time::Instant;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const FORMAT: u8 = 1;

/// What the names of all locks' registers begin with.
pub const PREFIX: &[u8] = b"lock/";

/// The register of `tenant`'s lock `name`: `lock/TENANT/NAME`. A tenant's name holds no slash.
#[must_use]
pub fn register(tenant: &str, name: &UserKey) -> Key {
    let name = [PREFIX, tenant.as_bytes(), b"/", name.as_str().as_bytes()].concat();
    Key::new(Partition::of(&name), name)
}

/// A holder's claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Who holds it, in words for people.
    pub owner: String,
    /// How long it is held after its last change, milliseconds.
    pub ttl_ms: u64,
}

impl Claim {
    /// Longest owner, bytes.
    pub const MAX_OWNER_BYTES: usize = 256;
    /// Shortest time to live: shorter than a change and its repetition may take is of no use.
    pub const MIN_TTL: Duration = Duration::from_secs(1);
    /// Longest time to live.
    pub const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);

    /// How long it is held after its last change.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }
}

/// Bytes that are no lock, or of a format newer than this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored lock has an unknown format or is damaged")]
pub struct LockError;

/// The bytes of a lock: `None` is a released one.
#[must_use]
pub fn encode(claim: Option<&Claim>) -> Bytes {
    let bytes = postcard::to_extend(&claim, vec![FORMAT]).expect("texts and numbers can always be written");
    bytes.into()
}

/// The lock in `bytes`.
///
/// # Errors
/// [`LockError`] for anything that [`encode`] does not write.
pub fn decode(bytes: &[u8]) -> Result<Option<Claim>, LockError> {
    let [FORMAT, content @ ..] = bytes else { return Err(LockError) };
    postcard::from_bytes(content).map_err(|_| LockError)
}

/// Since when this node has seen the locks of others unchanged.
#[derive(Debug)]
pub struct Observations {
    seen: BTreeMap<Key, Seen>,
    most: usize,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    version: u64,
    first: Instant,
    last: Instant,
}

impl Observations {
    /// Remembers `most` locks; of more, those that were not looked at for the longest time are forgotten, which
    /// only makes a take-over later.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { seen: BTreeMap::new(), most: most.max(1) }
    }

    /// `key` was read and had `version`; `now` is a moment after the answer came. Returns how long it is known to
    /// have had this version.
    pub fn observe(&mut self, key: &Key, version: u64, now: Instant) -> Duration {
        if let Some(seen) = self.seen.get_mut(key).filter(|seen| seen.version == version) {
            seen.last = now;
            return now.since(seen.first);
        }
        if self.seen.len() >= self.most && !self.seen.contains_key(key) {
            let oldest = self.seen.iter().min_by_key(|(_, seen)| seen.last).map(|(key, _)| key.clone());
            oldest.map(|key| self.seen.remove(&key));
        }
        self.seen.insert(key.clone(), Seen { version, first: now, last: now });
        Duration::ZERO
    }

    /// The lock was released or taken: nothing needs to be remembered.
    pub fn forget(&mut self, key: &Key) {
        self.seen.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        register("default", &name.parse().expect("name"))
    }

    fn at(seconds: u64) -> Instant {
        Instant(Duration::from_secs(seconds))
    }

    #[test]
    fn a_lock_is_read_back_and_anything_else_is_refused() {
        let claim = Claim { owner: "ada".to_owned(), ttl_ms: 30_000 };
        assert_eq!(decode(&encode(Some(&claim))), Ok(Some(claim)));
        assert_eq!(decode(&encode(None)), Ok(None));
        for bytes in [&b""[..], b"\x02\x00", b"\x01", b"\x01\x02"] {
            assert_eq!(decode(bytes), Err(LockError), "{bytes:?}");
        }
    }

    #[test]
    fn a_version_is_unchanged_only_since_it_was_first_seen_here() {
        let mut seen = Observations::new(10);
        assert_eq!(seen.observe(&key("a"), 4, at(100)), Duration::ZERO);
        assert_eq!(seen.observe(&key("a"), 4, at(107)), Duration::from_secs(7));
        assert_eq!(seen.observe(&key("a"), 5, at(108)), Duration::ZERO, "renewed");
        assert_eq!(seen.observe(&key("a"), 5, at(110)), Duration::from_secs(2));
        seen.forget(&key("a"));
        assert_eq!(seen.observe(&key("a"), 5, at(111)), Duration::ZERO);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgetting_only_delays() {
        let mut seen = Observations::new(2);
        seen.observe(&key("a"), 1, at(1));
        seen.observe(&key("b"), 1, at(2));
        seen.observe(&key("a"), 1, at(3));
        seen.observe(&key("c"), 1, at(4));
        assert_eq!(seen.seen.len(), 2);
        assert_eq!(seen.observe(&key("a"), 1, at(5)), Duration::from_secs(4));
        assert_eq!(seen.observe(&key("b"), 1, at(6)), Duration::ZERO, "forgotten for c");
    }
}
