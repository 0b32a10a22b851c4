//! The background work of a node, in one list.

use crate::background::{Background, Throttle};
use crate::driver::Driver;
use crate::driver::steward::{Steward, ViewExchange};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Starts everything that `driver`'s node does without being asked, until `part` is cancelled.
pub(super) fn start(driver: &Driver, tasks: TaskTracker, part: CancellationToken) -> Background {
    let background = Background::new(tasks, part);
    background.spawn(driver.chord().keeper(), Throttle::NONE);
    background.spawn(ViewExchange::new(driver.clone()), Throttle::NONE);
    background.spawn(Steward::new(driver.clone()), Throttle::NONE);
    crate::upkeep::start(driver, &background);
    background
}
