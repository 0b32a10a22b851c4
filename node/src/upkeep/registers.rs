//! Finds register entries that another member lacks: every 30 seconds with one co-member of this node's partitions.
//!
//! What whole copies amount to is compared first, in one message; of partitions that differ the entries are, and
//! what the other lacks is sent as the accepts that this node has seen: applied under the acceptor's rule, in the
//! present epoch only. What this node lacks the other sends when its turn comes.

use super::{PERIOD, compare, read};
use crate::background::{Failure, Next, Progress, Task};
use crate::driver::Driver;
use rand::seq::IteratorRandom;
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::register::message::{Envelope, Reply, Request};
use scrapering_core::sync::{EntryId, Subject, reading};
use scrapering_core::view::Epoch;
use scrapering_core::view::message::{self, Guard};
use std::collections::{BTreeSet, VecDeque};

/// Most entries sent at a time.
const AT_A_TIME: usize = 256;

/// What is to be done in a round.
enum Step {
    /// The partition's copies differ.
    Compare(Partition),
    /// The other lacks this node's entries under these names, or has older ones.
    Send(Partition, Epoch, Vec<Vec<u8>>),
}

/// The task.
pub struct RegisterComparison {
    driver: Driver,
    with: NodeId,
    steps: VecDeque<Step>,
    sent: u64,
}

impl RegisterComparison {
    /// Compares `driver`'s registers.
    #[must_use]
    pub fn new(driver: Driver) -> Self {
        let with = driver.me();
        Self { driver, with, steps: VecDeque::new(), sent: 0 }
    }

    /// Begins a round with another member.
    async fn begin(&mut self) -> Result<(), Failure> {
        let me = self.driver.me();
        let views = Partition::all().map(|partition| (partition, self.driver.keepers(partition).0));
        let mine: Vec<_> = views.filter(|(_, view)| view.has(me)).collect();
        let others: BTreeSet<NodeId> = mine.iter().flat_map(|(_, view)| view.members.iter().copied()).collect();
        let living = others.into_iter().filter(|node| *node != me && self.driver.members().is_alive(*node));
        let Some(with) = living.choose(&mut rand::rng()) else { return Ok(()) };
        self.with = with;
        let shared = mine.into_iter().filter(|(_, view)| view.has(with));
        let shared: Vec<_> = shared.map(|(partition, view)| (partition, view.epoch)).collect();
        let roots = read(&self.driver, move |store| {
            let mut roots = Vec::with_capacity(shared.len());
            for (partition, epoch) in shared {
                let root = reading::root(Subject::Registers, me, partition, epoch, store)?;
                roots.extend(root.map(|root| (partition, epoch, root)));
            }
            Ok(roots)
        });
        let peers = self.driver.peers();
        let different = crate::rpc::copies::compare_roots(peers, with, Subject::Registers, roots.await?).await;
        self.steps.extend(different.into_iter().flatten().map(Step::Compare));
        Ok(())
    }

    /// Finds what the other lacks.
    async fn compare(&mut self, partition: Partition) -> Result<(), Failure> {
        let epoch = self.driver.keepers(partition).0.epoch;
        let difference = compare(&self.driver, self.with, Subject::Registers, partition, epoch).await?;
        let lacking: BTreeSet<EntryId> = difference.map(|difference| difference.ours).unwrap_or_default();
        if lacking.is_empty() {
            return Ok(());
        }
        let names = read(&self.driver, move |store| reading::names(partition, store)).await?;
        let names: Vec<Vec<u8>> =
            names.into_iter().filter(|(id, _)| lacking.contains(id)).map(|(_, name)| name).collect();
        self.steps.extend(names.chunks(AT_A_TIME).map(|names| Step::Send(partition, epoch, names.to_vec())));
        Ok(())
    }

    /// Sends as many as fit one message; the rest is to be sent next.
    async fn send(&mut self, partition: Partition, epoch: Epoch, mut names: Vec<Vec<u8>>) {
        let envelope = |request| Envelope { partition, epoch, request: Request::View(request) };
        // Asked of the acceptor itself: if the epoch has passed, so has the right to send.
        let fetch = envelope(message::Request::Fetch { names: names.clone() });
        let Reply::View(message::Reply::Fetch(found)) = self.driver.disk().handle(fetch).await else { return };
        let rest = names.split_off(found.len().min(names.len()));
        let count = found.len() as u64;
        let entries = names.into_iter().zip(found).collect();
        let adopt = envelope(message::Request::Adopt { guard: Guard::Relay, remove: Vec::new(), entries });
        if count == 0 || self.driver.peers().exchange(self.with, adopt).await.is_none() {
            return;
        }
        self.sent += count;
        if !rest.is_empty() {
            self.steps.push_front(Step::Send(partition, epoch, rest));
        }
    }
}

impl Task for RegisterComparison {
    fn name(&self) -> &'static str {
        "register comparison"
    }

    fn progress(&self) -> Progress {
        let text = if self.steps.is_empty() { String::new() } else { format!("with node {}", self.with) };
        Progress { done: self.sent, remaining: Some(self.steps.len() as u64), text }
    }

    async fn work(&mut self) -> Result<Next, Failure> {
        match self.steps.pop_front() {
            None => self.begin().await?,
            Some(Step::Compare(partition)) => self.compare(partition).await?,
            Some(Step::Send(partition, epoch, names)) => self.send(partition, epoch, names).await,
        }
        Ok(if self.steps.is_empty() { Next::Wait(PERIOD) } else { Next::Work })
    }
}
