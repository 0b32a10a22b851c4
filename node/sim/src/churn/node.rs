//! A node of a large ring: its copies, what it has heard of others, and the machines that it has at work.

use scrapering_core::id::{NodeId, PARTITIONS, Partition};
use scrapering_core::membership::{Liveness, Serving};
use scrapering_core::register::proposal::Proposal;
use scrapering_core::register::{Acceptor, BallotClock, Envelope, ProposerId, Reply, Request};
use scrapering_core::store::memory::MemoryStore;
use scrapering_core::store::{Batch, Store, Transaction};
use scrapering_core::time::Instant;
use scrapering_core::view::{Epoch, Outlook, Standing, Steward, View};
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::rules::Carry;

/// What a node has heard of another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) liveness: Liveness,
    pub(super) serving: Serving,
    pub(super) down_since: Option<Instant>,
    /// Later news have a higher number.
    pub(super) number: u64,
}

/// A machine at work.
pub(super) enum Machine {
    /// An operation of a client, by its place in the history.
    Call(Box<Proposal>, usize),
    /// A part of a duty.
    Part(Box<dyn Carry>, u64),
}

pub(super) struct Task {
    pub(super) machine: Machine,
    /// When it is to be woken; earlier alarms are void.
    pub(super) alarm_us: u64,
}

/// A duty that is being carried out.
pub(super) struct Errand {
    pub(super) partition: Partition,
    pub(super) view: View,
    /// Whom a view is to be led over to when everybody is taught.
    pub(super) desired: Option<Vec<NodeId>>,
    pub(super) parts: usize,
    pub(super) failed: bool,
}

pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) serving: Serving,
    pub(super) acceptor: Acceptor,
    store: MemoryStore,
    pub(super) clock: Arc<BallotClock>,
    /// The newest view known of each partition.
    pub(super) known: Vec<Arc<View>>,
    pub(super) heard: BTreeMap<NodeId, Heard>,
    pub(super) tasks: BTreeMap<u64, Task>,
    pub(super) errands: BTreeMap<u64, Errand>,
    pub(super) steward: Steward,
    /// Whether a duty of the last look was done.
    pub(super) did_something: bool,
    /// Whether the next look is on the clock.
    pub(super) will_look: bool,
    /// Who stays in the ring, as this node has heard; its key among the placements.
    pub(super) staying: Option<Vec<NodeId>>,
}

impl Node {
    pub(super) fn new(id: NodeId, acceptor: Acceptor, serving: Serving) -> Self {
        let nobody = Arc::new(View { epoch: Epoch(0), ..View::genesis(Vec::new()) });
        let mut known = vec![nobody; usize::from(PARTITIONS)];
        for (partition, slot) in acceptor.partitions() {
            known[usize::from(partition.0)] = Arc::new(slot.replica.view.clone());
        }
        let store = MemoryStore::default();
        let mut batch = Batch::default();
        acceptor.persist(&mut batch);
        store.commit(&batch).expect("a store in memory has no way to fail");
        Self {
            id,
            serving,
            acceptor,
            store,
            clock: Arc::new(BallotClock::new(ProposerId { node: id, boot: 1 })),
            known,
            heard: BTreeMap::new(),
            tasks: BTreeMap::new(),
            errands: BTreeMap::new(),
            steward: Steward::default(),
            did_something: false,
            will_look: false,
            staying: None,
        }
    }

    /// Answers; what the answer rests on is on disk.
    pub(super) fn answer(&mut self, envelope: &Envelope) -> Reply {
        let mut transaction = Transaction::new(&self.store);
        let reply = self.acceptor.handle(envelope, &mut transaction).expect("a store in memory has no way to fail");
        let batch = transaction.into_batch();
        if !batch.is_empty() {
            self.store.commit(&batch).expect("a store in memory has no way to fail");
        }
        if matches!(envelope.request, Request::View(_))
            && let Some(slot) = self.acceptor.partition(envelope.partition)
        {
            let view = slot.replica.view.clone();
            self.learn(envelope.partition, &view);
        }
        reply
    }

    /// Takes note of a view; whether it is newer than the one known.
    pub(super) fn learn(&mut self, partition: Partition, view: &View) -> bool {
        let known = &mut self.known[usize::from(partition.0)];
        let is_newer = view.epoch > known.epoch;
        if is_newer {
            *known = Arc::new(view.clone());
        }
        is_newer
    }

    /// The epoch of its own copy of `partition`.
    pub(super) fn own_epoch(&self, partition: Partition) -> Epoch {
        self.acceptor.partition(partition).map_or(Epoch(0), |slot| slot.replica.view.epoch)
    }

    /// Whether it has the whole state of `view`, or that with which it begins.
    pub(super) fn holds(&self, partition: Partition, view: &View) -> bool {
        self.acceptor.partition(partition).is_some_and(|slot| {
            let begins = slot.replica.holds.is_some() && slot.root.fingerprint == view.start;
            begins || (slot.replica.view == *view && slot.replica.holds == Some(view.epoch))
        })
    }

    /// Whether a view that it knows has it as a member.
    pub(super) fn keeps_something(&self) -> bool {
        self.known.iter().any(|view| view.has(self.id))
    }

    /// Others whom it holds for alive.
    pub(super) fn living(&self) -> Vec<NodeId> {
        let living = self.heard.iter().filter(|(_, heard)| heard.liveness == Liveness::Alive);
        living.map(|(node, _)| *node).filter(|node| *node != self.id).collect()
    }
}

impl Outlook for Node {
    fn me(&self) -> NodeId {
        self.id
    }

    fn view(&self, partition: Partition) -> Arc<View> {
        Arc::clone(&self.known[usize::from(partition.0)])
    }

    fn standing(&self, partition: Partition) -> Option<Standing> {
        let known = self.known[usize::from(partition.0)].epoch;
        let slot = self.acceptor.partition(partition).filter(|slot| slot.replica.view.epoch == known);
        slot.map(|slot| slot.replica.standing(self.id))
    }

    fn holds_something(&self, partition: Partition) -> bool {
        let slot = self.acceptor.partition(partition);
        slot.is_some_and(|slot| slot.replica.holds.is_some() || slot.root.entries > 0)
    }

    fn liveness(&self, node: NodeId) -> Liveness {
        if node == self.id {
            return Liveness::Alive;
        }
        self.heard.get(&node).map_or(Liveness::Down, |heard| heard.liveness)
    }

    fn down_since(&self, node: NodeId) -> Option<Instant> {
        self.heard.get(&node).and_then(|heard| heard.down_since)
    }
}
