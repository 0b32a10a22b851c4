//! A node: acceptors over a disk with group commit, ballots, and the tasks that it coordinates.

use super::coordinator::Task;
use crate::rules::Rules;
use crate::wire::{Answer, Ask};
use bytes::Bytes;
use scrapering_core::body;
use scrapering_core::id::{Key, NodeId};
use scrapering_core::register::{Accepted, Acceptor, BallotClock, ProposerId, Reply, Request};
use scrapering_core::store::memory::MemoryStore;
use scrapering_core::store::{Batch, ScanLimit, Store, StoreError, Table, Transaction};
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
    /// What was accepted on the way to `batch`, in order.
    pub(super) accepted: Vec<(Key, Accepted)>,
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
    store: MemoryStore,
}

impl Node {
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
            store: MemoryStore::default(),
        };
        node.start(1);
        node
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
        self.store.commit(&batch).expect("a store in memory has no way to fail");
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

    /// Loses everything on disk; only the count of boots is taken over.
    pub(super) fn forget(&mut self) {
        self.store = MemoryStore::default();
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
        let (mut accepted, mut answers) = (Vec::new(), Vec::with_capacity(self.inbox.len()));
        for message in self.inbox.drain(..) {
            let answer = match &message.ask {
                Ask::Register(envelope) => {
                    let reply = rules.answer(&self.acceptor, envelope, &mut transaction)?;
                    accepted.extend(accepted_by(&envelope.request, &reply));
                    Answer::Register(reply)
                }
                Ask::Keep(hash, content) => Answer::Keep(body::keep(*hash, content.clone(), &mut transaction)),
                Ask::Kept(hash) => Answer::Kept(body::kept(*hash, &transaction)?),
            };
            answers.push((message, answer));
        }
        Ok(Flush { batch: transaction.into_batch(), accepted, answers })
    }
}

/// What was accepted when `reply` answered `request`.
fn accepted_by(request: &Request, reply: &Reply) -> Vec<(Key, Accepted)> {
    let (Request::Accept { ballot, writes }, Reply::Accept(answers)) = (request, reply) else { return Vec::new() };
    let granted = writes.iter().zip(answers).filter(|(_, answer)| answer.is_ok());
    granted.map(|((key, value), _)| (key.clone(), Accepted { ballot: *ballot, value: value.clone() })).collect()
}
