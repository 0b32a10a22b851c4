//! The node's disk: one thread that handles what waits, makes it durable with one fsync, and only then answers.

use bytes::Bytes;
use scrapering_core::body::{self, BodyHash};
use scrapering_core::register::Acceptor;
use scrapering_core::register::message::{Envelope, Reply};
use scrapering_core::store::{Store, StoreError, Transaction};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Requests that wait for the disk; more wait with their senders.
const QUEUE: usize = 4096;
/// Most requests made durable together.
const GROUP: usize = 256;

enum Request {
    Envelope(Envelope, oneshot::Sender<Reply>),
    Keep(BodyHash, Bytes, oneshot::Sender<bool>),
    Kept(BodyHash, oneshot::Sender<Option<Bytes>>),
}

/// An answer that waits for the fsync.
enum Answer {
    Reply(oneshot::Sender<Reply>, Reply),
    Keep(oneshot::Sender<bool>, bool),
    Kept(oneshot::Sender<Option<Bytes>>, Option<Bytes>),
}

/// A handle to the disk's thread. A cheap clone; the thread ends with the last one.
#[derive(Clone)]
pub struct Disk {
    requests: mpsc::Sender<Request>,
    full: Arc<AtomicBool>,
}

impl Disk {
    /// Starts the thread.
    ///
    /// # Errors
    /// From the operating system, if it has no thread to give.
    pub fn start(store: Arc<dyn Store>, acceptor: Acceptor) -> io::Result<(Self, std::thread::JoinHandle<()>)> {
        let (requests, inbox) = mpsc::channel(QUEUE);
        let full = Arc::<AtomicBool>::default();
        let told = Arc::clone(&full);
        let thread = std::thread::Builder::new()
            .name("disk".to_owned())
            .spawn(move || serve(inbox, store.as_ref(), &acceptor, &told))?;
        Ok((Self { requests, full }, thread))
    }

    /// Whether the last write found no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// This node's acceptors answer `envelope`; [`Reply::Refused`] if the disk failed or is closing.
    pub async fn handle(&self, envelope: Envelope) -> Reply {
        self.ask(|sender| Request::Envelope(envelope, sender)).await.unwrap_or(Reply::Refused)
    }

    /// Keeps a body; `false` if it is damaged or the disk failed.
    pub async fn keep(&self, hash: BodyHash, content: Bytes) -> bool {
        self.ask(|sender| Request::Keep(hash, content, sender)).await.unwrap_or(false)
    }

    /// A body that this node keeps.
    pub async fn kept(&self, hash: BodyHash) -> Option<Bytes> {
        self.ask(|sender| Request::Kept(hash, sender)).await.flatten()
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.requests.send(request(sender)).await.ok()?;
        receiver.await.ok()
    }
}

fn serve(mut inbox: mpsc::Receiver<Request>, store: &dyn Store, acceptor: &Acceptor, full: &AtomicBool) {
    let mut group = Vec::with_capacity(GROUP);
    while inbox.blocking_recv_many(&mut group, GROUP) > 0 {
        match serve_group(&mut group, store, acceptor) {
            Ok(false) => {}
            Ok(true) => full.store(false, Ordering::Relaxed),
            Err(error) => {
                // Nobody is answered: what was not made durable was not promised.
                let is_full = matches!(error, StoreError::Full);
                let was_full = full.swap(is_full, Ordering::Relaxed);
                if !(is_full && was_full) {
                    tracing::error!(error = &error as &dyn std::error::Error, "the disk failed");
                }
                group.clear();
            }
        }
    }
}

/// Serves all of `group`; whether anything was written.
fn serve_group(group: &mut Vec<Request>, store: &dyn Store, acceptor: &Acceptor) -> Result<bool, StoreError> {
    let mut transaction = Transaction::new(store);
    let mut answers = Vec::with_capacity(group.len());
    for request in group.drain(..) {
        answers.push(match request {
            Request::Envelope(envelope, sender) => Answer::Reply(sender, acceptor.handle(&envelope, &mut transaction)?),
            Request::Keep(hash, content, sender) => Answer::Keep(sender, body::keep(hash, content, &mut transaction)),
            Request::Kept(hash, sender) => Answer::Kept(sender, body::kept(hash, &transaction)?),
        });
    }
    let batch = transaction.into_batch();
    let written = !batch.is_empty();
    if written {
        store.commit(&batch)?;
    }
    for answer in answers {
        // Who has stopped waiting needs no answer.
        match answer {
            Answer::Reply(sender, reply) => drop(sender.send(reply)),
            Answer::Keep(sender, kept) => drop(sender.send(kept)),
            Answer::Kept(sender, content) => drop(sender.send(content)),
        }
    }
    Ok(written)
}
