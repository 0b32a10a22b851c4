//! Locks with a time to live and fencing tokens, on registers (see [`scrapering_core::lock`] for the rule and its
//! limit): acquire, renew, release, show, through any node.
//!
//! The rule compares durations of one node's monotonic clock only. It holds as long as the clocks of holder and
//! contender run at about the same rate; what the lock guards must check the token to be safe without that.

use crate::auth::Tenant;
use crate::kv::{Kv, KvError};
use scrapering_core::id::{Key, OperationId};
use scrapering_core::kv::UserKey;
use scrapering_core::lock::{self, Claim, Observations};
use scrapering_core::register::{Change, Versioned};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Locks of others that a node watches grow old, at most.
const MOST_OBSERVED: usize = 16_384;

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Who holds it.
    pub owner: String,
    /// How long it is held after its last change.
    pub ttl: Duration,
    /// The holder's token: the register's version.
    pub token: u64,
    /// For how long this node has seen it unchanged; at `ttl` it can be taken over through this node.
    pub unchanged: Duration,
    /// The operation that acquired or renewed it.
    pub operation: OperationId,
}

/// Why a request about a lock was not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Another holds it. Nothing changed.
    #[error("the lock is held by {}; it can be taken over when its time to live of {} s has passed unrenewed", .0.owner, .0.ttl.as_secs())]
    Held(Held),
    /// The token is not the newest of the lock: it was released, or taken over by another. Nothing changed.
    #[error("the token {token} does not hold the lock any more")]
    Lost {
        /// The caller's.
        token: u64,
    },
    /// As for any register.
    #[error(transparent)]
    Kv(#[from] KvError),
}

/// The locks of a ring. A cheap clone.
#[derive(Clone)]
pub struct Locks {
    kv: Kv,
    observations: Arc<Mutex<Observations>>,
}

impl Locks {
    /// Locks on the registers of `kv`.
    #[must_use]
    pub fn new(kv: Kv) -> Self {
        Self { kv, observations: Arc::new(Mutex::new(Observations::new(MOST_OBSERVED))) }
    }

