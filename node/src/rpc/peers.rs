//! Calls to the other nodes: one HTTP/2 connection each, opened when needed, messages to acceptors in batches.
//!
//! Who the others are changes while the node runs: membership tells of every node it hears of.

mod channel;

pub use channel::PeerChannel;

use super::convert;
use crate::identity::tls::live::Live;
use crate::identity::tls::wire;
use crate::traces;
use futures::stream::{FuturesUnordered, StreamExt};
use hyper_util::rt::TokioIo;
use prost::Message;
use rustls::ClientConfig;
use scrapering_core::id::NodeId;
use scrapering_core::register::message::{Envelope, Reply};
use scrapering_proto::v1;
use scrapering_proto::v1::frontier_client::FrontierClient;
use scrapering_proto::v1::ring_client::RingClient;
use scrapering_proto::v1::store_client::StoreClient;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tonic::transport::{Endpoint, Uri};

/// Longest a call between nodes may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest message between nodes, bytes: a body, or a page of a scan with a large last entry.
pub const MAX_MESSAGE_BYTES: usize = 32 * 1024 * 1024;
/// Nothing is added to an answer that is as large as this, bytes: what is in it may be as large again at most.
pub const FULL_MESSAGE_BYTES: usize = MAX_MESSAGE_BYTES / 2;
/// Nothing is added to a request that would become larger than this, bytes: what is on its way to every peer is in
/// memory twice, here and there.
const FULL_REQUEST_BYTES: usize = 1024 * 1024;
/// Envelopes that wait for a peer; more wait with their senders.
const QUEUE: usize = 4096;
/// Most envelopes in one message.
const BATCH: usize = 256;
/// Messages to a peer on their way at a time: few, so that what comes meanwhile travels together.
const MESSAGES_IN_FLIGHT: usize = 4;
/// Most peers and most nodes that have left: far above any ring, far below what hurts.
const MOST_PEERS: usize = 8192;

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// Its id.
    pub node: NodeId,
    /// Its stable name, which its certificate must carry.
    pub name: String,
    /// Host and port.
    pub address: String,
}

/// An envelope, the trace that it belongs to, and who waits for its answer.
type Waiting = (Envelope, Option<String>, oneshot::Sender<Option<Reply>>);

struct Peer {
    address: PeerAddress,
    channel: PeerChannel,
    outbox: mpsc::Sender<Waiting>,
}

/// The other nodes of the ring, as far as they are known now. A cheap clone.
#[derive(Clone)]
pub struct Peers {
    inner: Arc<Inner>,
}

struct Inner {
    identity: convert::Header,
    tls: Live<ClientConfig>,
    table: RwLock<Table>,
    removed: watch::Sender<bool>,
}

#[derive(Default)]
struct Table {
    peers: BTreeMap<NodeId, Peer>,
    left: BTreeSet<NodeId>,
}

impl Peers {
    /// Nobody yet; every request begins with `identity`, whose sender is this node.
    #[must_use]
    pub fn new(identity: convert::Header, tls: impl Into<Live<ClientConfig>>) -> Self {
        let (table, removed) = (RwLock::default(), watch::Sender::new(false));
        Self { inner: Arc::new(Inner { identity, tls: tls.into(), table, removed }) }
    }

    /// Adds a peer, or moves it; it is dialled when first needed. Must be called within a tokio runtime.
    ///
    /// This node itself, and who has left for good, are passed over.
    pub fn learn(&self, peer: PeerAddress) {
        if peer.node == self.inner.identity.from {
            return;
        }
        let mut table = self.table_mut();
        let known = table.peers.get(&peer.node).is_some_and(|known| known.address == peer);
        if known || table.left.contains(&peer.node) {
            return;
        }
        if table.peers.len() >= MOST_PEERS {
            tracing::warn!(name = peer.name, "there are too many peers; this one is not dialled");
            return;
        }
        let made = Peer::new(peer, &self.inner);
        // Whoever waits for the old connection gets no answer and asks again.
        table.peers.insert(made.address.node, made);
    }

    /// `node` has left for good: it is not dialled, and not listened to.
    pub fn forget(&self, node: NodeId) {
        let mut table = self.table_mut();
        table.peers.remove(&node);
        if table.left.len() >= MOST_PEERS {
            table.left.pop_first();
        }
        table.left.insert(node);
    }

    /// Whether `node` has left for good.
    #[must_use]
    pub fn has_left(&self, node: NodeId) -> bool {
        self.table().left.contains(&node)
    }

    /// Who this node is in its requests.
    #[must_use]
    pub fn identity(&self) -> &convert::Header {
        &self.inner.identity
    }

    /// Becomes true when a peer says that this node was removed from the ring.
    #[must_use]
    pub fn removed(&self) -> watch::Receiver<bool> {
        self.inner.removed.subscribe()
    }

    /// What every request begins with.
    #[must_use]
    pub fn header(&self) -> Option<v1::Header> {
        Some(convert::header_to_wire(&self.inner.identity))
    }

    /// As [`Peers::header`], refused by whoever is not `to` itself, as by its next generation at the same address.
    #[must_use]
    pub fn header_to(&self, to: NodeId) -> Option<v1::Header> {
        Some(convert::header_to_wire(&convert::Header { to: Some(to), ..self.inner.identity.clone() }))
    }

