//! The work: shards of the frontier that this node owns, the workers that fetch for them, the jobs it coordinates.
//!
//! `shards` is one task that holds every owned [`Shard`](scrapering_core::frontier::Shard) and does what they
//! ask for; everything else is a task of its own that reports back to it.

mod addresses;
pub mod bodies;
mod budget;
mod claim;
mod cookies;
mod coordinator;
pub mod cursor;
mod dedup;
pub mod deliveries;
mod desks;
mod doors;
mod errands;
pub mod exports;
mod handlers;
pub mod hosts;
pub mod jobs;
pub mod ledger;
pub mod opt_outs;
mod outlinks;
pub mod outputs;
mod reopen;
mod revisit;
mod router;
pub mod schedules;
mod shards;
mod slots;
mod specs;
pub mod urls;
pub mod waiting;
mod webhooks;
mod witness;
mod worker;

pub use doors::Jobs;
pub use hosts::Hosts;
pub use schedules::Schedules;

use crate::driver::Driver;
use crate::fetch::Fetcher;
use crate::kv::RingRegisters;
use crate::metrics::Metrics;
use addresses::Addresses;
use coordinator::Coordinators;
use errands::Errands;
use router::Router;
use schedules::Keepers;
use scrapering_core::frontier::shard::Policy;
use shards::Shards;
use slots::Slots;
use specs::Specs;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use witness::Witness;

/// Most pages between their answer and the acknowledgement of their links; more wait as they came.
const MOST_TAKEN_IN: usize = 32;

/// Most outputs that are written at once; each keeps a part in memory.
const MOST_WRITERS: usize = 2;

/// Everything the crawl's tasks share. A cheap clone.
#[derive(Clone)]
pub struct Crawl {
    driver: Driver,
    fetcher: Fetcher,
    shards: Shards,
    router: Router,
    specs: Specs,
    coordinators: Coordinators,
    errands: Errands,
    /// Schedules, as anybody may read and change them.
    registers: RingRegisters,
    keepers: Keepers,
    addresses: Addresses,
    slots: Slots,
    witness: Witness,
    /// What the operator asks of every visit.
    policy: Policy,
    /// Pages being parsed: as many as there are cores.
    parsers: Arc<Semaphore>,
    /// Pages between their answer and the acknowledgement of their links.
    intake: Arc<Semaphore>,
    /// Outputs being written.
    writers: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Crawl {
    /// Starts the crawl of a node; it ends with `stop`, and `tasks` with it. Must be called within a tokio runtime.
    #[must_use]
    pub fn start(
        driver: Driver,
        registers: RingRegisters,
        fetcher: Fetcher,
        policy: Policy,
        metrics: Metrics,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let (shards, inbox) = Shards::channel();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let crawl = Self {
            router: Router::new(driver.clone()),
            specs: Specs::new(driver.clone()),
            coordinators: Coordinators::default(),
            errands: Errands::default(),
            registers,
            keepers: Keepers::default(),
            addresses: Addresses::default(),
            slots: Slots::default(),
            witness: Witness::new(metrics),
            policy,
            parsers: Arc::new(Semaphore::new(cores)),
            intake: Arc::new(Semaphore::new(MOST_TAKEN_IN)),
            writers: Arc::new(Semaphore::new(MOST_WRITERS)),
            driver,
            fetcher,
            shards,
            tasks,
            stop,
        };
        crawl.spawn(shards::run(crawl.clone(), inbox));
        crawl
    }

    /// What the doors need.
    #[must_use]
    pub fn jobs(&self) -> Jobs {
        Jobs::new(self.clone())
    }

    /// The hosts, for the doors.
    #[must_use]
    pub fn hosts(&self) -> Hosts {
        Hosts::new(self.clone())
    }

    /// Runs `task` until it ends or the node stops.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }
}
