//! The key-value store: values with a media type on registers, one register a key, linearizable each.
//!
//! It knows nothing of HTTP. [`Registers`] is what it needs of the ring; the driver is it. Every change carries an
//! operation id: the same id sent again is settled by the register instead of done twice, as long as nobody else
//! has written the key since.

pub mod hints;
mod list;
#[cfg(test)]
pub(crate) mod memory;
mod registers;
mod watch;

pub use list::{Cursor, CursorError, LARGEST_LISTING, Listed, Listing};
pub use registers::{Registers, RingRegisters};
pub use watch::{Event, MOST_WATCHED_KEYS, Mark, MarkError, Watch, Watched};

use crate::auth::Tenant;
use scrapering_core::id::{Key, OperationId};
use scrapering_core::kv::{self, UserKey, Value};
use scrapering_core::register::{Change, Outcome, Versioned};
use scrapering_core::time::Instant;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard, Semaphore};

/// Changes of one key take turns at a node, so that they do not outbid each other; keys share this many turnstiles.
const TURNSTILES: usize = 1024;
/// How long a change waits for its turn; then it was not done.
const TURN_TIMEOUT: Duration = Duration::from_secs(2);
/// Watches that a node serves at a time.
const MOST_WATCHES: usize = 256;

/// What a key holds, or who has removed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Counts the changes of the key.
    pub version: u64,
    /// The operation that wrote or removed it.
    pub operation: OperationId,
    /// The value; `None` if it was removed.
    pub value: Option<Value>,
}

/// What must hold for a put to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    None,
    /// The key holds nothing.
    Absent,
    /// The key is there in this version.
    Version(u64),
}

/// A put that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The key's version now.
    pub version: u64,
    /// Whether the key held nothing before, as far as a put that is sent again can tell.
    pub created: bool,
}

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// As on one machine; needs a majority.
    #[default]
    Strong,
    /// What one replica holds; may be old, needs only that one.
    Any,
}

/// Why a request was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// The caller's precondition does not hold. Nothing changed.
    #[error("the precondition does not hold: the key {}", .current.map_or("holds nothing".to_owned(), |version| format!("is in version {version}")))]
    Precondition {
        /// The key's version; `None` if it holds nothing.
        current: Option<u64>,
    },
    /// Too few nodes answer. Nothing changed; try again.
    #[error("too few nodes of the ring answer; nothing was changed, try again")]
    Unavailable,
    /// The change may or may not have been made, now or later.
    #[error(
        "it is not known whether the change was made; read the key and compare its Operation-Id with the one in this answer"
    )]
    Unknown,
    /// This node serves as many watches as it may.
    #[error("this node serves {MOST_WATCHES} watches already; ask another node, or try again later")]
    Busy,
    /// Too many keys for one watch.
    #[error("more than {MOST_WATCHED_KEYS} keys begin so; watch a longer prefix")]
    TooManyKeys,
    /// A stored value cannot be read. Nothing changed.
    #[error("the stored value is damaged, or was written by a newer version of scrapering")]
    Damaged,
}

/// The key-value store. A cheap clone.
#[derive(Clone)]
pub struct Kv {
    registers: Arc<dyn Registers>,
    turnstiles: Arc<Turnstiles>,
    watches: Arc<Semaphore>,
}

