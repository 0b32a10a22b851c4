//! A node: acceptors over a disk with group commit, ballots, and the tasks that it coordinates.

use super::coordinator::Task;
use super::note::{self, Note};
use crate::rules::Rules;
use crate::wire::{Answer, Ask};
use bytes::Bytes;
use scrapering_core::body::shelf;
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::register::{Acceptor, BallotClock, ProposerId};
use scrapering_core::store::memory::MemoryStore;
use scrapering_core::store::{Batch, ScanLimit, Store, StoreError, Table, Transaction};
use scrapering_core::view::{Epoch, View};
use std::collections::BTreeMap;
use std::sync::Arc;

const BOOT: &[u8] = b"boot";

/// A request on its way, with where its answer belongs.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) from: usize,
    /// The life of the asking process; a later life does not know the task.
    pub(super) life: u32,
    pub(super) task: u64,
    pub(super) round: u64,
    pub(super) ask: Ask,
}

/// A message with its answer.
pub(super) type Answered = (Message, Answer);

/// A batch on its way to the disk and the answers that wait for it.
pub(super) struct Flush {
    pub(super) batch: Batch,
    /// What was done on the way to `batch`, in order.
    pub(super) notes: Vec<Note>,
    pub(super) answers: Vec<Answered>,
}

pub(super) struct Node {
    pub(super) index: usize,
    pub(super) id: NodeId,
    pub(super) acceptor: Acceptor,
    pub(super) clock: Arc<BallotClock>,
    /// Counts the lives of the process, whatever the disk remembers.
    pub(super) life: u32,
    pub(super) up: bool,
    pub(super) paused_until_us: u64,
    pub(super) inbox: Vec<Message>,
    pub(super) flush: Option<Flush>,
    pub(super) tasks: BTreeMap<u64, Task>,
    /// The newest view of each partition that this life of the process has heard of.
    pub(super) known: BTreeMap<Partition, View>,
    /// Since when this life of the process has seen its replica sealed, microseconds.
    pub(super) sealed_since_us: BTreeMap<Partition, u64>,
    pub(super) store: MemoryStore,
}

impl Node {
    /// A node that begins with the ring.
    pub(super) fn new(index: usize, id: NodeId, acceptor: Acceptor) -> Self {
        let mut node = Self {
            index,
            id,
            acceptor,
            clock: Arc::new(BallotClock::new(ProposerId { node: id, boot: 0 })),
            life: 0,
            up: true,
            paused_until_us: 0,
            inbox: Vec::new(),
            flush: None,
            tasks: BTreeMap::new(),
            known: BTreeMap::new(),
            sealed_since_us: BTreeMap::new(),
            store: MemoryStore::default(),
        };
        node.begin();
        node.start(1);
        node
    }

    /// Writes down what the acceptors begin with.
    fn begin(&mut self) {
        let mut batch = Batch::default();
        self.acceptor.persist(&mut batch);
        self.commit(&batch);
    }

    /// The acceptors as the disk has them; what was not made durable is forgotten.
    pub(super) fn reload(&mut self) {
        self.acceptor = Acceptor::load(self.id, &self.store).expect("a store in memory has no way to fail");
    }

    /// The boot number on disk.
    pub(super) fn boot(&self) -> u32 {
        let stored = self.store.read(Table::Meta, BOOT).ok().flatten();
        stored.and_then(|bytes| Some(u32::from_be_bytes(bytes.as_ref().try_into().ok()?))).unwrap_or(0)
    }

    /// Begins a life of the process: `boot` is on disk before the first ballot.
    pub(super) fn start(&mut self, boot: u32) {
        let mut batch = Batch::default();
        batch.put(Table::Meta, BOOT.to_vec(), boot.to_be_bytes().to_vec());
        self.commit(&batch);
        self.reload();
        self.known.clear();
        self.sealed_since_us.clear();
        self.learn_from_disk();
        self.clock = Arc::new(BallotClock::new(ProposerId { node: self.id, boot }));
        self.life += 1;
        self.up = true;
        self.paused_until_us = 0;
    }

    /// Ends the process; what was on its way to the disk arrives whole (`durable`) or not at all.
    pub(super) fn crash(&mut self, durable: bool) -> (Option<Flush>, Vec<Task>) {
        self.up = false;
        self.inbox.clear();
        let written = self.flush.take().filter(|_| durable);
        if let Some(flush) = &written {
            self.commit(&flush.batch);
        }
        (written, std::mem::take(&mut self.tasks).into_values().collect())
    }

    /// Takes note of a view if it is newer than the one known.
    pub(super) fn learn(&mut self, partition: Partition, view: &View) {
        let known = self.known.get(&partition).map_or(Epoch(0), |known| known.epoch);
        if view.epoch > known {
            self.known.insert(partition, view.clone());
        }
    }

    /// Takes note of the views of its own replicas.
    pub(super) fn learn_from_disk(&mut self) {
        let own: Vec<(Partition, View)> =
            self.acceptor.partitions().map(|(partition, slot)| (partition, slot.replica.view.clone())).collect();
        own.iter().for_each(|(partition, view)| self.learn(*partition, view));
    }

    /// The epochs of the views known.
    pub(super) fn epochs(&self) -> Vec<(Partition, Epoch)> {
        self.known.iter().map(|(partition, view)| (*partition, view.epoch)).collect()
    }

    /// Loses everything on disk and begins anew; only the count of boots is taken over.
    pub(super) fn forget(&mut self, acceptor: Acceptor) {
        self.store = MemoryStore::default();
        self.acceptor = acceptor;
        self.begin();
    }

    pub(super) fn commit(&self, batch: &Batch) {
        self.store.commit(batch).expect("a store in memory has no way to fail");
    }

    /// The bodies on disk.
    pub(super) fn kept_bodies(&self) -> Vec<(Bytes, Bytes)> {
        let everything = ScanLimit { entries: usize::MAX, bytes: usize::MAX };
        self.store.scan(Table::Bodies, &[], None, everything).expect("a store in memory has no way to fail")
    }

    /// Handles all that waits as one transaction; what it writes goes into one fsync.
    pub(super) fn handle_inbox(&mut self, rules: &dyn Rules) -> Result<Flush, StoreError> {
        let mut transaction = Transaction::new(&self.store);
        let (mut notes, mut answers) = (Vec::new(), Vec::with_capacity(self.inbox.len()));
        for message in self.inbox.drain(..) {
            let answer = match &message.ask {
                Ask::Register(envelope) => {
                    let before = note::Before::of(&self.acceptor, envelope, &transaction)?;
                    let reply = rules.answer(&mut self.acceptor, envelope, &mut transaction)?;
                    notes.extend(before.notes(&self.acceptor, envelope, &reply, &transaction)?);
                    Answer::Register(reply)
                }
                Ask::Keep(body, content) => Answer::Keep(shelf::keep(*body, content.clone(), 0, &mut transaction)?),
                Ask::Kept(body) => Answer::Kept(shelf::read(*body, &self.store)?.into_content()),
                Ask::Views(epochs) => {
                    let newer = epochs.iter().filter_map(|(partition, epoch)| {
                        let view = self.known.get(partition).filter(|view| view.epoch > *epoch)?;
                        Some((*partition, view.clone()))
                    });
                    Answer::Views(newer.collect())
                }
            };
            answers.push((message, answer));
        }
        Ok(Flush { batch: transaction.into_batch(), notes, answers })
    }
}
