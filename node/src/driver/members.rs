//! Runs the membership: probes peers, answers theirs, and tells who changed.

pub mod memory;

use super::clock::Clock;
use crate::rpc::{PeerAddress, Peers, membership as rpc};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use scrapering_core::id::NodeId;
use scrapering_core::membership::{
    CallId, Config, Entry, Event, Gossip, Liveness, Member, Membership, Reply, Request, Serving, Transmit,
};
use scrapering_core::time::Instant;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a contact may take to give its table, or to hear that this process ends.
const JOIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause before the contacts are asked again.
const JOIN_PAUSE: Duration = Duration::from_millis(500);
/// How long those may take that are told that this process ends.
const FAREWELL_TIMEOUT: Duration = Duration::from_millis(300);

/// Who is in the ring and who is alive, as this node believes. A cheap clone.
#[derive(Clone)]
pub struct Members {
    inner: Arc<Inner>,
}

struct Inner {
    membership: Mutex<Membership>,
    config: Config,
    clock: Clock,
    peers: Peers,
    changes: watch::Sender<u64>,
    removed: watch::Sender<bool>,
    wake: Notify,
}

impl Members {
    /// A node that says `me` of itself and has heard of `known`; nobody of them counts as alive before it has
    /// spoken. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(me: Entry, known: impl IntoIterator<Item = Entry>, peers: Peers, clock: Clock) -> Self {
        let config = Config::default();
        let membership = Membership::new(me, known, config, rand::random(), clock.now());
        let inner = Inner {
            membership: Mutex::new(membership),
            config,
            clock,
            peers,
            changes: watch::Sender::new(0),
            removed: watch::Sender::new(false),
            wake: Notify::new(),
        };
        let members = Self { inner: Arc::new(inner) };
        members.entries().iter().for_each(|entry| members.introduce(entry));
        members
    }

    /// What is known of `node`; a node that was never heard of is down.
    #[must_use]
    pub fn liveness(&self, node: NodeId) -> Liveness {
        self.lock().liveness(node)
    }

    /// Whether `node` answers.
    #[must_use]
    pub fn is_alive(&self, node: NodeId) -> bool {
        self.liveness(node) == Liveness::Alive
    }

    /// The whole table by node id: this node and those that have left, too.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries()
    }

    /// The entry of `node`.
    #[must_use]
    pub fn entry(&self, node: NodeId) -> Option<Entry> {
        self.lock().entry(node).cloned()
    }

    /// When this node learned that `node` is down; `None` if it is not.
    #[must_use]
    pub fn down_since(&self, node: NodeId) -> Option<Instant> {
        self.lock().down_since(node)
    }

    /// What this node says of itself.
    #[must_use]
    pub fn own(&self) -> Entry {
        self.lock().own()
    }

    /// Whether this node takes part: it neither joins nor leaves, and its process does not end.
    #[must_use]
    pub fn serves(&self) -> bool {
        let own = self.own();
        (own.serving, own.liveness) == (Serving::Serving, Liveness::Alive)
    }

    /// Moves on whenever an entry changed, and when this process was stopped for a while: then the others may
    /// have changed their minds about it.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Becomes true when the others hold this node as left: it must stop taking part.
    #[must_use]
    pub fn removed(&self) -> watch::Receiver<bool> {
        self.inner.removed.subscribe()
    }

    /// A call to `node` failed: it is probed at once. Says nothing of its liveness.
    pub fn hint(&self, node: NodeId) {
        self.change(|membership, now| membership.handle_hint(node, now));
    }

    /// This node does something else from now on.
    pub fn set_serving(&self, serving: Serving) {
        self.change(|membership, now| membership.set_serving(serving, now));
    }

    /// This node leaves for good, after it has handed over; the others hear of it.
    pub fn leave(&self) {
        self.change(Membership::leave);
    }

    /// This process ends soon and may come back: every living node is told, so that none of them counts on it. It goes on
    /// answering. How many have heard it, and how many there were to hear it.
    pub async fn step_back(&self) -> (usize, usize) {
        self.change(Membership::handle_stop);
        let me = self.own();
        let living = self.entries().into_iter().filter(|entry| entry.liveness == Liveness::Alive);
        let told = living.map(async |entry| {
            let gossip = Gossip { speaker: me.clone(), updates: Vec::new() };
            rpc::ping(&self.inner.peers, entry.member.node, gossip, JOIN_TIMEOUT).await.is_some()
        });
        let told = futures::future::join_all(told).await;
        (told.iter().filter(|has_heard| **has_heard).count(), told.len())
    }

    /// `node` is gone for good: it cannot come back under this id.
    pub fn remove(&self, node: NodeId) {
        self.change(|membership, now| membership.remove(node, now));
    }

    /// Exchanges tables with one of `contacts`: asks one after the other until one answers, for as long as it
    /// takes. The generation of a contact need not be right, its name must.
    pub async fn join(&self, contacts: &[PeerAddress]) {
        contacts.iter().cloned().for_each(|contact| self.inner.peers.learn(contact));
        loop {
            for contact in contacts {
                let table = self.entries();
                if let Some(table) = rpc::exchange(&self.inner.peers, contact.node, table, JOIN_TIMEOUT).await {
                    return self.change(|membership, now| membership.handle_table(table, now));
                }
            }
            tokio::time::sleep(JOIN_PAUSE).await;
        }
    }

    /// The other nodes.
    #[must_use]
    pub fn peers(&self) -> &Peers {
        &self.inner.peers
    }

    /// A probe of this node, with the gossip that rode on it; returns that of the answer.
    #[must_use]
    pub fn handle_ping(&self, gossip: Gossip) -> Gossip {
        self.change(|membership, now| membership.handle_ping(gossip, now))
    }

    /// Probes `target` in another's stead; what it says of itself, or `None` if it did not answer.
    pub async fn handle_ping_req(&self, target: NodeId, gossip: Gossip) -> Option<Entry> {
        let gossip = self.change(|membership, now| membership.handle_ping_req(target, gossip, now))?;
        let reply = rpc::ping(&self.inner.peers, target, gossip, self.inner.config.relay_timeout).await;
        match self.change(|membership, now| membership.handle_relay(target, reply, now)) {
            Reply::Relayed(entry) => entry,
            Reply::Ack(_) | Reply::Table(_) => None,
        }
    }

    /// Another's whole table; returns this node's.
    #[must_use]
    pub fn handle_exchange(&self, table: Vec<Entry>) -> Vec<Entry> {
        self.change(|membership, now| membership.handle_exchange(table, now))
    }

    /// Probes until `stop`, then tells a few that this process ends.
    pub async fn run(self, stop: CancellationToken) {
        let mut calls = JoinSet::new();
        loop {
            while let Some(transmit) = self.next_transmit() {
                let peers = self.inner.peers.clone();
                calls.spawn(async move { call(&peers, transmit).await });
            }
            let wake = self.lock().poll_timeout();
            let timer = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(self.inner.clock.deadline(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = timer => self.change(Membership::handle_timeout),
                () = self.inner.wake.notified() => {}
                Some(Ok((call, reply))) = calls.join_next() => {
                    self.change(|membership, now| membership.handle_reply(call, reply, now));
                }
            }
        }
        self.say_farewell().await;
    }

    async fn say_farewell(&self) {
        self.change(Membership::handle_stop);
        let mut farewells = FuturesUnordered::new();
        while let Some(transmit) = self.next_transmit() {
            let timeout = FAREWELL_TIMEOUT.min(transmit.timeout);
            farewells.push(call(&self.inner.peers, Transmit { timeout, ..transmit }));
        }
        while farewells.next().await.is_some() {}
    }

    fn next_transmit(&self) -> Option<Transmit> {
        self.lock().poll_transmit()
    }

    /// Changes the machine and passes on what follows: peers are introduced, watchers woken, requests sent.
    fn change<T>(&self, change: impl FnOnce(&mut Membership, Instant) -> T) -> T {
        let mut membership = self.lock();
        let result = change(&mut membership, self.inner.clock.now());
        let (mut changed, mut heard) = (false, Vec::new());
        while let Some(event) = membership.poll_event() {
            changed = true;
            heard.extend(self.note(&membership, event));
        }
        drop(membership);
        heard.iter().for_each(|entry| self.introduce(entry));
        if changed {
            self.inner.changes.send_modify(|count| *count += 1);
        }
        self.inner.wake.notify_one();
        result
    }

    /// Logs an event; the entry whose node peers must know of.
    fn note(&self, membership: &Membership, event: Event) -> Option<Entry> {
        match event {
            Event::Record { node } => membership.entry(node).cloned(),
            Event::Liveness { node, liveness } => {
                let entry = membership.entry(node)?;
                tracing::info!(name = entry.member.name, %node, ?liveness, "membership changed");
                (liveness == Liveness::Left).then(|| entry.clone())
            }
            Event::Removed => {
                tracing::warn!("the ring holds this node as gone; it takes no part any more");
                self.inner.removed.send_replace(true);
                None
            }
            Event::StoodStill => {
                tracing::info!("this process stood still for a while");
                None
            }
        }
    }

    fn introduce(&self, entry: &Entry) {
        let Entry { member: Member { node, name, address, .. }, liveness, .. } = entry;
        if *liveness == Liveness::Left {
            self.inner.peers.forget(*node);
        } else {
            let (name, address) = (name.clone(), address.clone());
            self.inner.peers.learn(PeerAddress { node: *node, name, address });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Membership> {
        self.inner.membership.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn call(peers: &Peers, transmit: Transmit) -> (CallId, Option<Reply>) {
    let Transmit { to, call, request, timeout } = transmit;
    let reply = match request {
        Request::Ping(gossip) => rpc::ping(peers, to, gossip, timeout).await,
        Request::PingReq { target, gossip } => rpc::ping_req(peers, to, target, gossip, timeout).await,
        Request::Exchange(table) => rpc::exchange(peers, to, table, timeout).await.map(Reply::Table),
    };
    (call, reply)
}
