//! The node's disk: one thread that handles what waits, makes it durable with one fsync, and only then answers.

mod bodies;

pub use bodies::BodyWrite;

use super::views::Views;
use crate::traces;
use scrapering_core::kv::PREFIX;
use scrapering_core::register::message::{Envelope, Reply};
use scrapering_core::register::{self, Acceptor};
use scrapering_core::store::{Store, StoreError, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tracing::Span;

/// Requests that wait for the disk; more wait with their senders.
const QUEUE: usize = 4096;
/// Accepted names that who listens may be behind; then the listening ends.
const WRITTEN: usize = 8192;
/// Most requests made durable together.
const GROUP: usize = 256;

enum Request {
    Envelope(Envelope, oneshot::Sender<Reply>),
    Body(BodyWrite, oneshot::Sender<bool>),
}

/// A request, and the span that it belongs to.
type Waiting = (Request, Span);

/// An answer that waits for the fsync.
enum Answer {
    Reply(oneshot::Sender<Reply>, Reply),
    Body(oneshot::Sender<bool>, bool),
}

/// A handle to the disk's thread. A cheap clone; the thread ends with the last one.
#[derive(Clone)]
pub struct Disk {
    /// For reads. Gone before `requests` is, so that the thread which ends with the last handle is the last user.
    store: Arc<dyn Store>,
    requests: mpsc::Sender<Waiting>,
    written: broadcast::Sender<Arc<[u8]>>,
    damaged: watch::Sender<bool>,
    full: Arc<AtomicBool>,
}

impl Disk {
    /// Starts the thread.
    ///
    /// # Errors
    /// From the operating system, if it has no thread to give.
    pub fn start(
        store: Arc<dyn Store>,
        acceptor: Acceptor,
        views: Views,
    ) -> io::Result<(Self, std::thread::JoinHandle<()>)> {
        let (requests, inbox) = mpsc::channel(QUEUE);
        let full = Arc::<AtomicBool>::default();
        let told = Arc::clone(&full);
        let reads = Arc::clone(&store);
        let written = broadcast::Sender::new(WRITTEN);
        let (tell, damaged) = (written.clone(), watch::Sender::new(false));
        let server = Server { store, acceptor, views, full: told, damaged: damaged.clone(), tell };
        let thread = std::thread::Builder::new().name("disk".to_owned()).spawn(move || server.serve(inbox))?;
        Ok((Self { store: reads, requests, written, damaged, full }, thread))
    }

    /// Whether the last write found no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Becomes true when what was written cannot be read any more: this node can no longer keep its promises.
    #[must_use]
    pub fn damaged(&self) -> watch::Receiver<bool> {
        self.damaged.subscribe()
    }

    /// Names of the key-value store's registers, from now on, once what was accepted for them is durable.
    #[must_use]
    pub fn written(&self) -> broadcast::Receiver<Arc<[u8]>> {
        self.written.subscribe()
    }

    /// This node's acceptors answer `envelope`; [`Reply::Refused`] if the disk failed or is closing.
    pub async fn handle(&self, envelope: Envelope) -> Reply {
        self.ask(|sender| Request::Envelope(envelope, sender)).await.unwrap_or(Reply::Refused)
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.requests.send((request(sender), traces::here())).await.ok()?;
        receiver.await.ok()
    }
}

/// What the thread owns.
struct Server {
    store: Arc<dyn Store>,
    acceptor: Acceptor,
    views: Views,
    full: Arc<AtomicBool>,
    damaged: watch::Sender<bool>,
    tell: broadcast::Sender<Arc<[u8]>>,
}

impl Server {
    fn serve(mut self, mut inbox: mpsc::Receiver<Waiting>) {
        let mut group = Vec::with_capacity(GROUP);
        while inbox.blocking_recv_many(&mut group, GROUP) > 0 {
            match self.serve_group(&mut group) {
                Ok(false) => {}
                Ok(true) => self.full.store(false, Ordering::Relaxed),
                Err(error) => {
                    // Nobody is answered: what was not made durable was not promised.
                    group.clear();
                    self.recover(&error);
                }
            }
        }
    }

    /// The acceptors may remember what the disk does not have.
    fn recover(&mut self, error: &StoreError) {
        let is_full = matches!(error, StoreError::Full);
        let was_full = self.full.swap(is_full, Ordering::Relaxed);
        if !(is_full && was_full) {
            tracing::error!(error = crate::causes::told(error), "the disk failed");
        }
        let is_damaged =
            |error: &StoreError| matches!(error, StoreError::Damaged { .. } | StoreError::UnknownFormat { .. });
        let read =
            if is_damaged(error) { None } else { Acceptor::load(self.acceptor.node(), self.store.as_ref()).ok() };
        // Acceptors of nothing answer nothing: what was promised can no longer be told.
        let nothing = || Acceptor::genesis(self.acceptor.node(), &BTreeMap::new());
        let is_lost = read.is_none();
        self.acceptor = read.unwrap_or_else(nothing);
        self.damaged.send_if_modified(|damaged| !std::mem::replace(damaged, is_lost || *damaged) && is_lost);
    }

    /// Serves all of `group`; whether anything was written.
    fn serve_group(&mut self, group: &mut Vec<Waiting>) -> Result<bool, StoreError> {
        let mut transaction = Transaction::new(self.store.as_ref());
        let (mut answers, mut names) = (Vec::with_capacity(group.len()), Vec::new());
        let (mut touched, mut spans) = (BTreeSet::new(), Vec::new());
        for (request, span) in group.drain(..) {
            if !span.is_disabled() {
                spans.push(span);
            }
            answers.push(match request {
                Request::Envelope(envelope, sender) => {
                    if matches!(envelope.request, register::Request::View(_)) {
                        touched.insert(envelope.partition);
                    }
                    let reply = self.acceptor.handle(&envelope, &mut transaction)?;
                    if self.tell.receiver_count() > 0 {
                        names.extend(accepted(&envelope, &reply));
                    }
                    Answer::Reply(sender, reply)
                }
                Request::Body(write, sender) => Answer::Body(sender, write.apply(&self.acceptor, &mut transaction)?),
            });
        }
        let batch = transaction.into_batch();
        let written = !batch.is_empty();
        if written {
            let _commits = commits(&spans);
            self.store.commit(&batch)?;
        }
        touched.into_iter().for_each(|partition| self.views.note(partition, &self.acceptor));
        for name in names {
            // Nobody need be listening.
            let _ = self.tell.send(name);
        }
        for answer in answers {
            // Who has stopped waiting needs no answer.
            match answer {
                Answer::Reply(sender, reply) => drop(sender.send(reply)),
                Answer::Body(sender, changed) => drop(sender.send(changed)),
            }
        }
        Ok(written)
    }
}

/// One span in each of the traces that wait for the commit, with its fsync.
fn commits(spans: &[Span]) -> Vec<Span> {
    let requests = spans.len();
    spans.iter().map(|span| tracing::trace_span!(target: traces::TARGET, parent: span, "commit", requests)).collect()
}

/// Names of the key-value store's registers for which `reply` says that they were accepted.
fn accepted(envelope: &Envelope, reply: &Reply) -> Vec<Arc<[u8]>> {
    let (register::Request::Accept { writes, .. }, Reply::Accept(answers)) = (&envelope.request, reply) else {
        return Vec::new();
    };
    let done = writes.iter().zip(answers).filter(|(_, answer)| answer.is_ok());
    done.map(|((key, _), _)| key)
        .filter(|key| key.name.starts_with(PREFIX))
        .map(|key| key.name.as_slice().into())
        .collect()
}
