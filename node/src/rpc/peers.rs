//! Calls to the other nodes: one HTTP/2 connection each, opened when needed, messages to acceptors in batches.

use super::convert;
use crate::identity::tls::wire;
use futures::stream::{FuturesUnordered, StreamExt};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use scrapering_core::id::{NodeId, RingId};
use scrapering_core::register::message::{Envelope, Reply};
use scrapering_proto::v1;
use scrapering_proto::v1::frontier_client::FrontierClient;
use scrapering_proto::v1::ring_client::RingClient;
use scrapering_proto::v1::store_client::StoreClient;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Longest a call between nodes may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest message between nodes, bytes: a body, or a page of a scan with a large last entry.
pub const MAX_MESSAGE_BYTES: usize = 32 * 1024 * 1024;
/// Envelopes that wait for a peer; more wait with their senders.
const QUEUE: usize = 4096;
/// Most envelopes in one message.
const BATCH: usize = 256;
/// Messages to a peer on their way at a time: few, so that what comes meanwhile travels together.
const MESSAGES_IN_FLIGHT: usize = 4;

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

type Waiting = (Envelope, oneshot::Sender<Option<Reply>>);

struct Peer {
    channel: Channel,
    outbox: mpsc::Sender<Waiting>,
}

/// The other nodes of the ring. A cheap clone.
#[derive(Clone)]
pub struct Peers {
    header: v1::Header,
    peers: Arc<BTreeMap<NodeId, Peer>>,
}

impl Peers {
    /// Peers that are dialled when first needed. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(ring: RingId, me: NodeId, addresses: &[PeerAddress], tls: &Arc<ClientConfig>) -> Self {
        let header = convert::header_to_wire(ring, me);
        let others = addresses.iter().filter(|peer| peer.node != me);
        let peers = others.map(|peer| (peer.node, Peer::new(peer, tls, header.clone()))).collect();
        Self { header, peers: Arc::new(peers) }
    }

    /// What every request begins with.
    #[must_use]
    pub fn header(&self) -> Option<v1::Header> {
        Some(self.header.clone())
    }

    /// Sends a request to `to`'s acceptors; `None` if no answer came.
    pub async fn exchange(&self, to: NodeId, envelope: Envelope) -> Option<Reply> {
        let (sender, receiver) = oneshot::channel();
        self.peers.get(&to)?.outbox.send((envelope, sender)).await.ok()?;
        receiver.await.ok().flatten()
    }

    /// The store of `node`; `None` if it is not a peer.
    #[must_use]
    pub fn store(&self, node: NodeId) -> Option<StoreClient<Channel>> {
        let client = StoreClient::new(self.peers.get(&node)?.channel.clone());
        Some(client.max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// The routing of `node`; `None` if it is not a peer.
    #[must_use]
    pub fn ring(&self, node: NodeId) -> Option<RingClient<Channel>> {
        Some(RingClient::new(self.peers.get(&node)?.channel.clone()))
    }

    /// The frontier of `node`; `None` if it is not a peer.
    #[must_use]
    pub fn frontier(&self, node: NodeId) -> Option<FrontierClient<Channel>> {
        let client = FrontierClient::new(self.peers.get(&node)?.channel.clone());
        Some(client.max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// Asks `grpc.health.v1` of `node` whether its ring service serves, within `timeout`.
    pub async fn probe(&self, node: NodeId, timeout: Duration) -> bool {
        let Some(peer) = self.peers.get(&node) else { return false };
        let mut client = HealthClient::new(peer.channel.clone());
        let request = HealthCheckRequest { service: super::server::HEALTH_SERVICE.to_owned() };
        let answer = tokio::time::timeout(timeout, client.check(request)).await;
        matches!(answer, Ok(Ok(reply)) if reply.get_ref().status() == ServingStatus::Serving)
    }
}

impl Peer {
    fn new(peer: &PeerAddress, tls: &Arc<ClientConfig>, header: v1::Header) -> Self {
        let (address, name, tls) = (peer.address.clone(), peer.name.clone(), Arc::clone(tls));
        let connector = tower::service_fn(move |_: Uri| {
            let (address, name, tls) = (address.clone(), name.clone(), Arc::clone(&tls));
            async move { wire::dial(&address, &name, tls).await.map(TokioIo::new) }
        });
        // The connector dials; the URI only names the authority in HTTP/2 headers.
        let channel = Endpoint::from_static("http://node.ring")
            .timeout(CALL_TIMEOUT)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .initial_stream_window_size(1024 * 1024)
            .initial_connection_window_size(8 * 1024 * 1024)
            .connect_with_connector_lazy(connector);
        let client = StoreClient::new(channel.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let (outbox, inbox) = mpsc::channel(QUEUE);
        tokio::spawn(deliver(inbox, client, header));
        Self { channel, outbox }
    }
}

/// Sends what waits for one peer, as much as there is in one message.
async fn deliver(mut inbox: mpsc::Receiver<Waiting>, client: StoreClient<Channel>, header: v1::Header) {
    let mut in_flight = FuturesUnordered::new();
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            count = inbox.recv_many(&mut batch, BATCH), if in_flight.len() < MESSAGES_IN_FLIGHT => {
                if count == 0 {
                    return;
                }
                in_flight.push(send(client.clone(), header.clone(), std::mem::take(&mut batch)));
            }
            Some(()) = in_flight.next() => {}
        }
    }
}

async fn send(mut client: StoreClient<Channel>, header: v1::Header, batch: Vec<Waiting>) {
    let (envelopes, senders): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
    let envelopes = envelopes.into_iter().map(convert::envelope_to_wire).collect();
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