    /// Takes the lock for `claim`; its token. The same operation again gives the same token.
    ///
    /// # Errors
    /// [`LockError::Held`]: this call begins to watch the holder grow old, and a later one through the same node,
    /// after a whole time to live without a change, takes the lock over.
    pub async fn acquire(
        &self,
        tenant: &Tenant,
        name: &UserKey,
        claim: &Claim,
        operation: OperationId,
    ) -> Result<u64, LockError> {
        let register = lock::register(tenant.as_str(), name);
        let content = lock::encode(Some(claim));
        let found = self.kv.read(register.clone()).await?;
        let change = match &found {
            Some(Versioned { version, operation: last, .. }) if *last == operation => return Ok(*version),
            Some(Versioned { version, content: Some(_), operation: last }) => {
                let claimed = found.as_ref().map_or(Ok(None), claim_of)?;
                if let Some(Claim { owner, ttl_ms }) = claimed {
                    let unchanged = self.observe(&register, *version);
                    let held = Held {
                        owner,
                        ttl: Duration::from_millis(ttl_ms),
                        token: *version,
                        unchanged,
                        operation: *last,
                    };
                    if unchanged < held.ttl {
                        return Err(LockError::Held(held));
                    }
                }
                Change::CompareAndSet { version: *version, content }
            }
            _ => Change::Create(content),
        };
        match self.kv.change(register.clone(), change, operation).await {
            Ok(taken) => {
                self.forget(&register);
                Ok(taken.map_or(0, |taken| taken.version))
            }
            // Somebody was faster: whoever that is holds it now.
            Err(KvError::Precondition { .. }) => match self.show(tenant, name).await? {
                Some(held) => Err(LockError::Held(held)),
                None => Err(KvError::Unavailable.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Holds the lock of `token` for another time to live; its next token.
    ///
    /// # Errors
    /// [`LockError::Lost`] and those of any register.
    pub async fn renew(
        &self,
        tenant: &Tenant,
        name: &UserKey,
        token: u64,
        operation: OperationId,
    ) -> Result<Held, LockError> {
        let register = lock::register(tenant.as_str(), name);
        let (found, claim) = self.held(&register, token, operation).await?;
        if found.operation == operation {
            return Ok(held(&found, claim, Duration::ZERO));
        }
        let content = lock::encode(Some(&claim));
        let change = Change::CompareAndSet { version: token, content };
        match self.kv.change(register, change, operation).await {
            Ok(Some(renewed)) => Ok(held(&renewed, claim, Duration::ZERO)),
            Ok(None) | Err(KvError::Precondition { .. }) => Err(LockError::Lost { token }),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the lock of `token` back. A token that has released it already has released it.
    ///
    /// # Errors
    /// [`LockError::Lost`] and those of any register.
    pub async fn release(
        &self,
        tenant: &Tenant,
        name: &UserKey,
        token: u64,
        operation: OperationId,
    ) -> Result<(), LockError> {
        let register = lock::register(tenant.as_str(), name);
        // A released lock stays a register, so that tokens go on growing.
        let change = Change::CompareAndSet { version: token, content: lock::encode(None) };
        match self.kv.change(register.clone(), change, operation).await {
            Ok(_) => {
                self.forget(&register);
                Ok(())
            }
            Err(KvError::Precondition { .. }) => {
                let found = self.kv.read(register).await?;
                let released = found.filter(|found| found.version == token.saturating_add(1));
                match released.map(|found| claim_of(&found)).transpose()? {
                    Some(None) => Ok(()),
                    _ => Err(LockError::Lost { token }),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Who holds the lock; `None` if nobody does.
    ///
    /// # Errors
    /// Those of any register.
    pub async fn show(&self, tenant: &Tenant, name: &UserKey) -> Result<Option<Held>, KvError> {
        let register = lock::register(tenant.as_str(), name);
        let Some(found) = self.kv.read(register.clone()).await? else { return Ok(None) };
        let Some(claim) = claim_of(&found)? else { return Ok(None) };
        let unchanged = self.observe(&register, found.version);
        Ok(Some(held(&found, claim, unchanged)))
    }

    /// The lock as `token` holds it, or as the renewal `operation` has left it.
    async fn held(&self, register: &Key, token: u64, operation: OperationId) -> Result<(Versioned, Claim), LockError> {
        let found = self.kv.read(register.clone()).await?;
        let found = found.filter(|found| found.version == token || found.operation == operation);
        let found = found.ok_or(LockError::Lost { token })?;
        let claim = claim_of(&found)?.ok_or(LockError::Lost { token })?;
        Ok((found, claim))
    }

    /// For how long `register` is known to have had `version`; called when it was read.
    fn observe(&self, register: &Key, version: u64) -> Duration {
        let now = self.kv.now();
        self.observations.lock().unwrap_or_else(PoisonError::into_inner).observe(register, version, now)
    }

    fn forget(&self, register: &Key) {
        self.observations.lock().unwrap_or_else(PoisonError::into_inner).forget(register);
    }
}

fn held(found: &Versioned, claim: Claim, unchanged: Duration) -> Held {
    let ttl = claim.ttl();
    Held { owner: claim.owner, ttl, token: found.version, unchanged, operation: found.operation }
}

fn claim_of(found: &Versioned) -> Result<Option<Claim>, KvError> {
    let Some(content) = &found.content else { return Ok(None) };
    lock::decode(content).map_err(|_| KvError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::memory::{Fault, MemoryRegisters};

    struct Room {
        registers: MemoryRegisters,
        tenant: Tenant,
        name: UserKey,
    }

    impl Room {
        fn new() -> Self {
            let name = "nightly".parse().expect("name");
            Self { registers: MemoryRegisters::default(), tenant: Tenant::default(), name }
        }

        /// The locks as one node sees them.
        fn node(&self) -> Locks {
            Locks::new(Kv::new(self.registers.clone()))
        }

        async fn acquire(&self, locks: &Locks, owner: &str) -> Result<u64, LockError> {
            let claim = Claim { owner: owner.to_owned(), ttl_ms: 10_000 };
            locks.acquire(&self.tenant, &self.name, &claim, OperationId(rand::random())).await
        }

        async fn renew(&self, locks: &Locks, token: u64) -> Result<u64, LockError> {
            let renewed = locks.renew(&self.tenant, &self.name, token, OperationId(rand::random())).await;
            renewed.map(|held| held.token)
        }

        async fn release(&self, locks: &Locks, token: u64) -> Result<(), LockError> {
            locks.release(&self.tenant, &self.name, token, OperationId(rand::random())).await
        }

        fn pass(&self, seconds: u64) {
            self.registers.pass(Duration::from_secs(seconds));
        }
    }

    fn holder(result: Result<u64, LockError>) -> String {
        match result {
            Err(LockError::Held(held)) => held.owner,
            other => panic!("not held: {other:?}"),
        }
    }

    #[tokio::test]
    async fn tokens_grow_also_after_a_release() {
        let room = Room::new();
        let locks = room.node();
        assert_eq!(room.acquire(&locks, "ada").await, Ok(1));
        assert_eq!(room.renew(&locks, 1).await, Ok(2));
        assert_eq!(holder(room.acquire(&locks, "bob").await), "ada");
        assert_eq!(room.release(&locks, 2).await, Ok(()));
        assert_eq!(room.release(&locks, 2).await, Ok(()), "released already, by this very token");
        assert_eq!(locks.show(&room.tenant, &room.name).await, Ok(None));
        assert_eq!(room.acquire(&locks, "bob").await, Ok(4));
        for token in [1, 2, 3] {
            assert_eq!(room.renew(&locks, token).await, Err(LockError::Lost { token }));
            assert_eq!(room.release(&locks, token).await, Err(LockError::Lost { token }));
        }
        let shown = locks.show(&room.tenant, &room.name).await.expect("show").expect("held");
        assert_eq!((shown.owner.as_str(), shown.token), ("bob", 4));
    }

    #[tokio::test]
    async fn a_dead_holder_is_taken_over_after_a_whole_time_to_live_seen_by_the_contenders_own_node() {
        let room = Room::new();
        let (here, there) = (room.node(), room.node());
        assert_eq!(room.acquire(&here, "ada").await, Ok(1));
        room.pass(3600);
        assert_eq!(holder(room.acquire(&there, "bob").await), "ada", "seen for the first time: its age is not known");
        room.pass(9);
        assert_eq!(holder(room.acquire(&there, "bob").await), "ada");
        room.pass(1);
        assert_eq!(room.acquire(&there, "bob").await, Ok(2));
        assert_eq!(room.renew(&here, 1).await, Err(LockError::Lost { token: 1 }));
    }

    #[tokio::test]
    async fn a_holder_that_renews_is_never_taken_over() {
        let room = Room::new();
        let (here, there) = (room.node(), room.node());
        let mut token = room.acquire(&here, "ada").await.expect("free");
        for _ in 0..20 {
            assert_eq!(holder(room.acquire(&there, "bob").await), "ada");
            room.pass(9);
            token = room.renew(&here, token).await.expect("held");
        }
        room.release(&here, token).await.expect("held");
        assert_eq!(room.acquire(&there, "bob").await, Ok(token + 2), "a released lock is free at once");
    }

    #[tokio::test]
    async fn a_request_that_is_sent_again_gives_the_same_token() {
        let room = Room::new();
        let locks = room.node();
        let claim = Claim { owner: "ada".to_owned(), ttl_ms: 10_000 };
        let acquire = || locks.acquire(&room.tenant, &room.name, &claim, OperationId(7));
        room.registers.fail_with(Some(Fault::DoneUnknown));
        assert_eq!(acquire().await, Err(LockError::Kv(KvError::Unknown)));
        room.registers.fail_with(None);
        assert_eq!(acquire().await, Ok(1));
        let renew = || locks.renew(&room.tenant, &room.name, 1, OperationId(8));
        room.registers.fail_with(Some(Fault::DoneUnknown));
        assert_eq!(renew().await.map(|held| held.token), Err(LockError::Kv(KvError::Unknown)));
        room.registers.fail_with(None);
        assert_eq!(renew().await.map(|held| held.token), Ok(2));
    }

    #[tokio::test]
    async fn without_a_majority_nothing_is_locked() {
        let room = Room::new();
        let locks = room.node();
        room.registers.fail_with(Some(Fault::NoMajority));
        assert_eq!(room.acquire(&locks, "ada").await, Err(LockError::Kv(KvError::Unavailable)));
    }
}
