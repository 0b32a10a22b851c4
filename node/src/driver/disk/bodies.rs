//! Writes to this node's copies of bodies, made on the disk's thread together with everything else.

use super::Disk;
use bytes::Bytes;
use scrapering_core::body::{BodyRef, shelf};
use scrapering_core::register::Acceptor;
use scrapering_core::store::{Store, StoreError, Transaction};
use scrapering_core::view::Epoch;

/// A change to this node's copies.
pub enum BodyWrite {
    /// Keep this content, put at a time of the wall clock; `true` if it is on disk.
    Keep(BodyRef, Bytes, u64),
    /// The copy is damaged: forget it.
    Forget(BodyRef),
    /// Nobody refers to these: delete those that were put before a time of the wall clock.
    Sweep(Vec<BodyRef>, u64),
    /// Every keeper of the partition was seen to hold these in this epoch: delete them, unless the epoch has passed.
    HandOver(Vec<BodyRef>, Epoch),
}

impl BodyWrite {
    /// Does it; whether anything changed.
    pub(super) fn apply(self, acceptor: &Acceptor, transaction: &mut Transaction<'_>) -> Result<bool, StoreError> {
        match self {
            Self::Keep(body, content, stored_ms) => shelf::keep(body, content, stored_ms, transaction),
            Self::Forget(body) => shelf::forget(body, transaction).map(|()| true),
            Self::Sweep(bodies, before_ms) => {
                bodies.into_iter().try_fold(false, |any, body| Ok(shelf::sweep(body, before_ms, transaction)? || any))
            }
            Self::HandOver(bodies, epoch) => {
                // Who relies on this node's copy in a later epoch must still find it.
                let in_epoch = |body: &BodyRef| {
                    acceptor.partition(body.partition).is_some_and(|slot| slot.replica.view.epoch == epoch)
                };
                let all = !bodies.is_empty() && bodies.iter().all(in_epoch);
                if all {
                    bodies.into_iter().try_for_each(|body| shelf::forget(body, transaction))?;
                }
                Ok(all)
            }
        }
    }
}

impl Disk {
    /// Makes `write` durable; whether it changed anything. `false` also if the disk failed or is closing.
    pub async fn write_bodies(&self, write: BodyWrite) -> bool {
        self.ask(|sender| super::Request::Body(write, sender)).await.unwrap_or(false)
    }

    /// Reads from the tables on a thread that may block, past the disk's own thread; `None` if the node is stopping.
    pub async fn read<T: Send + 'static>(&self, read: impl FnOnce(&dyn Store) -> T + Send + 'static) -> Option<T> {
        // The whole handle goes along: the disk is closed only when every handle is gone.
        let disk = self.clone();
        tokio::task::spawn_blocking(move || read(disk.store.as_ref())).await.ok()
    }
}
