//! A node's parting: what it does before its process is stopped, so that nobody misses it.
//!
//! `scrapering prestop` asks for it through the local door. What the parting is depends on what the node is about: one that
//! leaves the ring for good hands over first; one that will be back ends its work and tells the others, who take over at
//! once; where nobody is left to take over, as when the whole ring is stopped, nothing is waited for.

use super::control::RingControl;
use crate::crawl::Crawl;
use crate::gateway::Visitors;
use std::fmt;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long pages that are being fetched may take to come to their end; later ones are fetched again by another node.
const WORK_LIMIT: Duration = Duration::from_secs(20);
/// How long the others may take to own what this node owned.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(15);
/// For so long nobody must have come to the gateway: load balancers have heard then that others are to be used.
const QUIET: Duration = Duration::from_secs(2);
/// How long visitors are waited for to stay away.
const QUIET_LIMIT: Duration = Duration::from_secs(10);
/// A node that has made way and is not stopped is of no use: after so long it ends by itself.
const STAY: Duration = Duration::from_secs(30);

/// What came of a parting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parted {
    /// The node has left its ring for good, and has handed over what it kept.
    Left,
    /// It was told to stop already, or meanwhile.
    Stopped,
    /// It will be back.
    MadeWay {
        /// Whether every page that was being fetched came to its end.
        has_ended_work: bool,
        /// Nodes that have heard of it.
        told: usize,
        /// Living nodes that should have.
        others: usize,
        /// Partitions whose work it led.
        led: usize,
        /// Of these, the ones that nobody has taken over.
        left: usize,
        /// Whether clients went elsewhere.
        is_quiet: bool,
        /// How long all of it took.
        took: Duration,
    },
}

impl fmt::Display for Parted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("the node has left its ring and handed over what it kept"),
            Self::Stopped => f.write_str("the node is being stopped already"),
            Self::MadeWay { has_ended_work, told, others, led, left, is_quiet, took } => {
                write!(f, "the node has made way after {:.1} s", took.as_secs_f64())?;
                write!(
                    f,
                    ": {told} of {others} other nodes have heard it, {} of {led} partitions are led by others",
                    led - left
                )?;
                if !has_ended_work {
                    f.write_str(", pages that were being fetched will be fetched again")?;
                }
                if !is_quiet {
                    f.write_str(", clients still come")?;
                }
                Ok(())
            }
        }
    }
}

/// A node's way out. A cheap clone.
#[derive(Clone)]
pub struct Parting {
    control: RingControl,
    crawl: Crawl,
    visitors: Visitors,
    stop: CancellationToken,
    is_over: CancellationToken,
}

impl Parting {
    /// Of the node that `stop` ends.
    pub(super) fn new(control: RingControl, crawl: Crawl, visitors: Visitors, stop: CancellationToken) -> Self {
        Self { control, crawl, visitors, stop, is_over: CancellationToken::new() }
    }

    /// Makes way, and returns when the node may be stopped: one that comes back after 50 seconds at most, one that leaves for
    /// good when it has handed over. Once more is no error, and dropped it can be begun again; there is no way back.
    pub async fn part(&self) -> Parted {
        let parted = tokio::select! {
            () = self.stop.cancelled() => Parted::Stopped,
            () = self.control.out() => Parted::Left,
            parted = self.make_way(), if !self.control.leaves() => parted,
        };
        tracing::info!("{parted}");
        if matches!(parted, Parted::MadeWay { .. }) {
            self.is_over.cancel();
        }
        parted
    }

    async fn make_way(&self) -> Parted {
        let begun = Instant::now();
        tracing::info!("the node is to be stopped: it takes on nothing new");
        self.control.make_way();
        self.visitors.see_off();
        let owned = self.crawl.drain(WORK_LIMIT).await;
        let has_ended_work = owned.is_some();
        let (told, others) = self.control.driver().members().step_back().await;
        let owned = owned.unwrap_or_default();
        let led = owned.len();
        let left = self.crawl.taken_over(owned, TAKEOVER_LIMIT).await;
        let is_quiet = others == 0 || self.visitors.stay_away(QUIET, QUIET_LIMIT).await;
        Parted::MadeWay { has_ended_work, told, others, led, left, is_quiet, took: begun.elapsed() }
    }

    /// Returns when the node has made way and was not stopped for half a minute.
    pub async fn outstayed(&self) {
        self.is_over.cancelled().await;
        tokio::time::sleep(STAY).await;
        tracing::warn!("the node has made way and nobody has stopped it: it ends by itself");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_parting_is_told_in_a_sentence() {
        let whole = Parted::MadeWay {
            has_ended_work: true,
            told: 4,
            others: 4,
            led: 51,
            left: 0,
            is_quiet: true,
            took: Duration::from_millis(3_240),
        };
        assert_eq!(
            whole.to_string(),
            "the node has made way after 3.2 s: 4 of 4 other nodes have heard it, 51 of 51 partitions are led by others"
        );
        let Parted::MadeWay { told, others, led, took, .. } = whole else { panic!("it makes way") };
        let hurried = Parted::MadeWay { has_ended_work: false, told, others, led, left: 51, is_quiet: false, took };
        let words = hurried.to_string();
        assert!(
            words.contains("0 of 51") && words.contains("fetched again") && words.contains("still come"),
            "{words}"
        );
    }
}
