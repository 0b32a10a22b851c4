//! Upkeep of the copies: what a node does, unasked and slowly, so that every copy is where it should be and no other.
//!
//! [`repair`] makes copies of bodies that are known to lack some. [`comparison`] finds what nobody noticed: bodies
//! and registers that one of two members lacks. [`handover`] passes on bodies that this node holds and need not,
//! [`sweep`] deletes bodies that nobody refers to. All of it is [background work](crate::background): throttled and
//! listed.

pub mod comparison;
pub mod handover;
pub mod registers;
pub mod repair;
pub mod sweep;

use crate::background::{Background, Failure, Throttle};
use crate::driver::Driver;
use crate::files::sweep::ChunkSweep;
use crate::rpc::copies;
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::store::{Store, StoreError};
use scrapering_core::sync::Subject;
use scrapering_core::sync::reading;
use scrapering_core::sync::reconcile::{Difference, Initiator, Set};
use scrapering_core::view::Epoch;
use std::time::Duration;

/// Time between two comparisons of copies, and between two looks for bodies to be handed over.
pub const PERIOD: Duration = Duration::from_secs(30);

/// Starts all upkeep of a node. Must be called within a tokio runtime.
pub fn start(driver: &Driver, background: &Background) {
    background.spawn(repair::Repair::new(driver.clone()), Throttle::REPAIR);
    background.spawn(registers::RegisterComparison::new(driver.clone()), Throttle::REPAIR);
    background.spawn(comparison::BodyComparison::new(driver.clone(), sweep::AGE), Throttle::REPAIR);
    background.spawn(handover::Handover::new(driver.clone()), Throttle::REPAIR);
    background.spawn(sweep::Sweep::new(driver.clone(), sweep::AGE), Throttle::IDLE);
    background.spawn(ChunkSweep::new(driver.clone(), crate::files::sweep::AGE), Throttle::IDLE);
}

/// Why a unit of upkeep came to nothing. Nobody is at fault that could do something about it now: it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// The node's tables cannot be read.
    #[error("this node's disk cannot be read")]
    Store(#[from] StoreError),
    /// The node is stopping.
    #[error("this node is stopping")]
    Stopping,
}

/// Reads this node's tables on a thread that may block.
async fn read<T: Send + 'static>(
    driver: &Driver,
    read: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failure> {
    let read = driver.disk().read(read).await.ok_or(UpkeepError::Stopping)?;
    Ok(read.map_err(UpkeepError::Store)?)
}

/// What this node's copy of `partition` and `node`'s differ in; `None` if `node` does not answer or one of the two
/// may not compare its copy in `epoch`. What was found before `node` fell silent is lost.
async fn compare(
    driver: &Driver,
    node: NodeId,
    subject: Subject,
    partition: Partition,
    epoch: Epoch,
) -> Result<Option<Difference>, Failure> {
    let me = driver.me();
    let places = read(driver, move |store| {
        if reading::root(subject, me, partition, epoch, store)?.is_none() {
            return Ok(None);
        }
        reading::places(subject, partition, store).map(Some)
    });
    let Some(places) = places.await? else { return Ok(None) };
    let mut initiator = Initiator::new(Set::new(places));
    while let Some(question) = initiator.poll_transmit() {
        let answer = copies::compare(driver.peers(), node, subject, partition, epoch, question).await;
        let Some(answer) = answer else { return Ok(None) };
        initiator.handle_reply(&answer)?;
    }
    Ok(Some(initiator.into_difference()))
}

#[cfg(test)]
mod tests;