struct Turnstiles {
    doors: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl Kv {
    /// A store on `registers`.
    #[must_use]
    pub fn new(registers: impl Registers) -> Self {
        let doors = (0..TURNSTILES).map(|_| Mutex::new(())).collect();
        let turnstiles = Arc::new(Turnstiles { doors, hasher: RandomState::new() });
        Self { registers: Arc::new(registers), turnstiles, watches: Arc::new(Semaphore::new(MOST_WATCHES)) }
    }

    /// What `key` holds; `None` if nothing is known of it.
    ///
    /// # Errors
    /// [`KvError::Unavailable`], [`KvError::Damaged`].
    pub async fn get(
        &self,
        tenant: &Tenant,
        key: &UserKey,
        consistency: Consistency,
    ) -> Result<Option<Stored>, KvError> {
        let register = kv::register(tenant.as_str(), key);
        let found = match consistency {
            Consistency::Strong => self.read(register).await?,
            Consistency::Any => self.registers.copy(register).await.map_err(|_| KvError::Unavailable)?,
        };
        stored(found)
    }

    /// Sets `key` to `value` if `precondition` holds.
    ///
    /// # Errors
    /// [`KvError`]; whether anything changed stands at its variants.
    pub async fn put(
        &self,
        tenant: &Tenant,
        key: &UserKey,
        value: &Value,
        precondition: Precondition,
        operation: OperationId,
    ) -> Result<Written, KvError> {
        let content = value.encode();
        let change = match precondition {
            Precondition::None => Change::Put(content),
            Precondition::Absent => Change::Create(content),
            Precondition::Version(version) => Change::CompareAndSet { version, content },
        };
        let (value, replaced) = self.done(kv::register(tenant.as_str(), key), change, operation).await?;
        let version = value.map_or(0, |value| value.version);
        Ok(Written { version, created: precondition == Precondition::Absent || !replaced })
    }

    /// Removes `key`, if `version` is given only from that version. A key that holds nothing is removed already.
    ///
    /// # Errors
    /// As [`Kv::put`].
    pub async fn delete(
        &self,
        tenant: &Tenant,
        key: &UserKey,
        version: Option<u64>,
        operation: OperationId,
    ) -> Result<(), KvError> {
        let change = Change::Delete { version };
        self.change(kv::register(tenant.as_str(), key), change, operation).await.map(|_| ())
    }

    /// Reads a register as on one machine; a tombstone is there with its version.
    pub(crate) async fn read(&self, register: Key) -> Result<Option<Versioned>, KvError> {
        match self.registers.change(register, Change::Read, OperationId::default()).await {
            Outcome::Done { value, .. } | Outcome::Conflict { current: value } => Ok(value),
            Outcome::Indeterminate | Outcome::Unavailable => Err(KvError::Unavailable),
        }
    }

    /// Makes a change that takes its turn; a tombstone is there with its version.
    pub(crate) async fn change(
        &self,
        register: Key,
        change: Change,
        operation: OperationId,
    ) -> Result<Option<Versioned>, KvError> {
        self.done(register, change, operation).await.map(|(value, _)| value)
    }

    /// As [`Kv::change`], and whether there was content before.
    async fn done(
        &self,
        register: Key,
        change: Change,
        operation: OperationId,
    ) -> Result<(Option<Versioned>, bool), KvError> {
        let _turn = self.turnstiles.wait(&register).await.ok_or(KvError::Unavailable)?;
        match self.registers.change(register, change, operation).await {
            Outcome::Done { value, replaced } => Ok((value, replaced)),
            Outcome::Conflict { current } => {
                let present = current.filter(|value| value.content.is_some());
                Err(KvError::Precondition { current: present.map(|value| value.version) })
            }
            Outcome::Indeterminate => Err(KvError::Unknown),
            Outcome::Unavailable => Err(KvError::Unavailable),
        }
    }
}

impl Kv {
    /// Now, by this process's monotonic clock.
    pub(crate) fn now(&self) -> Instant {
        self.registers.now()
    }
}

impl Turnstiles {
    async fn wait(&self, key: &Key) -> Option<MutexGuard<'_, ()>> {
        let door = self.hasher.hash_one(key) as usize % self.doors.len();
        tokio::time::timeout(TURN_TIMEOUT, self.doors[door].lock()).await.ok()
    }
}

fn stored(found: Option<Versioned>) -> Result<Option<Stored>, KvError> {
    let Some(Versioned { version, operation, content }) = found else { return Ok(None) };
    let value = content.as_ref().map(Value::decode).transpose().map_err(|_| KvError::Damaged)?;
    Ok(Some(Stored { version, operation, value }))
}

#[cfg(test)]
mod tests;