    /// Sends a request to `to`'s acceptors; `None` if no answer came.
    pub async fn exchange(&self, to: NodeId, envelope: Envelope) -> Option<Reply> {
        let (sender, receiver) = oneshot::channel();
        let outbox = self.table().peers.get(&to)?.outbox.clone();
        let trace = traces::carried(&traces::here());
        outbox.send((envelope, trace, sender)).await.ok()?;
        receiver.await.ok().flatten()
    }

    /// The connection to `node`, for the client of any service; `None` if it is not a peer.
    #[must_use]
    pub fn channel(&self, node: NodeId) -> Option<PeerChannel> {
        Some(self.table().peers.get(&node)?.channel.clone())
    }

    /// The store of `node`; `None` if it is not a peer.
    #[must_use]
    pub fn store(&self, node: NodeId) -> Option<StoreClient<PeerChannel>> {
        let client = StoreClient::new(self.channel(node)?);
        Some(client.max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// The routing of `node`; `None` if it is not a peer.
    #[must_use]
    pub fn ring(&self, node: NodeId) -> Option<RingClient<PeerChannel>> {
        Some(RingClient::new(self.channel(node)?))
    }

    /// The frontier of `node`; `None` if it is not a peer.
    #[must_use]
    pub fn frontier(&self, node: NodeId) -> Option<FrontierClient<PeerChannel>> {
        let client = FrontierClient::new(self.channel(node)?);
        Some(client.max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES))
    }

    fn table(&self) -> std::sync::RwLockReadGuard<'_, Table> {
        self.inner.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn table_mut(&self) -> std::sync::RwLockWriteGuard<'_, Table> {
        self.inner.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Peers {
    /// Of a node that can prove nothing to anybody.
    pub(crate) fn of_nobody(identity: convert::Header) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("AWS-LC speaks both")
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        Self::new(identity, Arc::new(tls))
    }
}

impl Peer {
    fn new(address: PeerAddress, inner: &Inner) -> Self {
        let PeerAddress { node, name, address: place } = address.clone();
        let tls = inner.tls.clone();
        let connector = tower::service_fn(move |_: Uri| {
            let (place, name, tls) = (place.clone(), name.clone(), tls.now());
            async move { wire::dial(&place, &name, tls).await.map(TokioIo::new) }
        });
        // The connector dials; the URI only names the authority in HTTP/2 headers.
        let channel = Endpoint::from_static("http://node.ring")
            .timeout(CALL_TIMEOUT)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .initial_stream_window_size(1024 * 1024)
            .initial_connection_window_size(8 * 1024 * 1024)
            .connect_with_connector_lazy(connector);
        let channel = PeerChannel::new(channel, inner.removed.clone());
        let header = convert::Header { to: Some(node), ..inner.identity.clone() };
        let client = StoreClient::new(channel.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let (outbox, inbox) = mpsc::channel(QUEUE);
        tokio::spawn(deliver(inbox, client, convert::header_to_wire(&header)));
        Self { address, channel, outbox }
    }
}

/// Sends what waits for one peer, as much as there is in one message.
async fn deliver(mut inbox: mpsc::Receiver<Waiting>, client: StoreClient<PeerChannel>, header: v1::Header) {
    let mut in_flight = FuturesUnordered::new();
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            count = inbox.recv_many(&mut batch, BATCH), if in_flight.len() < MESSAGES_IN_FLIGHT => {
                if count == 0 {
                    return;
                }
                for message in messages(std::mem::take(&mut batch)) {
                    in_flight.push(send(client.clone(), header.clone(), message));
                }
            }
            Some(()) = in_flight.next() => {}
        }
    }
}

/// One message's envelopes, and who waits for their answers.
type Outgoing = (Vec<v1::Envelope>, Vec<oneshot::Sender<Option<Reply>>>);

/// Cuts what waits into messages of a size that travels.
fn messages(batch: Vec<Waiting>) -> Vec<Outgoing> {
    let (mut messages, mut room) = (Vec::<Outgoing>::new(), 0_usize);
    for (envelope, trace, sender) in batch {
        let envelope = v1::Envelope { trace, ..convert::envelope_to_wire(envelope) };
        let bytes = envelope.encoded_len();
        if messages.is_empty() || bytes > room {
            messages.push(Outgoing::default());
            room = FULL_REQUEST_BYTES;
        }
        room = room.saturating_sub(bytes);
        if let Some((envelopes, senders)) = messages.last_mut() {
            envelopes.push(envelope);
            senders.push(sender);
        }
    }
    messages
}

async fn send(mut client: StoreClient<PeerChannel>, header: v1::Header, message: Outgoing) {
    let (envelopes, senders) = message;
    let replies = match client.exchange(v1::ExchangeRequest { header: Some(header), envelopes }).await {
        Ok(reply) => reply.into_inner().replies,
        Err(error) => {
            tracing::debug!(%error, "a peer did not answer");
            Vec::new()
        }
    };
    let mut replies = replies.into_iter().map(|reply| convert::reply(reply).ok());
    for sender in senders {
        // Who has stopped waiting needs no answer.
        drop(sender.send(replies.next().flatten()));
    }
}
